package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/store"
)

type userImportCmd struct {
	accountFlag
	File        string `arg:"" complete:"file" help:"CSV file with a header; - reads standard input."`
	DryRun      bool   `help:"Check every line and say what would happen; change nothing."`
	SkipRefused bool   `help:"Import the other lines when some are refused."`
	Report      string `placeholder:"FILE" complete:"file" help:"Write the refused lines there as CSV: line, email, reason."`
	JSON        bool   `name:"json" help:"Print one JSON object."`
}

// The refused lines that are shown; --report has all of them.
const (
	shownRefused     = 20
	shownRefusedJSON = 100
)

// imported is what came of it.
type imported struct {
	AccountID string                `json:"account_id"`
	DryRun    bool                  `json:"dry_run"`
	Lines     int                   `json:"lines"`    // without the header
	Accepted  int                   `json:"accepted"` // could be imported
	Refused   int                   `json:"refused"`
	Imported  int                   `json:"imported"`
	Seconds   float64               `json:"seconds"`
	Errors    []directory.LineError `json:"errors"` // the first refused lines
}

func (c *userImportCmd) Run(ctx context.Context, g *globals, std stdio) error {
	start := time.Now()
	debug.SetGCPercent(50) // a million people are a large heap that stays; measured: 100 MB less, no slower
	in, err := c.input(ctx, std)
	if err != nil {
		return err
	}
	defer in.Close()
	report, err := c.createReport()
	if err != nil {
		return err
	}
	defer report.Close() // closed before if all goes well
	bar := newProgress(std.err)
	defer bar.done()
	bar.start("reading", in.size)
	people, err := directory.ReadCSV(ctx, in, func(int) { bar.at(in.read) })
	if err != nil {
		return importFailed(c.name(), err)
	}
	h, account, err := g.openAccountWith(ctx, std, c.Account, store.Options{Bulk: true})
	if err != nil {
		return err
	}
	defer h.close()
	bar.start("comparing", -1)
	if err := people.Check(ctx, h.db, account); err != nil {
		return importFailed(c.name(), err)
	}
	bar.done()
	if err := writeReport(report, people.Refused); err != nil {
		return err
	}
	res := imported{
		AccountID: account, DryRun: c.DryRun, Lines: len(people.People) + len(people.Refused), Accepted: len(people.People),
		Refused: len(people.Refused), Errors: people.Refused[:min(len(people.Refused), shownRefusedJSON)],
	}
	blocked := res.Refused > 0 && !c.SkipRefused
	if !c.DryRun && !blocked && res.Accepted > 0 {
		bar.start("importing", int64(res.Accepted))
		err := h.db.ImportUsers(ctx, account, people.People, func(n int) { bar.at(int64(n)) }, operator(std))
		bar.done()
		if e, ok := errors.AsType[*directory.ImportError](err); ok {
			err = fmt.Errorf("line %d: %w", people.Lines[e.Index], err) // somebody was faster since the check
		}
		if err != nil {
			return importFailed(c.name(), err)
		}
		res.Imported = res.Accepted
	}
	res.Seconds = time.Since(start).Round(time.Millisecond).Seconds()
	return c.tell(std, res, blocked)
}

// importFailed says that nothing was imported, since that is what one asks first.
func importFailed(file string, err error) error {
	if problem.KindOf(err) == problem.Invalid { // the file, not the command line
		err = problem.New(problem.Conflict, "%s", problem.Public(err).Detail)
	}
	return fmt.Errorf("%s: nothing was imported: %w", file, err)
}

func (c *userImportCmd) tell(std stdio, res imported, blocked bool) error {
	if c.JSON {
		if res.Errors == nil {
			res.Errors = []directory.LineError{}
		}
		if err := printJSON(std, res); err != nil {
			return err
		}
	} else {
		for i, e := range res.Errors {
			if i == shownRefused {
				break
			}
			fmt.Fprintf(std.err, "%s:%d: %s\n", c.name(), e.Line, e.Reason)
		}
		if more := res.Refused - shownRefused; more > 0 {
			fmt.Fprintf(std.err, "… and %s more%s\n", grouped(more), map[bool]string{true: "; --report FILE writes all of them"}[c.Report == ""])
		}
	}
	if blocked {
		nothing := map[bool]string{true: "nothing would be imported", false: "nothing was imported"}[c.DryRun]
		return problem.New(problem.Conflict, "refused %s of %s: %s; correct them, or leave them out with --skip-refused",
			grouped(res.Refused), plural(res.Lines, "line", "lines"), nothing)
	}
	if c.JSON {
		return nil
	}
	people, left := plural(res.Accepted, "person", "people"), ""
	if res.Refused > 0 {
		left = ", " + plural(res.Refused, "line", "lines") + " left out"
	}
	if c.DryRun {
		fmt.Fprintf(std.out, "Dry run: %s would be imported%s. Nothing was changed.\n", people, left)
		return nil
	}
	fmt.Fprintf(std.out, "Imported %s in %.1f s%s.\n", people, res.Seconds, left)
	return nil
}

func (c *userImportCmd) name() string {
	if c.File == "-" {
		return "standard input"
	}
	return c.File
}

// counted is a file that knows how far it was read.
type counted struct {
	io.Reader
	io.Closer
	size int64 // -1 if unknown
	read int64
}

func (r *counted) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read += int64(n)
	return n, err
}

func (c *userImportCmd) input(ctx context.Context, std stdio) (*counted, error) {
	if c.File == "-" {
		if isTerminal(std.in) {
			fmt.Fprintln(std.err, "Reading people from the keyboard, the header first; end with Ctrl-D.")
		}
		r := interruptible(ctx, std.in)
		return &counted{Reader: r, Closer: r, size: -1}, nil
	}
	f, err := os.Open(c.File)
	if err != nil {
		return nil, fmt.Errorf("open people: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder, not a file", c.File)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open people: %w", err), f.Close())
	}
	size := int64(-1)
	if info.Mode().IsRegular() {
		size = info.Size()
	}
	return &counted{Reader: f, Closer: f, size: size}, nil
}

// interruptible is r, but a read ends with the context. What r was asked for then may be lost.
func interruptible(ctx context.Context, r io.Reader) io.ReadCloser {
	pr, pw := io.Pipe()
	go func() {
		_, err := io.Copy(pw, r) // ends with the input, or with the process
		_ = pw.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { _ = pw.CloseWithError(ctx.Err()) })
	return pr
}

// createReport makes the report before the work, so that a wrong path shows at once. Emails are
// nobody else's business: mode 0600.
func (c *userImportCmd) createReport() (*os.File, error) {
	if c.Report == "" {
		return nil, nil
	}
	if to, err := os.Stat(c.Report); err == nil {
		if from, err := os.Stat(c.File); err == nil && os.SameFile(from, to) {
			return nil, problem.New(problem.Invalid, "--report names the file that is read; name another")
		}
	}
	f, err := os.OpenFile(c.Report, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write report: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() { // it may have been there, open to others; a device stays as it is
		err = f.Chmod(0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write report: %w", err), f.Close())
	}
	return f, nil
}

func writeReport(f *os.File, refused []directory.LineError) error {
	if f == nil {
		return nil
	}
	w := csv.NewWriter(f)
	err := w.Write([]string{"line", "email", "reason"})
	for _, e := range refused {
		err = cmp.Or(err, w.Write([]string{strconv.Itoa(e.Line), e.Email, e.Reason}))
	}
	w.Flush()
	if err := errors.Join(err, w.Error(), f.Close()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
