package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/web"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 123456789, time.FixedZone("CET", 3600))

// chain makes a chain of n links.
func chain(n int) ([]audit.Link, audit.Head) {
	head := audit.Head{AccountID: "T4JX7QZL2VNRWB6KMPSDCYGH5E"}
	var links []audit.Link
	for i := range n {
		l := head.Next(audit.Entry{
			Actor: "client:1", Action: audit.UserSuspend, Target: fmt.Sprintf("user:%d", i), Reason: "why", RequestID: "R", Address: "192.0.2.1",
		}, noon.Add(time.Duration(i)*time.Second))
		links, head = append(links, l), l.Head()
	}
	return links, head
}

// seq reads links, and ends with the error if there is one.
func seq(links []audit.Link, err error) iter.Seq2[audit.Link, error] {
	return func(yield func(audit.Link, error) bool) {
		for _, l := range links {
			if !yield(l, nil) {
				return
			}
		}
		if err != nil {
			yield(audit.Link{}, err)
		}
	}
}

// TestSumIsStable: hashes (computed apart, from the comment of Link.Sum) of links that are in people's databases and exports never change.
func TestSumIsStable(t *testing.T) {
	links, _ := chain(2)
	got := []string{links[0].Hash.String(), links[1].Hash.String()}
	want := []string{
		"83dae7805c9692d826f3f5918f5e73c26d3b4a30bfdfee83ecf9b8c5aef8ad45",
		"05a7aa52b492677411164eef24ee99a69d913d5c117980dd87b3a7a8f67f19fa",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hashes (-want +got):\n%s", diff)
	}
	if links[1].Prev != links[0].Hash || links[0].Prev != (audit.Hash{}) || links[0].Time != time.Date(2026, 11, 24, 11, 0, 0, 123456000, time.UTC) {
		t.Errorf("links %+v", links)
	}
}

// TestSumCoversEverything: no two links that differ in anything have the same hash, not even if text moves
// from one field to the next.
func TestSumCoversEverything(t *testing.T) {
	links, _ := chain(1)
	seen := map[audit.Hash]string{links[0].Sum(): "nothing"}
	for name, change := range map[string]func(l *audit.Link){
		"account": func(l *audit.Link) { l.AccountID += "x" }, "seq": func(l *audit.Link) { l.Seq++ },
		"time": func(l *audit.Link) { l.Time = l.Time.Add(time.Microsecond) }, "prev": func(l *audit.Link) { l.Prev[31]++ },
		"actor": func(l *audit.Link) { l.Entry.Actor += "x" }, "action": func(l *audit.Link) { l.Entry.Action += "x" },
		"target": func(l *audit.Link) { l.Entry.Target += "x" }, "outcome": func(l *audit.Link) { l.Entry.Outcome += "x" },
		"reason": func(l *audit.Link) { l.Entry.Reason += "x" }, "request": func(l *audit.Link) { l.Entry.RequestID += "x" },
		"address": func(l *audit.Link) { l.Entry.Address += "x" },
		"moved":   func(l *audit.Link) { l.Entry.Target += l.Entry.Reason; l.Entry.Reason = "" },
		"empty":   func(l *audit.Link) { l.Entry = audit.Entry{} },
	} {
		l := links[0]
		change(&l)
		if other, ok := seen[l.Sum()]; ok {
			t.Errorf("changing %s gives the hash of changing %s", name, other)
		}
		seen[l.Sum()] = name
	}
}

func TestVerify(t *testing.T) {
	broken := errors.New("the disk is gone")
	tests := []struct {
		name   string
		tamper func(links []audit.Link, head *audit.Head) []audit.Link
		readEr error
		good   int64
		at     int64  // link of the fault; 0: none
		want   string // in the error
	}{
		{"whole", func(l []audit.Link, _ *audit.Head) []audit.Link { return l }, nil, 5, 0, ""},
		{"changed", func(l []audit.Link, _ *audit.Head) []audit.Link { l[2].Entry.Reason = "x"; return l }, nil, 2, 3, "it was changed"},
		{"changed_and_hashed_again", func(l []audit.Link, _ *audit.Head) []audit.Link {
			l[2].Entry.Reason = "x"
			l[2].Hash = l[2].Sum()
			return l
		}, nil, 3, 4, "the hash before it"},
		{"missing", func(l []audit.Link, _ *audit.Head) []audit.Link { return slices.Delete(l, 1, 2) }, nil, 1, 2, "number 3"},
		{"first_missing", func(l []audit.Link, _ *audit.Head) []audit.Link { return l[1:] }, nil, 0, 1, "number 2"},
		{"swapped", func(l []audit.Link, _ *audit.Head) []audit.Link { l[1], l[2] = l[2], l[1]; return l }, nil, 1, 2, "number 3"},
		{"twice", func(l []audit.Link, _ *audit.Head) []audit.Link { return slices.Insert(l, 2, l[1]) }, nil, 2, 3, "number 2"},
		{"tail_cut", func(l []audit.Link, _ *audit.Head) []audit.Link { return l[:4] }, nil, 4, 5, "the chain ends at link 4"},
		{"all_gone", func([]audit.Link, *audit.Head) []audit.Link { return nil }, nil, 0, 1, "the chain ends at link 0"},
		{"one_too_many", func(l []audit.Link, h *audit.Head) []audit.Link { *h = l[3].Head(); return l }, nil, 5, 6, "its head says link 4"},
		{"foreign", func(l []audit.Link, _ *audit.Head) []audit.Link { l[4].AccountID = "X"; return l }, nil, 4, 5, `the account "X"`},
		{"unreadable", func(l []audit.Link, _ *audit.Head) []audit.Link { return l[:2] }, broken, 2, 0, "the disk is gone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			links, head := chain(5)
			links = tt.tamper(links, &head)
			good, err := audit.Verify(seq(links, tt.readEr), head)
			if good != tt.good {
				t.Errorf("%d good links, want %d", good, tt.good)
			}
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Fatalf("error is %v, want %q in it", err, tt.want)
			}
			f, ok := errors.AsType[*audit.Fault](err)
			if ok != (tt.at != 0) || ok && (f.Seq != tt.at || f.AccountID != head.AccountID) {
				t.Errorf("error is %+v, want a fault at %d", err, tt.at)
			}
		})
	}
	if good, err := audit.Verify(seq(nil, nil), audit.Head{AccountID: "A"}); good != 0 || err != nil {
		t.Errorf("an empty chain: %d %v", good, err)
	}
}

func export(t testing.TB, links []audit.Link) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	if n, err := audit.Export(&b, seq(links, nil)); err != nil || n != int64(len(links)) {
		t.Fatalf("%d of %d exported: %v", n, len(links), err)
	}
	return &b
}

func TestExport(t *testing.T) {
	links, head := chain(4)
	text := export(t, links).String()
	if n := strings.Count(text, "\n"); n != 4 {
		t.Errorf("%d lines", n)
	}
	var back []audit.Link
	for l, err := range audit.Import(strings.NewReader(text)) {
		if err != nil {
			t.Fatal(err)
		}
		back = append(back, l)
	}
	if diff := cmp.Diff(links, back); diff != "" {
		t.Errorf("after export and import (-want +got):\n%s", diff)
	}
	lines := strings.SplitAfter(text, "\n")
	for name, tt := range map[string]struct {
		text string
		good int64
		head audit.Head
		want string
	}{
		"whole":        {text, 4, head, ""},
		"from_the_mid": {lines[2] + lines[3], 2, head, ""},
		"empty":        {"", 0, audit.Head{}, ""},
		"missing":      {lines[0] + lines[2], 1, links[0].Head(), "number 3"},
		"changed":      {lines[0] + strings.Replace(lines[1], `"why"`, `"who"`, 1) + lines[2], 1, links[0].Head(), "it was changed"},
		"no_json":      {lines[0] + "hello\n", 1, links[0].Head(), "line 2 is not a line of an audit export"},
		"cut":          {lines[0] + lines[1][:100], 1, links[0].Head(), "line 2 is not a line of an audit export"},
		"no_hash":      {strings.Replace(lines[0], links[0].Hash.String(), "beef", 1), 0, audit.Head{}, "a hash has 32 bytes, found 2"},
		"no_time":      {strings.Replace(lines[0], "2026-11-24", "24.11.2026", 1), 0, audit.Head{}, "line 1 is not a line of an audit export"},
	} {
		t.Run(name, func(t *testing.T) {
			head, good, err := audit.VerifyExport(strings.NewReader(tt.text))
			if good != tt.good || head != tt.head || (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%d good up to %+v: %v, want %d up to %+v and %q", good, head, err, tt.good, tt.head, tt.want)
			}
		})
	}
	broken := errors.New("the disk is gone")
	if n, err := audit.Export(&bytes.Buffer{}, seq(links, broken)); n != 4 || !errors.Is(err, broken) {
		t.Errorf("export of an unreadable chain: %d, %v", n, err)
	}
	if _, err := audit.Export(full{}, seq(links, nil)); err == nil || !strings.Contains(err.Error(), "write audit link 1") {
		t.Errorf("export to a full disk: %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestEntriesAreClean: what a database could not store, or would store otherwise, is made storable before it
// is hashed.
func TestEntriesAreClean(t *testing.T) {
	in := audit.Entry{Actor: "a\x00b", Action: audit.UserSuspend, Target: "\xff", Reason: strings.Repeat("é", 600), RequestID: "r\r\n", Address: "\x1b[0m"}
	l := audit.Head{AccountID: "A"}.Next(in, noon)
	want := audit.Entry{Actor: "ab", Action: audit.UserSuspend, Target: "?", Outcome: audit.Done, Reason: strings.Repeat("é", 500), RequestID: "r\r\n", Address: "\x1b[0m"}
	if diff := cmp.Diff(want, l.Entry); diff != "" || l.Sum() != l.Hash {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	cut := audit.Head{AccountID: "A"}.Next(audit.Entry{Reason: "x" + strings.Repeat("é", 600)}, noon)
	if got := cut.Entry.Reason; len(got) > 1000 || !strings.HasSuffix(got, "é?") {
		t.Errorf("cut within a character: %d bytes, %q", len(got), got[len(got)-4:])
	}
}

func TestBy(t *testing.T) {
	var got audit.Entry
	h, err := web.New(web.Config{
		Routes: []web.Route{{Pattern: "GET /x", Access: web.Public("test"), Errors: problem.RPC, Handle: func(w http.ResponseWriter, r *http.Request) error {
			got = audit.By(r, audit.UserSuspend, "user:1").Because("leaked").AsRefused("policy")
			return nil
		}}},
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/x", nil)) // httptest's peer is 192.0.2.1
	want := audit.Entry{
		Actor: "anonymous", Action: audit.UserSuspend, Target: "user:1", Outcome: audit.Refused, Reason: "policy",
		RequestID: w.Header().Get("Request-Id"), Address: "192.0.2.1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	// Outside the edge there is neither id nor address.
	bare := audit.By(httptest.NewRequest("GET", "/x", nil), audit.UserSuspend, "user:1")
	if bare.RequestID != "" || bare.Address != "" || bare.Actor != "anonymous" || bare.Outcome != audit.Done {
		t.Errorf("entry %+v", bare)
	}
}

// FuzzImport: whatever is read, nothing panics; a link that is read survives another export as it is; and
// what verifies really is a chain.
func FuzzImport(f *testing.F) {
	links, _ := chain(3)
	text := export(f, links).String()
	f.Add(text)
	f.Add(text[len(text)/2:])
	f.Add(strings.Replace(text, "done", "refused", 1))
	f.Add(`{"account_id":"A","seq":1,"time":"2026-11-24T12:00:00.000000Z","prev":"","hash":""}`)
	f.Add("{}\n[]\nnull\n\"\"\n1e999")
	f.Fuzz(func(t *testing.T, text string) {
		var read []audit.Link
		for l, err := range audit.Import(strings.NewReader(text)) {
			if err != nil {
				break
			}
			read = append(read, l)
		}
		n := 0
		for l, err := range audit.Import(export(t, read)) {
			if err != nil || !cmp.Equal(l, read[n]) {
				t.Fatalf("read %+v, after export %+v: %v", read[n], l, err)
			}
			n++
		}
		head, good, err := audit.VerifyExport(strings.NewReader(text))
		if good > int64(len(read)) || err == nil && good != int64(len(read)) {
			t.Fatalf("%d of %d links are good: %v", good, len(read), err)
		}
		for i, l := range read[:good] {
			if l.Sum() != l.Hash || i > 0 && (l.Prev != read[i-1].Hash || l.Seq != read[i-1].Seq+1) {
				t.Fatalf("link %d verifies and is not in its chain", i)
			}
		}
		if good > 0 && head != read[good-1].Head() {
			t.Fatalf("the head is %+v", head)
		}
	})
}
