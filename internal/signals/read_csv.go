package signals

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// csv reads a table. Each row becomes an object of its columns by name, which is what the decoder gets
// and what Event.Raw keeps; so rules reach columns that the decoder has no place for.
func (f *file) csv(t table) {
	limit := &fuse{r: f.in}
	rows := csv.NewReader(limit)
	rows.FieldsPerRecord = -1 // checked here, with a better message
	rows.ReuseRecord = true
	limit.reset()
	header, err := rows.Read()
	if err != nil {
		f.csvBroken(err, limit)
		return
	}
	if len(header) > maxColumns {
		f.fail("the header has %d columns; at most %d are read", len(header), maxColumns)
		return
	}
	var missing []string
	for _, want := range rbaColumns() {
		if !slices.ContainsFunc(header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), want) }) {
			missing = append(missing, want)
		}
	}
	if missing != nil {
		f.fail("the header has no column %s; the first line of %s data must name its columns", strings.Join(missing, ", "), t.Name())
		return
	}
	names := make([][]byte, len(header))
	for i, h := range header {
		if h = strings.TrimSpace(h); h != "" {
			names[i] = appendText(nil, h)
		}
	}
	for {
		limit.reset()
		row, err := rows.Read()
		switch bad, ok := errors.AsType[*csv.ParseError](err); {
		case err == io.EOF:
			return
		case ok && !limit.blown:
			if !f.refuse(bad.StartLine+f.line-1, "the quotes of the row do not match: "+bad.Err.Error()) {
				return
			}
			continue
		case err != nil:
			f.csvBroken(err, limit)
			return
		}
		line, _ := rows.FieldPos(0)
		line += f.line - 1
		if len(row) != len(names) {
			if !f.refuse(line, fmt.Sprintf("the row has %d fields; the header has %d columns", len(row), len(names))) {
				return
			}
			continue
		}
		f.buf = appendRow(f.buf[:0], names, row)
		if !f.decode(line) {
			return
		}
	}
}

// maxColumns bounds a header.
const maxColumns = 256

func (f *file) csvBroken(err error, limit *fuse) {
	switch {
	case err == io.EOF:
		f.fail("the file is empty; its first line must name the columns")
	case limit.blown:
		f.fail("a row is longer than %d bytes; a quote may have no end", maxEvent)
	default:
		f.broken(err)
	}
}

func appendRow(b []byte, names [][]byte, row []string) []byte {
	b = append(b, '{')
	for i, field := range row {
		if names[i] == nil || field == "" {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(b, names[i]...), ':')
		b = appendText(b, field)
	}
	return append(b, '}')
}

// appendText appends s as a JSON string.
func appendText(b []byte, s string) []byte {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == '"' || r == '\\' || r == '\uFFFD' }) {
		return append(append(append(b, '"'), s...), '"')
	}
	quoted, err := json.Marshal(s)
	if err != nil { // a string always can be
		return append(b, `""`...)
	}
	return append(b, quoted...)
}

// fuse ends a row that does not end.
type fuse struct {
	r     io.Reader
	left  int
	blown bool
}

var errFuse = errors.New("the row is too long")

// reset lets one more row through, and what the reader of rows reads ahead.
func (u *fuse) reset() { u.left = maxEvent }

func (u *fuse) Read(p []byte) (int, error) {
	if u.left <= 0 {
		u.blown = true
		return 0, errFuse
	}
	n, err := u.r.Read(p[:min(len(p), u.left)])
	u.left -= n
	return n, err
}
