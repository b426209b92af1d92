package signals

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestField(t *testing.T) {
	d, err := NewDecoder(Okta)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Decode([]byte(`{"uuid":"u","published":"2026-09-01T10:00:00Z","eventType":"user.session.start","displaymessage":"Hello","outcome":{"result":"SUCCESS","reason":null},
		"actor":{"alternateId":"a@example.org","displayName":""},"securityContext":{"isProxy":true,"asNumber":64500},"a.b":{"c":"dots"},
		"target":[{"displayName":"One"},{"displayName":"Two","list":[1,[2,null]]},"three"],"debugContext":{"debugData":{"behaviors":"{New IP=POSITIVE}","n":1.50}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		field string
		want  []string
	}{
		{"status_id", []string{"1"}},
		{"status", []string{"Success"}},
		{"time", []string{"2026-09-01T10:00:00Z"}},
		{"user.name", []string{"a@example.org"}},
		{"actor.user.name", nil},
		{"src_endpoint.is_proxy", []string{"true"}},
		{"is_mfa", nil},
		{"enrichments.new ip", []string{"POSITIVE"}},
		{"eventType", []string{"user.session.start"}},
		{"displayMessage", []string{"Hello"}},
		{"DISPLAYMESSAGE", []string{"Hello"}},
		{"securityContext.isProxy", []string{"true"}},
		{"securitycontext.asnumber", []string{"64500"}},
		{"actor.displayName", []string{""}},
		{"outcome.reason", nil},
		{"outcome.nothing", nil},
		{"eventType.nothing", nil},
		{"target.displayName", []string{"One", "Two"}},
		{"target.list", []string{"1", "2"}},
		{"debugContext.debugData.n", []string{"1.50"}},
		{"a.b", []string{`{"c":"dots"}`}},
		{"", nil},
		{".", nil},
		{"enrichments.", nil},
	} {
		if diff := cmp.Diff(tc.want, e.Field(tc.field)); diff != "" {
			t.Errorf("field %q (-want +got):\n%s", tc.field, diff)
		}
	}
}

func TestViewOfManyEvents(t *testing.T) {
	get, v := Field("k"), View{}
	var got []string
	for _, raw := range []string{`{"k":"a"}`, `not JSON`, `{"k":["b","c"]}`, ``} {
		v.Reset(&Event{Raw: raw})
		got = get(&v, got)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, got); diff != "" {
		t.Errorf("one view, four events (-want +got):\n%s", diff)
	}
}

// TestFieldNamesAreDocumented reads docs/events/ocsf.md, which rule authors read.
func TestFieldNamesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/events/ocsf.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range FieldNames() {
		if !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("docs/events/ocsf.md does not name the field `%s`", name)
		}
	}
}

func TestIsNotCheating(t *testing.T) {
	d, err := NewDecoder(RBA)
	if err != nil {
		t.Fatal(err)
	}
	e := golden(t, d)[1]
	if attack, takeover := Truth(&e); attack != Yes || takeover != Yes {
		t.Fatalf("truth = %v, %v; want Yes, Yes", attack, takeover)
	}
	e.Raw = ""
	v := View{Event: &e}
	for _, name := range FieldNames() {
		get, _ := OCSFField(name)
		for _, value := range get(&v, nil) {
			if strings.Contains(strings.ToLower(name+value), "attack") || strings.Contains(strings.ToLower(name+value), "takeover") {
				t.Errorf("field %s = %q tells a rule the truth", name, value)
			}
		}
	}
	if len(e.Unmapped) > 0 || len(e.Verdicts) > 1 {
		t.Errorf("unmapped %v, verdicts %v; want only the round-trip time", e.Unmapped, e.Verdicts)
	}
	if attack, takeover := Truth(&Event{Source: Okta, Raw: `{"Is Attack IP":true}`}); attack != Unknown || takeover != Unknown {
		t.Errorf("truth of another source = %v, %v; want Unknown", attack, takeover)
	}
}

// TestEntraCodesAreDocumented holds the table of error codes against the page.
func TestEntraCodesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/events/ocsf.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{} // code → the cells after it
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		for code := range strings.SplitSeq(cells[1], ",") {
			rows[strings.TrimSpace(code)] = cells[2] + cells[3]
		}
	}
	for code, want := range entraCodes() {
		row := rows[strconv.FormatInt(code, 10)]
		status := map[StatusID]string{StatusFailure: "Failure", StatusOther: "Other"}[want.status]
		if !strings.Contains(row, status) || !strings.Contains(row, "`"+string(want.reason)+"`") {
			t.Errorf("code %d is %s, %s; docs/events/ocsf.md says %q", code, status, want.reason, row)
		}
	}
}
