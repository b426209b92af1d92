package directory_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/directory"
	"holdfast/internal/problem"
)

func read(t testing.TB, text string) (*directory.Import, error) {
	t.Helper()
	return directory.ReadCSV(t.Context(), strings.NewReader(text), func(int) {})
}

func TestReadCSV(t *testing.T) {
	mira := directory.NewUser{Email: "mira@example.org", DisplayName: "Mira Oduya"}
	with := func(u directory.NewUser, managed bool, groups ...string) directory.NewUser {
		u.ExternallyManaged, u.Groups = managed, groups
		return u
	}
	tests := []struct {
		name, in string
		people   []directory.NewUser
		lines    []int
	}{
		{"two_columns", "email,name\nmira@example.org,Mira Oduya\n", []directory.NewUser{mira}, []int{2}},
		{"display_name", "email,display_name\nmira@example.org,Mira Oduya", []directory.NewUser{mira}, []int{2}},
		{"any_order", "groups,externally_managed,name,email\nSecurity; Owners ;;security,TRUE,Mira Oduya,mira@example.org\n",
			[]directory.NewUser{with(mira, true, "Security", "Owners")}, []int{2}},
		{"empty_optional", "email,name,groups,externally_managed\nmira@example.org,Mira Oduya,,\n", []directory.NewUser{mira}, []int{2}},
		{"byte_order_mark", "\ufeffemail,name\nmira@example.org,Mira Oduya\n", []directory.NewUser{mira}, []int{2}},
		{"crlf", "email,name\r\nmira@example.org,Mira Oduya\r\n", []directory.NewUser{mira}, []int{2}},
		{"header_spelling", " Email ,Display-Name\n mira@example.org , Mira Oduya \n", []directory.NewUser{mira}, []int{2}},
		{"quoted", "email,name\n\"mira@example.org\",\"Oduya, \"\"Mira\"\"\"\n", []directory.NewUser{{Email: "mira@example.org", DisplayName: `Oduya, "Mira"`}}, []int{2}},
		{"blank_lines", "email,name\n\n\nmira@example.org,Mira Oduya\n\n", []directory.NewUser{mira}, []int{4}},
		{"header_only", "email,name\n", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := read(t, tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&directory.Import{People: tt.people, Lines: tt.lines}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadCSVRefusedLines(t *testing.T) {
	const file = `email,name,groups,externally_managed
mira@example.org,Mira Oduya,Security,false
not an address,Tomas Rehn,,
MIRA@Example.org,Mira Again,,
,Nobody,,
tomas@example.org,,,maybe
a@example.org,A,,,,
b@example.org
c@example.org,"C" D,,
d@example.org,E "F",,
Straße@example.org,S,,
STRASSE@example.org,S,,
last@example.org,Last,,true
`
	got, err := read(t, file)
	if err != nil {
		t.Fatal(err)
	}
	want := &directory.Import{
		People: []directory.NewUser{
			{Email: "mira@example.org", DisplayName: "Mira Oduya", Groups: []string{"Security"}},
			{Email: "Straße@example.org", DisplayName: "S"},
			{Email: "last@example.org", DisplayName: "Last", ExternallyManaged: true},
		},
		Lines: []int{2, 11, 13},
		Refused: []directory.LineError{
			{Line: 3, Email: "not an address", Reason: `"not an address" is not an email address such as mira@example.org`},
			{Line: 4, Email: "MIRA@Example.org", Reason: `line 2 has the email "MIRA@Example.org" already`},
			{Line: 5, Reason: "the email is missing"},
			{Line: 6, Email: "tomas@example.org", Reason: `the display name is missing; externally_managed is "maybe"; it must be true or false`},
			{Line: 7, Email: "a@example.org", Reason: "the line has 6 fields, the header has 4; a field that holds a comma must be in quotes"},
			{Line: 8, Email: "b@example.org", Reason: "the line has 1 field, the header has 4; a field that holds a comma must be in quotes"},
			{Line: 9, Reason: `a field that begins with a quote (") does not end with one before the next comma; write "" for a quote inside it`},
			{Line: 10, Reason: `a quote (") inside a field that does not begin with one; put the whole field into quotes and write "" for each quote in it`},
			{Line: 12, Email: "STRASSE@example.org", Reason: `line 11 has the email "STRASSE@example.org" already`},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadCSVUnclosedQuote(t *testing.T) {
	got, err := read(t, "email,name\na@example.org,A\nb@example.org,\"B\nc@example.org,C\n")
	if err != nil {
		t.Fatal(err)
	}
	want := &directory.Import{
		People: []directory.NewUser{{Email: "a@example.org", DisplayName: "A"}}, Lines: []int{2},
		Refused: []directory.LineError{{Line: 3, Reason: `a field that begins with a quote (") does not end with one before the next comma; write "" for a quote inside it (the field reaches to line 4)`}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadCSVHeader(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", "the file is empty; its first line must name the columns: email, display_name, name, groups, externally_managed"},
		{"unknown", "e-mail,name\n", `there is no column "e-mail"; did you mean email?`},
		{"far_off", "email,name,telephone\n", `there is no column "telephone"; there are: email, display_name, name, groups, externally_managed`},
		{"no_name", "email,groups\n", "the header has the columns email, groups; it must have email and display_name (or name)"},
		{"no_header", "mira@example.org,Mira\n", `there is no column "mira@example.org"; there are: email, display_name, name, groups, externally_managed`},
		{"twice", "email,name,Email\n", `column 3, "Email", says again what column 1 says; keep one of them`},
		{"both_names", "email,name,display_name\n", `column 3, "display_name", says again what column 2 says; keep one of them`},
		{"unnamed", "email,,name\n", "column 2 of the header has no name; the columns are: email, display_name, name, groups, externally_managed"},
		{"semicolons", "email;name\n", `the header "email;name" is one column; columns must be separated by commas`},
		{"utf16", "\xff\xfee\x00m\x00", "the file is UTF-16; save it as CSV UTF-8"},
		{"quote", "em\"ail,name\n", `the header cannot be read: a quote (") inside a field that does not begin with one; put the whole field into quotes and write "" for each quote in it`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := read(t, tt.in)
			if !problem.Is(err, problem.Invalid) {
				t.Fatalf("error is %v, want a problem of kind Invalid", err)
			}
			if diff := cmp.Diff(tt.want, problem.Public(err).Detail); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadCSVStops(t *testing.T) {
	many := "email,name\n" + strings.Repeat("x,y\n", 5000)
	ctx, stop := context.WithCancel(t.Context())
	_, err := directory.ReadCSV(ctx, strings.NewReader(many), func(int) { stop() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
	broken := errors.New("disk is gone")
	_, err = directory.ReadCSV(t.Context(), io.MultiReader(strings.NewReader("email,name\na@example.org,A\n"), iotest.ErrReader(broken)), func(int) {})
	if !errors.Is(err, broken) {
		t.Errorf("error is %v, want %v", err, broken)
	}
}

// account is the part of a store that an import asks.
type account struct {
	directory.Store
	groups []string
	emails []string
	err    error
}

func (a account) Groups(context.Context, string) (gs []directory.Group, err error) {
	for _, name := range a.groups {
		gs = append(gs, directory.Group{Name: name})
	}
	return gs, nil
}

func (a account) KnownEmails(_ context.Context, _ string, keys []string) ([]string, error) {
	var known []string
	for _, key := range keys {
		for _, e := range a.emails {
			if e == key {
				known = append(known, e)
			}
		}
	}
	return known, a.err
}

func TestImportCheck(t *testing.T) {
	m, err := read(t, "email,name,groups\nx,X,\nMira@example.org,Mira,\ntomas@example.org,Tomas,securty\nyuki@example.org,Yuki,SECURITY;Night Shift\nowner@example.org,O,Nowhere;Owners\n")
	if err != nil {
		t.Fatal(err)
	}
	a := account{groups: []string{"Owners", "Security"}, emails: []string{"mira@example.org", "owner@example.org"}}
	if err := m.Check(t.Context(), a, "A"); err != nil {
		t.Fatal(err)
	}
	want := &directory.Import{People: []directory.NewUser{}, Lines: []int{}, Refused: []directory.LineError{
		{Line: 2, Email: "x", Reason: `"x" is not an email address such as mira@example.org`},
		{Line: 3, Email: "Mira@example.org", Reason: `the account already has a person with the email "Mira@example.org"`},
		{Line: 4, Email: "tomas@example.org", Reason: `the account has no group "securty"; did you mean Security?`},
		{Line: 5, Email: "yuki@example.org", Reason: `the account has no group "Night Shift"; there are: Owners, Security`},
		{Line: 6, Email: "owner@example.org", Reason: `the account already has a person with the email "owner@example.org"; the account has no group "Nowhere"; did you mean Owners?`},
	}}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a.err = errors.New("away")
	if err := m.Check(t.Context(), a, "A"); !errors.Is(err, a.err) {
		t.Errorf("error is %v, want %v", err, a.err)
	}
}

func FuzzReadCSV(f *testing.F) {
	for _, s := range []string{
		"email,name\na@example.org,A\n", "\ufeffemail,name,groups\r\n\"a@example.org\",\"A, B\",x;y\r\n", "email;name\n", "email,name\n\"", "name,email,externally_managed\nA,a@b.c,true\nA,A@b.c,no\n",
		"email,name\na@example.org,A\xff\n", "email,name\n\"a\nb\",c\n", "\xff\xfe", "email,name\na@example.org,\x00\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := read(t, text)
		if err != nil {
			if !problem.Is(err, problem.Invalid) {
				t.Fatalf("%q is not said to be invalid: %v", text, err)
			}
			return
		}
		if len(m.People) != len(m.Lines) {
			t.Fatalf("%d people have %d lines", len(m.People), len(m.Lines))
		}
		var again strings.Builder
		w := csv.NewWriter(&again)
		rows := [][]string{{"externally_managed", "display_name", "email", "groups"}}
		keys, last := map[string]bool{}, 1
		for i, u := range m.People {
			checked := u
			if err := checked.Check(); err != nil || !cmp.Equal(u, checked) {
				t.Errorf("%+v was accepted: %v", u, err)
			}
			if key := directory.EmailKey(u.Email); keys[key] {
				t.Errorf("%q was accepted twice", u.Email)
			} else {
				keys[key] = true
			}
			if m.Lines[i] <= last {
				t.Errorf("line %d comes after line %d", m.Lines[i], last)
			}
			last = m.Lines[i]
			rows = append(rows, []string{strconv.FormatBool(u.ExternallyManaged), u.DisplayName, u.Email, strings.Join(u.Groups, ";")})
		}
		for _, e := range m.Refused {
			if e.Line < 2 || e.Reason == "" {
				t.Errorf("refused without a reason or a line: %+v", e)
			}
		}
		if err := w.WriteAll(rows); err != nil {
			t.Fatal(err)
		}
		// What was accepted is accepted again, and is the same.
		m2, err := read(t, again.String())
		if err != nil || len(m2.Refused) > 0 || !cmp.Equal(m.People, m2.People) {
			t.Errorf("written again it reads differently: %v %v\n%s", err, m2, cmp.Diff(m.People, m2.People))
		}
	})
}

func BenchmarkReadCSV(b *testing.B) {
	var file strings.Builder
	file.WriteString("email,name,groups\n")
	for i := range 10_000 {
		fmt.Fprintf(&file, "mira.oduya%d@corp.example.org,Mira Oduya,Security\n", i)
	}
	b.SetBytes(int64(file.Len()))
	for b.Loop() {
		if m, err := read(b, file.String()); err != nil || len(m.People) != 10_000 {
			b.Fatal(err)
		}
	}
}
