package signals

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func fuzzDecoder(f *testing.F, name string) {
	d, err := NewDecoder(name)
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range golden(f, d) {
		f.Add([]byte(e.Raw))
	}
	others, err := filepath.Glob("testdata/*.events")
	if err != nil {
		f.Fatal(err)
	}
	for _, other := range others { // events of one source sent as those of another
		in, err := os.ReadFile(other)
		if err != nil {
			f.Fatal(err)
		}
		line, _, _ := bytes.Cut(in, []byte("\n"))
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		before := bytes.Clone(line)
		e, err := d.Decode(line)
		if !bytes.Equal(before, line) {
			t.Fatal("the decoder wrote into the line")
		}
		if err != nil {
			return
		}
		checkEvent(t, &e)
		again, err := d.Decode(line)
		if diff := cmp.Diff(e, again); err != nil || diff != "" {
			t.Fatalf("the same line again: %v\n%s", err, diff)
		}
		encoded, err := EncodeOCSF(&e)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeOCSF(encoded)
		if diff := cmp.Diff(e, back, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("through OCSF and back: %v\n%s\n%s", err, diff, encoded)
		}
	})
}

func FuzzOnePassword(f *testing.F) { fuzzDecoder(f, OnePassword) }
func FuzzOkta(f *testing.F)        { fuzzDecoder(f, Okta) }
func FuzzEntra(f *testing.F)       { fuzzDecoder(f, Entra) }
func FuzzOneLogin(f *testing.F)    { fuzzDecoder(f, OneLogin) }
func FuzzOCSF(f *testing.F)        { fuzzDecoder(f, OCSF) }
func FuzzRBA(f *testing.F)         { fuzzDecoder(f, RBA) }

// checkEvent holds an event against what Event promises.
func checkEvent(t *testing.T, e *Event) {
	t.Helper()
	if e.Source == "" || e.SourceID == "" || e.Raw == "" || !utf8.ValidString(e.Raw) || !e.ReceivedAt.IsZero() || e.AccountID != "" {
		t.Fatalf("source %q, id %q, received %v, account %q", e.Source, e.SourceID, e.ReceivedAt, e.AccountID)
	}
	if y := e.Time.Year(); !e.Time.IsZero() && (y < firstYear || y > lastYear) {
		t.Fatalf("time %v", e.Time)
	}
	v := View{Event: e}
	for _, name := range FieldNames() {
		get, _ := OCSFField(name)
		for _, s := range get(&v, nil) {
			if s != clean(s) || len(s) > maxText {
				t.Fatalf("field %s = %q", name, s)
			}
		}
	}
	for _, a := range append(append([]Attribute{}, e.Unmapped...), e.Verdicts...) {
		if a.Name != clean(a.Name) || a.Value != clean(a.Value) {
			t.Fatalf("attribute %q = %q", a.Name, a.Value)
		}
	}
	if len(e.Unmapped) > 32 || len(e.Verdicts) > 64 || len(e.Factors) > 16 || len(e.Notes) > 64 || len(e.User.Aliases) > 64 {
		t.Fatalf("%d unmapped, %d verdicts, %d factors, %d notes", len(e.Unmapped), len(e.Verdicts), len(e.Factors), len(e.Notes))
	}
}

// TestDecoderIsShared decodes in many goroutines at once; the race detector looks on.
func TestDecoderIsShared(t *testing.T) {
	d, err := NewDecoder(OnePassword)
	if err != nil {
		t.Fatal(err)
	}
	want := golden(t, d)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, w := range want {
				got, err := d.Decode([]byte(w.Raw))
				if diff := cmp.Diff(w, got); err != nil || diff != "" {
					t.Errorf("%v (-alone +together):\n%s", err, diff)
				}
			}
		})
	}
	all.Wait()
}

// TestDecodeKeepsNothing of the caller's buffer, which is used again for the next line.
func TestDecodeKeepsNothing(t *testing.T) {
	d, err := NewDecoder(OnePassword)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(golden(t, d)[0].Raw)
	got, err := d.Decode(line)
	if err != nil {
		t.Fatal(err)
	}
	want, err := d.Decode(line)
	if err != nil {
		t.Fatal(err)
	}
	for i := range line {
		line[i] = 'x'
	}
	if diff := cmp.Diff(want, got); diff != "" || strings.Contains(got.Raw, "xxx") {
		t.Errorf("after the buffer was used again:\n%s", diff)
	}
}

func TestDecodeBadUTF8(t *testing.T) {
	d, err := NewDecoder(OnePassword)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Decode([]byte("{\"uuid\":\"a\xff\x00b\"}"))
	if err == nil {
		t.Fatalf("a zero byte in quotes was read: %+v", e)
	}
	e, err = d.Decode([]byte("{\"uuid\":\"a\xffb\\u0000c\"}"))
	if err != nil || e.SourceID != "a\uFFFDb c" || e.Raw != "{\"uuid\":\"a\uFFFDb\\u0000c\"}" {
		t.Errorf("id %q, raw %q, error %v", e.SourceID, e.Raw, err)
	}
}

// TestDisplayNamesAreNoIdentity: whoever calls themself by somebody's address does not become them.
func TestDisplayNamesAreNoIdentity(t *testing.T) {
	for source, line := range map[string]string{
		OnePassword: `{"uuid":"a","category":"success","type":"credentials_ok","target_user":{"uuid":"u","name":"boss@example.org"}}`,
		Okta:        `{"uuid":"a","eventType":"user.session.start","actor":{"id":"u","displayName":"boss@example.org"}}`,
		Entra:       `{"id":"a","status":{"errorCode":0},"userId":"u","userDisplayName":"boss@example.org"}`,
		OneLogin:    `{"id":1,"event_type_id":5,"user_id":"u","user_name":"boss@example.org"}`,
		OCSF:        `{"class_uid":3002,"user":{"uid":"u","full_name":"boss@example.org"}}`,
	} {
		d, err := NewDecoder(source)
		if err != nil {
			t.Fatal(err)
		}
		e, err := d.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if got := Identify(&e, &e.User, people{"email  boss@example.org": "BOSS"}); got != (Match{}) {
			t.Errorf("%s: %+v, want nobody", source, got)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, d := range Decoders() {
		b.Run(d.Name(), func(b *testing.B) {
			line := []byte(golden(b, d)[0].Raw)
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Decode(line); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	d, err := NewDecoder(OnePassword)
	if err != nil {
		b.Fatal(err)
	}
	raw := golden(b, d)[0].Raw
	for _, file := range []struct{ name, before, between, after string }{{"lines", "", "\n", "\n"}, {"page", `{"items":[`, ",", "]}"}} {
		b.Run(file.name, func(b *testing.B) {
			const events = 1000
			in := []byte(file.before + strings.Repeat(raw+file.between, events-1) + raw + file.after)
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				n := 0
				for _, bad := range Read(bytes.NewReader(in), d) {
					if bad != nil {
						b.Fatal(bad)
					}
					n++
				}
				if n != events {
					b.Fatalf("%d events, want %d", n, events)
				}
			}
			b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkField(b *testing.B) {
	d, err := NewDecoder(Okta)
	if err != nil {
		b.Fatal(err)
	}
	e := golden(b, d)[0]
	for _, name := range []string{"status_id", "user.name", "securityContext.isProxy"} {
		b.Run(name, func(b *testing.B) {
			get, v, buf := Field(name), View{}, make([]string, 0, 4)
			b.ReportAllocs()
			for b.Loop() {
				v.Reset(&e)
				if buf = get(&v, buf[:0]); len(buf) != 1 {
					b.Fatal(buf)
				}
			}
		})
	}
}
