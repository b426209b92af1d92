package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
	"holdfast/internal/signals"
)

type ruleTestCmd struct {
	rulesFlag
	Events   string        `xor:"input" placeholder:"FILE" complete:"file" help:"File of events; - reads standard input."`
	Format   string        `placeholder:"NAME" default:"1password" enum:"1password,okta,entra,onelogin,ocsf,rba" help:"What the events are: 1password (also what Holdfast's own Events API gives), okta, entra, onelogin, ocsf or rba."`
	Sorted   bool          `help:"The events are in order of time: they are not held in memory, however many there are."`
	Accuracy string        `xor:"input" placeholder:"FILE" complete:"file" help:"File of events that say what is an attack, or synth:SEED[:PEOPLE[:DAYS]] for a made-up history; prints how much the rules find, and how much of it is wrong."`
	Review   time.Duration `default:"24h" help:"With --accuracy: how long until a person has said of a wrong finding that it is harmless, which is learned; 0s: nobody does."`
	JSON     bool          `name:"json" help:"Print a JSON object per finding, a line each; with --accuracy, one JSON object."`
}

func (c *ruleTestCmd) Run(ctx context.Context, std stdio) error {
	if c.Events == "" && c.Accuracy == "" {
		return problem.New(problem.Invalid, "name the events: --events FILE, --events - or --accuracy synth:1")
	}
	r, err := c.load()
	if err != nil {
		return err
	}
	tellFaults(std, r)
	if len(r.set.Rules()) == 0 {
		return errors.New("there is no rule to test")
	}
	x, err := detect.NewEngine(detect.Config{Set: r.set, Memory: detect.NewMemory()})
	if err != nil {
		return err
	}
	if c.Accuracy != "" {
		return c.measure(ctx, std, r, x)
	}
	return c.try(ctx, std, r, x)
}

// tried is what came of a run.
type tried struct {
	events, refused int
	people          map[string]struct{}
	found           []detect.Found
}

func (c *ruleTestCmd) try(ctx context.Context, std stdio, r ruleSet, x *detect.Engine) error {
	start := time.Now()
	in, err := c.open(ctx, std, c.Events)
	if err != nil {
		return err
	}
	defer in.Close()
	decoder, err := signals.NewDecoder(c.Format)
	if err != nil {
		return err
	}
	bar := newProgress(std.err)
	defer bar.done()
	bar.start("reading", in.size)
	t := tried{people: map[string]struct{}{}}
	f := &eventFile{name: inputName(c.Events), sorted: c.Sorted, most: maxHeld, std: std, tried: &t, read: func() { bar.at(in.read) }}
	for res, err := range x.Run(ctx, f.events(signals.Read(in, decoder))) {
		if err != nil {
			return err
		}
		if e := res.Event; e != nil && (e.User.Email != "" || e.User.Login != "" || e.User.ID != "") {
			t.people[strings.ToLower(firstOf(e.User.Email, e.User.Login, e.User.ID))] = struct{}{}
		}
		t.found = append(t.found, res.Ended...)
	}
	bar.done()
	switch {
	case f.err != nil:
		return f.err
	case t.events == 0 && t.refused > 0:
		return fmt.Errorf("none of the %s of %s could be read as %s", plural(t.refused, "event", "events"), f.name, c.Format)
	}
	tellFlooded(std, x)
	detect.OrderFound(t.found)
	if c.JSON {
		return printFound(std, t.found)
	}
	tellFound(std, t.found)
	fmt.Fprintf(std.out, "%s%s in %s of %s, with %s, in %.1f s%s%s\n", plural(len(t.found), "finding", "findings"), byLevel(t.found), plural(t.events, "event", "events"),
		plural(len(t.people), "person", "people"), plural(len(r.set.Rules()), "rule", "rules"), time.Since(start).Seconds(), refusedText(t.refused), leftOut(r.faults))
	return nil
}

// tellFlooded says which rules match so much that part of it was passed over.
func tellFlooded(std stdio, x *detect.Engine) {
	flooded := x.Flooded()
	for _, rule := range slices.Sorted(maps.Keys(flooded)) {
		fmt.Fprintf(std.err, "rule %s matches too much: %s were passed over; make it narrower\n", rule, plural(flooded[rule], "match", "matches"))
	}
}

func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

func refusedText(n int) string {
	if n == 0 {
		return ""
	}
	return "; " + plural(n, "line", "lines") + " could not be read"
}

func inputName(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

func (c *ruleTestCmd) open(ctx context.Context, std stdio, file string) (*counted, error) {
	if file == "-" {
		if isTerminal(std.in) {
			fmt.Fprintln(std.err, "Reading events from the keyboard, one JSON object a line; end with Ctrl-D.")
		}
		in := interruptible(ctx, std.in)
		return &counted{Reader: in, Closer: in, size: -1}, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open events: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder, not a file", file)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open events: %w", err), f.Close())
	}
	size := int64(-1)
	if info.Mode().IsRegular() {
		size = info.Size()
	}
	return &counted{Reader: f, Closer: f, size: size}, nil
}

// eventFile gives the events of a file in order of time.
type eventFile struct {
	name   string
	sorted bool
	most   int // bytes that are held to be sorted
	std    stdio
	tried  *tried
	read   func()
	err    error // why reading ended before the end
}

// What is held in memory to be sorted, and how many refused lines are shown.
const (
	maxHeld     = 512 << 20
	shownErrors = 20
)

// events reads, reports what cannot be read, and sorts: by time, and by id where it is the same. A file
// that is too large for that must be in order.
func (f *eventFile) events(in iter.Seq2[signals.Event, *signals.LineError]) iter.Seq[signals.Event] {
	return func(yield func(signals.Event) bool) {
		var held []signals.Event
		var last signals.Event
		size, inOrder, streaming := 0, true, f.sorted
		for e, bad := range in {
			f.read()
			if bad != nil {
				if f.refuse(bad); f.err != nil {
					return
				}
				continue
			}
			f.tried.events++
			before := last.SourceID != "" && e.When().Before(last.When())
			if before && streaming {
				f.err = fmt.Errorf("%s is not in order of time: event %q of %s comes after %q of %s; sort it%s", f.name,
					e.SourceID, moment(e.When()), last.SourceID, moment(last.When()), map[bool]string{true: ", or leave --sorted out"}[f.sorted])
				return
			}
			inOrder, last = inOrder && !before, e
			if streaming {
				if !yield(e) {
					return
				}
				continue
			}
			held = append(held, e)
			if size += len(e.Raw) + 1024; size < f.most {
				continue
			}
			if !inOrder {
				f.err = fmt.Errorf("%s is too large to be sorted in memory; sort it by time and use --sorted", f.name)
				return
			}
			streaming = true
			if !give(held, yield) {
				return
			}
			held = nil
		}
		slices.SortStableFunc(held, func(a, b signals.Event) int { return detect.Earlier(&a, &b) })
		give(held, yield)
	}
}

func give(events []signals.Event, yield func(signals.Event) bool) bool {
	for _, e := range events {
		if !yield(e) {
			return false
		}
	}
	return true
}

func (f *eventFile) refuse(bad *signals.LineError) {
	if bad.Err != nil {
		f.err = fmt.Errorf("%s: %w", f.name, bad.Err)
		return
	}
	f.tried.refused++
	switch n := f.tried.refused; {
	case n <= shownErrors || bad.Fatal:
		fmt.Fprintf(f.std.err, "%s:%d: %s\n", f.name, bad.Line, bad.Reason)
	case n == shownErrors+1:
		fmt.Fprintln(f.std.err, "… and more")
	}
}

// foundJSON is a finding on a line.
type foundJSON struct {
	Rule     string            `json:"rule"`
	Name     string            `json:"name"`
	Level    string            `json:"level"`
	User     string            `json:"user"`
	Time     time.Time         `json:"time"`
	Events   []string          `json:"events"`
	Features map[string]any    `json:"features"`
	ID       string            `json:"id"`
	Version  string            `json:"version"`
	Address  string            `json:"address,omitempty"`
	Key      []string          `json:"key,omitempty"`
	Last     time.Time         `json:"last"`
	Count    int64             `json:"count"`
	More     int               `json:"more_events,omitempty"`
	Explain  map[string]string `json:"explain,omitempty"`
}

func printFound(std stdio, found []detect.Found) error {
	out := bufio.NewWriter(std.out)
	buffered := std
	buffered.out = out
	for _, f := range found {
		if err := printJSON(buffered, foundView(f)); err != nil {
			return err
		}
	}
	return out.Flush()
}

func foundView(f detect.Found) foundJSON {
	v := foundJSON{
		Rule: f.Rule, Name: f.Title, Level: string(f.Level), User: f.User, Time: f.Time.UTC(), Events: f.Events, Features: map[string]any{},
		ID: f.ID, Version: f.Version, Address: f.Address, Key: f.Key, Last: f.Last.UTC(), Count: f.Count, More: f.More, Explain: f.Explain,
	}
	for _, x := range f.Features {
		v.Features[strings.TrimPrefix(x.Name, detect.FeaturePrefix)] = x.Value
	}
	return v
}

func tellFound(std stdio, found []detect.Found) {
	paint := painter(std.out, std.env)
	out := bufio.NewWriter(std.out)
	defer out.Flush()
	rule, user := 0, 0
	for _, f := range found {
		rule, user = max(rule, len(f.Rule)), max(user, len(subject(f)))
	}
	for _, f := range found {
		fmt.Fprintf(out, "%s  %s  %-*s  %-*s  %s\n", paint(grey, findingTime(f)), levelWord(paint, string(f.Level)),
			min(rule, 36), f.Rule, min(user, 36), subject(f), sentence(f))
	}
}

// findingTime is as wide for an event that says no time.
func findingTime(f detect.Found) string {
	if f.Time.IsZero() {
		return fmt.Sprintf("%-19s", "no time")
	}
	return f.Time.UTC().Format("2006-01-02 15:04:05")
}

// subject is whom or what a finding is about.
func subject(f detect.Found) string { return firstOf(f.User, f.Address, strings.Join(f.Key, " "), "-") }

func sentence(f detect.Found) string {
	s := firstOf(f.Explain["en"], f.Title)
	if n := len(f.Events) + f.More; n > 1 {
		s += " (" + plural(n, "event", "events") + ")"
	}
	return s
}

// byLevel is how many findings there are of each level, in brackets.
func byLevel(found []detect.Found) string {
	n := map[detect.Level]int{}
	for _, f := range found {
		n[f.Level]++
	}
	var parts []string
	for _, l := range []detect.Level{detect.Critical, detect.High, detect.Medium, detect.Low, detect.Informational} {
		if n[l] > 0 {
			parts = append(parts, grouped(n[l])+" "+string(l))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
