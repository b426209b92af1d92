package signals

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"iter"
)

// LineError is an event of a file that could not be read.
type LineError struct {
	Line   int    `json:"line"` // where it begins, from 1
	Reason string `json:"reason"`
	Err    error  `json:"-"` // if reading failed, rather than what was read
	Fatal  bool   `json:"-"` // nothing after it was read
}

// Error is the line with its reason.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// Unwrap is why reading failed.
func (e *LineError) Unwrap() error { return e.Err }

// Read goes through the events of a file: each comes with a nil error, or the zero Event with why it
// could not be read, and the next one is tried. It reads UTF-8, with or without a byte order mark:
//
//   - one JSON object per line (NDJSON); blank lines are skipped
//   - one object after the other, over several lines each, as tools print them
//   - lists of objects
//   - what APIs answer: an object with the list as a member items, value, events, records or data, or
//     as data.events
//   - CSV with a header (RFC 4180), for formats that are tables
//
// One event is in memory at a time. An event of more than 1 MiB is skipped and reported. Where a list
// is not one, nothing after it can be found, and the last error is Fatal.
func Read(r io.Reader, d Decoder) iter.Seq2[Event, *LineError] {
	return func(yield func(Event, *LineError) bool) {
		f := &file{in: bufio.NewReaderSize(r, lookAhead), line: 1, decoder: d, yield: yield}
		f.read()
	}
}

// lookAhead is how much of a file is looked at to find out whether it is the answer of an API.
const lookAhead = 64 << 10

// file is a Read on its way. Its methods say false where reading has ended.
type file struct {
	in      *bufio.Reader
	line    int // of the next byte
	decoder Decoder
	yield   func(Event, *LineError) bool
	buf     []byte // the event that is being read
}

func (f *file) read() {
	if !f.mark() {
		return
	}
	pages := true // the file may be a row of answers; an event at its beginning says that it is not
	for first := true; f.space(); first = false {
		c, err := f.in.Peek(1)
		switch {
		case err == io.EOF:
			return
		case err != nil:
			f.broken(err)
			return
		case c[0] == '[':
			f.skip(1)
			if !f.elements() {
				return
			}
			continue
		}
		if t, ok := f.decoder.(table); ok && first && c[0] != '{' {
			f.csv(t)
			return
		}
		shape := oneLine
		if c[0] == '{' {
			if pages || first {
				var n, depth int
				if shape, n, depth = f.shape(); shape == envelope {
					f.skip(n)
					if !f.elements() || !f.value(depth, true) {
						return
					}
					continue
				}
				pages = false
			} else if f.opensAlone() {
				shape = manyLines
			}
		}
		var next bool
		if shape == manyLines {
			next = f.element()
		} else {
			next = f.oneLine()
		}
		if !next {
			return
		}
	}
}

// mark skips a byte order mark, and ends at one of another encoding.
func (f *file) mark() bool {
	start, err := f.in.Peek(3)
	if err != nil && err != io.EOF {
		return f.broken(err)
	}
	switch {
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		f.skip(3)
	case bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		return f.fail("the file is UTF-16; save it as UTF-8")
	}
	return true
}

// fail ends reading with a reason.
func (f *file) fail(format string, args ...any) bool {
	f.yield(Event{}, &LineError{Line: f.line, Reason: fmt.Sprintf(format, args...), Fatal: true})
	return false
}

func (f *file) broken(err error) bool {
	f.yield(Event{}, &LineError{Line: f.line, Reason: "reading failed: " + err.Error(), Err: err, Fatal: true})
	return false
}

// refuse reports an event that began at the line, and goes on.
func (f *file) refuse(line int, reason string) bool {
	return f.yield(Event{}, &LineError{Line: line, Reason: reason})
}

// decode gives the event that is in buf, which began at the line.
func (f *file) decode(line int) bool {
	e, err := f.decoder.Decode(f.buf)
	if err != nil {
		return f.refuse(line, err.Error())
	}
	return f.yield(e, nil)
}

// skip drops bytes that were peeked.
func (f *file) skip(n int) {
	b, _ := f.in.Peek(n) // they are there
	f.line += bytes.Count(b, []byte("\n"))
	_, _ = f.in.Discard(n)
}

// buffered is what can be looked at without waiting; at least one byte, or an error.
func (f *file) buffered() ([]byte, error) {
	if _, err := f.in.Peek(1); err != nil {
		return nil, err
	}
	return f.in.Peek(f.in.Buffered())
}

// space skips white space. It says false only when reading failed.
func (f *file) space() bool {
	for {
		b, err := f.buffered()
		if err == io.EOF {
			return true
		}
		if err != nil {
			return f.broken(err)
		}
		n := len(b) - len(bytes.TrimLeft(b, " \t\r\n"))
		f.skip(n)
		if n < len(b) {
			return true
		}
	}
}

// oneLine reads the event of one line.
func (f *file) oneLine() bool {
	line := f.line
	f.buf = f.buf[:0]
	tooLong := false
	for {
		part, err := f.in.ReadSlice('\n')
		if len(f.buf)+len(part) > maxEvent+2 {
			tooLong = true
		} else {
			f.buf = append(f.buf, part...)
		}
		switch err {
		case bufio.ErrBufferFull:
			continue
		case nil:
			f.line++
		case io.EOF:
		default:
			return f.broken(err)
		}
		break
	}
	if tooLong {
		return f.refuse(line, errTooLong(maxEvent).Error())
	}
	f.buf = bytes.TrimRight(f.buf, " \t\r\n")
	return f.decode(line)
}

// elements reads the events of a list, whose bracket was skipped, to its end.
func (f *file) elements() bool {
	for first := true; ; first = false {
		if !f.space() {
			return false
		}
		c, err := f.in.Peek(1)
		switch {
		case err == io.EOF:
			return f.fail("the file ends inside a list of events")
		case err != nil:
			return f.broken(err)
		case c[0] == ']':
			f.skip(1)
			return true
		case c[0] == ',' && !first:
			f.skip(1)
			if !f.space() {
				return false
			}
		case !first:
			return f.fail(`%q follows an event in a list, where "," or "]" was expected; nothing after it was read`, c[0])
		}
		if !f.element() {
			return false
		}
	}
}

// element reads one value that is an object.
func (f *file) element() bool {
	line := f.line
	c, err := f.in.Peek(1)
	switch {
	case err == io.EOF:
		return f.fail("the file ends inside a list of events")
	case err != nil:
		return f.broken(err)
	case c[0] == '{', c[0] == '[':
		if !f.value(0, false) {
			return false
		}
	default:
		return f.fail("%q stands in a list, where an event in { } was expected; nothing after it was read", c[0])
	}
	if len(f.buf) > maxEvent {
		return f.refuse(line, errTooLong(maxEvent).Error())
	}
	return f.decode(line)
}

// value reads to where all brackets are closed, of which depth are open already, into buf: as far as
// one byte more than an event may have, or not at all.
func (f *file) value(depth int, drop bool) bool {
	f.buf = f.buf[:0]
	quoted, escaped := false, false
	for {
		b, err := f.buffered()
		if err == io.EOF {
			return f.fail("the file ends inside an event")
		}
		if err != nil {
			return f.broken(err)
		}
		n, done := len(b), false
	scan:
		for i, c := range b {
			switch {
			case escaped:
				escaped = false
			case quoted:
				escaped = c == '\\'
				quoted = c != '"'
			case c == '"':
				quoted = true
			case c == '{', c == '[':
				depth++
			case c == '}', c == ']':
				if depth--; depth <= 0 {
					n, done = i+1, true
					break scan
				}
			}
		}
		if !drop {
			f.buf = append(f.buf, b[:min(n, max(0, maxEvent+1-len(f.buf)))]...)
		}
		f.skip(n)
		if done {
			return true
		}
	}
}
