package signals

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// ids reads a file and lists what came: ids of events, and errors with their lines.
func ids(t *testing.T, r io.Reader, source string) (got []string) {
	t.Helper()
	d, err := NewDecoder(source)
	if err != nil {
		t.Fatal(err)
	}
	for e, bad := range Read(r, d) {
		switch {
		case bad == nil:
			got = append(got, e.SourceID)
		case bad.Fatal:
			got = append(got, "fatal "+bad.Error())
		default:
			got = append(got, bad.Error())
		}
	}
	return got
}

func TestRead(t *testing.T) {
	long := `{"uuid":"` + strings.Repeat("x", maxEvent) + `"}`
	for _, tc := range []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"only_space", " \r\n\t\n", nil},
		{"lines", "{\"uuid\":\"a\"}\n{\"uuid\":\"b\"}", []string{"a", "b"}},
		{"mark_crlf_blank_lines", "\ufeff\r\n{\"uuid\":\"a\"}\r\n\r\n  {\"uuid\":\"b\"}  \r\n", []string{"a", "b"}},
		{"one_line_broken", "{\"uuid\":\"a\"}\n{\"uuid\":\n{\"uuid\":\"c\"}\n", []string{"a", "line 2: not JSON: it ends where a value was expected", "c"}},
		{"no_json", "hello\n{\"uuid\":\"b\"}\n", []string{`line 1: not JSON: 'h' at byte 1, where a value was expected`, "b"}},
		{"two_in_a_line", `{"uuid":"a"} {"uuid":"b"}`, []string{`line 1: not JSON: '{' at byte 14, where the end of the event was expected`}},
		{"no_object", "7\n", []string{"line 1: the event is not a JSON object"}},
		{"printed", "{\n  \"uuid\": \"a\",\n  \"x\": {\"y\": [1]}\n}\n{\n  \"uuid\": \"b\"\n}\n", []string{"a", "b"}},
		{"printed_after_lines", "{\"uuid\":\"a\"}\n{\r\n \"uuid\":\"b\"}\n{\"uuid\":\"c\"}", []string{"a", "b", "c"}},
		{"printed_without_end", "{\n \"uuid\":\"a\"\n", []string{"fatal line 3: the file ends inside an event"}},
		{"list", "[{\"uuid\":\"a\"},\n {\"uuid\":\"b\"}]", []string{"a", "b"}},
		{"empty_list", "[]", nil},
		{"lists", "[{\"uuid\":\"a\"}]\n[{\"uuid\":\"b\"}]", []string{"a", "b"}},
		{"brackets_in_text", `[{"uuid":"}]\"{["},{"uuid":"b"}]`, []string{`}]"{[`, "b"}},
		{"list_with_a_bad_one", "[{\"uuid\":\"a\"},\n{\"uuid\":},\n{\"uuid\":\"c\"}]", []string{"a", `line 2: not JSON: '}' at byte 9, where a value was expected`, "c"}},
		{"list_in_list", `[[{"uuid":"a"}]]`, []string{"line 1: the event is not a JSON object"}},
		{"list_of_scalars", `[1,2]`, []string{`fatal line 1: '1' stands in a list, where an event in { } was expected; nothing after it was read`}},
		{"list_without_comma", `[{"uuid":"a"}{"uuid":"b"}]`, []string{"a", `fatal line 1: '{' follows an event in a list, where "," or "]" was expected; nothing after it was read`}},
		{"list_without_end", "[{\"uuid\":\"a\"},\n", []string{"a", "fatal line 2: the file ends inside a list of events"}},
		{"items", `{"cursor":"c","has_more":false,"items":[{"uuid":"a"},{"uuid":"b"}],"after":{"x":[{}]}}`, []string{"a", "b"}},
		{"value_printed", "{\n\"@odata.context\": \"a\\\"}[\",\n\"value\" : [\n{\"uuid\":\"a\"}\n] }\n", []string{"a"}},
		{"pages", "{\"items\":[{\"uuid\":\"a\"}]}\n{\"items\":[]}\n{\"items\":[{\"uuid\":\"b\"}]}\n", []string{"a", "b"}},
		{"event_hook", `{"eventType":"com.okta.event_hook","data":{"version":1,"events":[{"uuid":"a"}],"x":"y"},"source":"s"}`, []string{"a"}},
		{"no_envelope", `{"uuid":"a","items":["x"]}`, []string{"a"}},
		{"data_that_is_none", `{"uuid":"a","data":{"x":1},"items":5}`, []string{"a"}},
		{"envelope_behind_much", `{"pad":"` + strings.Repeat("p", 40<<10) + `","items":[{"uuid":"a"}]}`, []string{"a"}},
		{"envelope_without_end", `{"items":[{"uuid":"a"}]`, []string{"a", "fatal line 1: the file ends inside an event"}},
		{"too_long_line", long + "\n{\"uuid\":\"b\"}\n", []string{"line 1: the event is longer than 1048576 bytes, the most that is read", "b"}},
		{"too_long_in_list", "[" + long + ",{\"uuid\":\"b\"}]", []string{"line 1: the event is longer than 1048576 bytes, the most that is read", "b"}},
		{"utf16", "\xff\xfe{\x00}\x00", []string{"fatal line 1: the file is UTF-16; save it as UTF-8"}},
		{"csv_for_json", "uuid,type\na,b\n", []string{`line 1: not JSON: 'u' at byte 1, where a value was expected`, `line 2: not JSON: 'a' at byte 1, where a value was expected`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, ids(t, strings.NewReader(tc.in), OnePassword)); diff != "" {
				t.Errorf("whole (-want +got):\n%s", diff)
			}
			if len(tc.in) < 1<<16 {
				if diff := cmp.Diff(tc.want, ids(t, iotest.OneByteReader(strings.NewReader(tc.in)), OnePassword)); diff != "" {
					t.Errorf("byte by byte (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestReadCSV(t *testing.T) {
	const head = "index,Login Timestamp,User ID,IP Address,Login Successful\n"
	for _, tc := range []struct {
		name, in string
		want     []string
	}{
		{"rows", head + "1,2026-01-01 00:00:00,7,192.0.2.1,True\r\n\r\n2,2026-01-01 00:00:00,7,192.0.2.1,False", []string{"row:1", "row:2"}},
		{"mark_and_other_order", "\ufeffUser ID,index,Login Successful,IP Address,login timestamp,\n7,1,True,192.0.2.1,2026-01-01 00:00:00,\n", []string{"row:1"}},
		{"short_row", head + "1,2026-01-01 00:00:00,7,192.0.2.1\n2,2026-01-01 00:00:00,7,192.0.2.1,True\n", []string{"line 2: the row has 4 fields; the header has 5 columns", "row:2"}},
		{"quotes_over_lines", head + "\"a\n\"\"b\",2026-01-01 00:00:00,7,192.0.2.1,True\n2,2026-01-01 00:00:00,7,192.0.2.1\n", []string{`row:a "b`, "line 4: the row has 4 fields; the header has 5 columns"}},
		{"bad_quote", head + "a\"b,2026-01-01 00:00:00,7,192.0.2.1,True\n2,2026-01-01 00:00:00,7,192.0.2.1,True\n", []string{`line 2: the quotes of the row do not match: bare " in non-quoted-field`, "row:2"}},
		{"time_out_of_range", head + "1,1926-01-01 00:00:00,7,192.0.2.1,True\n", []string{`line 2: the time "1926-01-01 00:00:00" is outside of the years 2000 to 2099`}},
		{"other_table", "name,value\na,b\n", []string{"fatal line 1: the header has no column Login Timestamp, User ID, IP Address, Login Successful; the first line of rba data must name its columns"}},
		{"endless_quote", head + "\"" + strings.Repeat("x\n", 1<<20), []string{"fatal line 1: a row is longer than 1048576 bytes; a quote may have no end"}},
		{"endless_header", strings.Repeat("x,", 1<<20), []string{"fatal line 1: a row is longer than 1048576 bytes; a quote may have no end"}},
		{"wide_header", strings.Repeat("x,", 300) + "y\n", []string{"fatal line 1: the header has 301 columns; at most 256 are read"}},
		{"json_too", "{\"index\":\"1\",\"Login Timestamp\":\"2026-01-01 00:00:00\"}\n", []string{"row:1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, ids(t, strings.NewReader(tc.in), RBA)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadBroken(t *testing.T) {
	broken := errors.New("the disk is gone")
	for name, start := range map[string]string{"at_once": "", "in_a_line": `{"uuid":"a"`, "in_a_list": `[{"uuid":"a"},`, "between": "{\"uuid\":\"a\"}\n", "in_an_envelope": `{"items":[{"uuid":`} {
		d, err := NewDecoder(OnePassword)
		if err != nil {
			t.Fatal(err)
		}
		var last *LineError
		for _, bad := range Read(io.MultiReader(strings.NewReader(start), iotest.ErrReader(broken)), d) {
			last = bad
		}
		if last == nil || !last.Fatal || !errors.Is(last, broken) {
			t.Errorf("%s: last error %v, want the one of the disk", name, last)
		}
	}
}

func TestReadStops(t *testing.T) {
	d, err := NewDecoder(OnePassword)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []string{"{\"uuid\":\"a\"}\n{\"uuid\":\"b\"}", `[{"uuid":"a"},{"uuid":"b"}]`, "{\n\"uuid\":\"a\"}\n{\n\"uuid\":\"b\"}", "bad\nbad\n"} {
		n := 0
		for range Read(strings.NewReader(in), d) {
			n++
			break
		}
		if n != 1 {
			t.Errorf("%q: %d rounds after break, want 1", in, n)
		}
	}
}

func TestNewDecoder(t *testing.T) {
	_, err := NewDecoder("syslog")
	want := `"syslog" is no format of events; it must be one of 1password, okta, entra, onelogin, ocsf, rba`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// people is a directory of one account.
type people map[string]string

func (p people) find(kind string, keys ...string) (string, bool) {
	id, ok := p[kind+" "+strings.ToLower(strings.Join(keys, " "))]
	return id, ok
}
func (p people) ByID(account, id string) (string, bool) { return p.find("id", account, id) }
func (p people) ByEmail(account, address string) (string, bool) {
	return p.find("email", account, address)
}
func (p people) ByAlias(account, source, alias string) (string, bool) {
	return p.find("alias", account, source, alias)
}

func TestIdentify(t *testing.T) {
	directory := people{
		"id acc 00u1": "P1", "email acc mira@example.org": "P2", "alias acc okta ikalm": "P3", "email other mira@example.org": "P4",
	}
	for _, tc := range []struct {
		name string
		user User
		want Match
	}{
		{"id", User{ID: "00u1", Email: "mira@example.org"}, Match{"P1", ByID, "00u1"}},
		{"address", User{ID: "00u9", Email: "Mira@Example.org"}, Match{"P2", ByEmail, "Mira@Example.org"}},
		{"login_is_an_address", User{Login: "mira@example.org"}, Match{"P2", ByEmail, "mira@example.org"}},
		{"alias", User{ID: "00u9", Login: "ikalm"}, Match{"P3", ByAlias, "ikalm"}},
		{"alias_is_an_address", User{Login: "somebody", Aliases: []string{" mira@example.org "}}, Match{"P2", ByAlias, "mira@example.org"}},
		{"display_name_never", User{Name: "ikalm"}, Match{}},
		{"nor_if_it_is_an_address", User{Name: "mira@example.org"}, Match{}},
		{"nobody", User{ID: "x", Login: "y", Email: "z@example.org"}, Match{}},
		{"nothing", User{}, Match{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Identify(&Event{AccountID: "acc", Source: Okta}, &tc.user, directory)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzRead reads hostile files: it must end, with at most one fatal error, the last.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"{\"uuid\":\"a\"}\n", `{"items":[{"uuid":"a"}]}`, `{"data":{"events":[{}]}}`, "[{},\n{}]", "{\n\"a\":[1]}\n", "a,b\n1,\"2\n\"\n", "\xef\xbb\xbf[", `{"items":[`, "[[[", "{\"\\"} {
		f.Add([]byte(s))
	}
	var decoders []Decoder
	for _, d := range Decoders() {
		if d.Name() == OnePassword || d.Name() == RBA {
			decoders = append(decoders, d)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, d := range decoders {
			var whole, bytewise []string
			for _, out := range []*[]string{&whole, &bytewise} {
				var r io.Reader = strings.NewReader(string(in))
				if out == &bytewise {
					r = iotest.OneByteReader(r)
				}
				ended := false
				for e, bad := range Read(r, d) {
					if ended {
						t.Fatal("an event after a fatal error")
					}
					if bad != nil {
						ended = bad.Fatal
						if bad.Line < 1 || bad.Reason == "" {
							t.Fatalf("line %d, reason %q", bad.Line, bad.Reason)
						}
					}
					*out = append(*out, fmt.Sprint(e.SourceID, bad))
				}
			}
			if diff := cmp.Diff(whole, bytewise); diff != "" {
				t.Fatalf("read at once and byte by byte differ:\n%s", diff)
			}
		}
	})
}
