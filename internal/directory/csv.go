package directory

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"holdfast/internal/problem"
)

// Import is a file of people, read and checked line by line.
type Import struct {
	People  []NewUser   // who can be added, in the order of the file
	Lines   []int       // Lines[i] is where People[i] stands; the header is line 1
	Refused []LineError // in the order of the file
}

// LineError is a line that cannot be imported.
type LineError struct {
	Line   int    `json:"line"`
	Email  string `json:"email"`  // as it was written; may be empty
	Reason string `json:"reason"` // what was found, what was expected
}

// Error is the line with its reason.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// The columns that are known. A file has email and one of display_name and name.
const (
	columnEmail   = "email"
	columnDisplay = "display_name"
	columnName    = "name"
	columnGroups  = "groups"
	columnManaged = "externally_managed"
)

func columns() []string {
	return []string{columnEmail, columnDisplay, columnName, columnGroups, columnManaged}
}

// everyLines is how often a long read looks whether it was stopped, and tells how far it is.
const everyLines = 1000

// ReadCSV reads people from CSV (RFC 4180, UTF-8 with or without a byte order mark), with a header in
// its first line and its columns in any order:
//
//	email               required; unique in the file, letter case ignored
//	display_name, name  one of the two, required
//	groups              names of groups, separated by ";"
//	externally_managed  true or false; nothing means false
//
// A line that cannot be imported is refused and the next one is read, so that all faults of a file
// are found at once. A header that cannot be understood is a problem of kind Invalid: no line has a
// meaning then. What only the account can tell, [Import.Check] finds.
func ReadCSV(ctx context.Context, r io.Reader, progress func(lines int)) (*Import, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	if err := skipMark(in); err != nil {
		return nil, err
	}
	rows := csv.NewReader(in)
	rows.FieldsPerRecord = -1 // checked here, with a better message
	rows.ReuseRecord = true
	names, err := rows.Read()
	if err != nil {
		return nil, headerError(err)
	}
	head, err := readHeader(names)
	if err != nil {
		return nil, err
	}
	f := &importer{header: head, seen: map[string]int{}, lists: map[string][]string{}, out: &Import{}}
	for n := 1; ; n++ {
		if n%everyLines == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			progress(n)
		}
		fields, err := rows.Read()
		if err == io.EOF {
			return f.out, nil
		}
		if bad, ok := errors.AsType[*csv.ParseError](err); ok {
			f.refuse(bad.StartLine, "", quoteReason(bad))
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read line after %d: %w", n, err)
		}
		line, _ := rows.FieldPos(0)
		f.row(line, fields)
	}
}

// skipMark skips the byte order mark that spreadsheets write, and refuses what is not UTF-8 by its own mark.
func skipMark(in *bufio.Reader) error {
	start, err := in.Peek(3)
	if err != nil && err != io.EOF {
		return fmt.Errorf("read header: %w", err)
	}
	switch {
	case strings.HasPrefix(string(start), "\xef\xbb\xbf"):
		_, _ = in.Discard(3) // they were peeked, so they are there
	case strings.HasPrefix(string(start), "\xff\xfe"), strings.HasPrefix(string(start), "\xfe\xff"):
		return problem.New(problem.Invalid, "the file is UTF-16; save it as CSV UTF-8")
	}
	return nil
}

func headerError(err error) error {
	if bad, ok := errors.AsType[*csv.ParseError](err); ok {
		return problem.New(problem.Invalid, "the header cannot be read: %s", quoteReason(bad))
	}
	if err == io.EOF {
		return problem.New(problem.Invalid, "the file is empty; its first line must name the columns: %s", strings.Join(columns(), ", "))
	}
	return fmt.Errorf("read header: %w", err)
}

// quoteReason says in our words what encoding/csv found.
func quoteReason(e *csv.ParseError) string {
	if errors.Is(e.Err, csv.ErrBareQuote) {
		return `a quote (") inside a field that does not begin with one; put the whole field into quotes and write "" for each quote in it`
	}
	s := `a field that begins with a quote (") does not end with one before the next comma; write "" for a quote inside it`
	if e.Line > e.StartLine {
		s += fmt.Sprintf(" (the field reaches to line %d)", e.Line)
	}
	return s
}

// header says which field holds what; -1 for a column that the file does not have.
type header struct {
	count                        int
	email, name, groups, managed int
}

func readHeader(names []string) (header, error) {
	h := header{count: len(names), email: -1, name: -1, groups: -1, managed: -1}
	at := map[string]*int{
		columnEmail: &h.email, columnDisplay: &h.name, columnName: &h.name, columnGroups: &h.groups, columnManaged: &h.managed,
	}
	fold := strings.NewReplacer(" ", "_", "-", "_")
	for i, raw := range names {
		name := fold.Replace(strings.ToLower(strings.TrimSpace(raw)))
		place, ok := at[name]
		switch {
		case name == "":
			return h, problem.New(problem.Invalid, "column %d of the header has no name; the columns are: %s", i+1, strings.Join(columns(), ", "))
		case !ok && len(names) == 1 && strings.ContainsAny(raw, ";\t"):
			return h, problem.New(problem.Invalid, "the header %q is one column; columns must be separated by commas", raw)
		case !ok:
			return h, problem.New(problem.Invalid, "there is no column %q%s", raw, suggest(name, columns()))
		case *place >= 0:
			return h, problem.New(problem.Invalid, "column %d, %q, says again what column %d says; keep one of them", i+1, raw, *place+1)
		}
		*place = i
	}
	if h.email < 0 || h.name < 0 {
		return h, problem.New(problem.Invalid, "the header has the columns %s; it must have email and display_name (or name)", strings.Join(names, ", "))
	}
	return h, nil
}

// importer takes one row after the other.
type importer struct {
	header header
	seen   map[string]int      // EmailKey → line
	lists  map[string][]string // written list of groups → names; a file repeats few lists often
	out    *Import
}

func (f *importer) refuse(line int, email, reason string) {
	f.out.Refused = append(f.out.Refused, LineError{Line: line, Email: email, Reason: reason})
}

func (f *importer) row(line int, fields []string) {
	email := ""
	if f.header.email < len(fields) {
		email = strings.TrimSpace(fields[f.header.email])
	}
	if len(fields) != f.header.count {
		f.refuse(line, email, fmt.Sprintf("the line has %s, the header has %d; a field that holds a comma must be in quotes", count(len(fields), "field"), f.header.count))
		return
	}
	u := NewUser{Email: email, DisplayName: fields[f.header.name]}
	var faults []string
	if err := u.Check(); err != nil {
		faults = append(faults, problem.Public(err).Detail)
	}
	if f.header.groups >= 0 {
		u.Groups = f.groups(fields[f.header.groups])
	}
	if f.header.managed >= 0 {
		var fault string
		if u.ExternallyManaged, fault = managed(fields[f.header.managed]); fault != "" {
			faults = append(faults, fault)
		}
	}
	if email != "" {
		key := EmailKey(email)
		if first, ok := f.seen[key]; ok {
			faults = append(faults, fmt.Sprintf("line %d has the email %q already", first, email))
		} else {
			f.seen[key] = line
		}
	}
	if len(faults) > 0 {
		f.refuse(line, email, strings.Join(faults, "; "))
		return
	}
	f.out.People = append(f.out.People, u)
	f.out.Lines = append(f.out.Lines, line)
}

// groups reads names separated by ";".
func (f *importer) groups(text string) []string {
	if text == "" {
		return nil
	}
	list, ok := f.lists[text]
	if !ok {
		seen := map[string]bool{"": true}
		for name := range strings.SplitSeq(text, ";") {
			name = strings.TrimSpace(name)
			if key := GroupKey(name); !seen[key] {
				seen[key] = true
				list = append(list, name)
			}
		}
		f.lists[strings.Clone(text)] = list
	}
	return list
}

func managed(text string) (value bool, fault string) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true":
		return true, ""
	case "false", "":
		return false, ""
	}
	return false, fmt.Sprintf("externally_managed is %q; it must be true or false", text)
}

// Check refuses what the account has already and what it does not know: emails and groups.
func (m *Import) Check(ctx context.Context, s Store, accountID string) error {
	groups, err := s.Groups(ctx, accountID)
	if err != nil {
		return err
	}
	names := make([]string, len(groups))
	faults := map[string]string{} // written name → what is wrong with it, or ""
	known := map[string]bool{}
	for i, g := range groups {
		names[i] = g.Name
		known[GroupKey(g.Name)] = true
	}
	unknown := func(name string) string {
		fault, ok := faults[name]
		if !ok {
			if !known[GroupKey(name)] {
				fault = fmt.Sprintf("the account has no group %q%s", name, suggest(name, names))
			}
			faults[name] = fault
		}
		return fault
	}
	keys := make([]string, len(m.People))
	for i, u := range m.People {
		keys[i] = EmailKey(u.Email)
	}
	found, err := s.KnownEmails(ctx, accountID, keys)
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(found))
	for _, key := range found {
		there[key] = true
	}
	m.filter(func(i int, u NewUser) string {
		var bad []string
		if there[keys[i]] {
			bad = append(bad, fmt.Sprintf("the account already has a person with the email %q", u.Email))
		}
		for _, name := range u.Groups {
			if fault := unknown(name); fault != "" {
				bad = append(bad, fault)
			}
		}
		return strings.Join(bad, "; ")
	})
	return nil
}

// filter refuses the people for whom fault gives a reason.
func (m *Import) filter(fault func(i int, u NewUser) string) {
	kept := 0
	for i, u := range m.People {
		if reason := fault(i, u); reason != "" {
			m.Refused = append(m.Refused, LineError{Line: m.Lines[i], Email: u.Email, Reason: reason})
			continue
		}
		m.People[kept], m.Lines[kept] = u, m.Lines[i]
		kept++
	}
	clear(m.People[kept:])
	m.People, m.Lines = m.People[:kept], m.Lines[:kept]
	slices.SortStableFunc(m.Refused, func(a, b LineError) int { return cmp.Compare(a.Line, b.Line) })
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// suggest names the one that was perhaps meant, or all if there are few.
func suggest(name string, known []string) string {
	best, at := "", len(name)/2+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < at {
			best, at = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %s?", best)
	case len(known) <= 12:
		return "; there are: " + strings.Join(known, ", ")
	}
	return ""
}

// distance is the number of bytes to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
