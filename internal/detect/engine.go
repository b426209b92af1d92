package detect

import (
	"cmp"
	"container/heap"
	"container/list"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/signals"
)

// Engine takes events, one after the other, through features, rules and correlations, to findings. It is
// for one account, and for one goroutine at a time.
//
// A match of a rule that stands alone is a finding; further ones about the same person (or address, where
// the event names nobody) within an hour belong to it, for a day at most. What correlations find is what
// Correlate says.
type Engine struct {
	set      *Set
	versions []string // of the rules
	prints   []uint64 // of the rules: what their windows depend on
	suppress time.Duration
	lateness time.Duration

	features features
	view     signals.View
	texts    []string
	lenses   map[string]*lens
	wants    [][]string // by rule, the features that it reads
	windows  *windows
	alone    map[string]*running // by rule and subject
	open     *list.List          // of alone, the one not touched for longest first
	openOf   []int               // how many of alone are of each rule
	passed   []int               // matches that were too many, by rule
	instant  map[string]struct{} // ids of the events of this time
	now      time.Time
	seq      int64 // of the event in hand
	all      []Feature
	present  []FeatureValue // of the latest event of this time that may yet begin a finding, with AllFeatures
	track    bool
	touched  []*running
	clock    clocked
	taken    int
	matches  []int
}

// Config is what an Engine is made of.
type Config struct {
	Set    *Set // compiled for FieldMaps
	Memory Memory
	People People // nil: there is no directory

	// Lateness is how long Run waits for late events, by their own time.
	Lateness time.Duration
	// Suppress is for how long after a match further ones are the same finding; an hour if 0.
	Suppress time.Duration

	// AllFeatures makes findings store every known feature of the event with which they began, not only those
	// that their rules read.
	AllFeatures bool
	// Track makes the engine remember which findings have changed, for Touched. Results are empty then.
	Track bool
}

// maxRunning is how long a finding of a single rule can go on before the next match begins another one.
const maxRunning = 24 * time.Hour

// maxOpen is how many findings of a single rule can be open at a time. A rule that matches more is about
// ordinary behaviour; what it matches beyond is counted, not kept.
const maxOpen = 5000

// Result is what one event led to, or the end of the events.
type Result struct {
	Event *signals.Event // nil at the end; not to be kept
	Begun []Found        // findings that began
	Grown []Growth       // findings, other ones, that the event belongs to
	Ended []Found        // findings that nothing can be added to any more, as they are in the end
}

// Growth is a finding that goes on.
type Growth struct {
	ID    string
	Rule  string
	Level Level
	Last  time.Time
	Count int64
}

// NewEngine makes an engine for rules. The error is Faults: what Unfit finds.
func NewEngine(c Config) (*Engine, error) {
	var faults Faults
	for _, r := range c.Set.rules {
		faults = append(faults, Unfit(r)...)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	x := &Engine{
		set: c.Set, suppress: cmp.Or(c.Suppress, time.Hour), lateness: c.Lateness,
		features: features{memory: c.Memory, people: c.People},
		lenses:   map[string]*lens{}, windows: newWindows(c.Set), alone: map[string]*running{}, open: list.New(), instant: map[string]struct{}{},
	}
	x.track = c.Track
	x.clock, _ = c.Memory.(clocked) // nil where the memory does not care what time it is
	if c.AllFeatures {
		x.all = Features()
	}
	x.openOf, x.passed = make([]int, len(c.Set.rules)), make([]int, len(c.Set.rules))
	all := map[string]Feature{}
	for _, f := range Features() {
		all[f.Name] = f
	}
	for _, source := range c.Set.Sources() {
		x.lenses[source] = x.lens(source, all)
	}
	for _, r := range c.Set.rules {
		x.versions = append(x.versions, r.Version())
		x.wants = append(x.wants, wanted(r))
	}
	for i := range c.Set.rules {
		x.prints = append(x.prints, printOf(c.Set, x.versions, i))
	}
	return x, nil
}

// wanted are the features that a rule reads or names.
func wanted(r *Rule) []string {
	names := map[string]bool{}
	add := func(name string) {
		if strings.HasPrefix(name, FeaturePrefix) {
			names[name] = true
		}
	}
	if r.detection != nil {
		eachAtom(r.detection.condition, func(a *atom) { add(a.field) })
	}
	for _, name := range r.Fields {
		add(name)
	}
	for _, t := range r.Explain {
		for _, name := range t.Names() {
			add(name)
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Take takes the next event. Events must come in order of time; one that is earlier than one before it is
// late, and docs/events/features.md says what that means. An event that is there twice counts once.
func (x *Engine) Take(e *signals.Event) (Result, error) {
	res := Result{Event: e}
	when := e.When()
	if when.After(x.now) {
		x.advance(when)
		if _, err := x.collect(&res, nil); err != nil {
			return res, err
		}
		x.present = nil
	}
	if _, twice := x.instant[e.SourceID]; twice && when.Equal(x.now) {
		return res, nil
	}
	x.instant[e.SourceID] = struct{}{}
	x.view.Reset(e)
	x.features.load(e)
	who := x.witness(e)
	for _, source := range [...]string{normalised, sourceOf(e)} {
		l := x.lenses[source]
		if l == nil || len(l.matcher.program.entries) == 0 {
			continue
		}
		x.matches = l.matcher.Match(x.matches[:0], l)
		if len(x.matches) > 0 {
			x.matched(l, who, e)
		}
	}
	serious, err := x.collect(&res, who)
	if err != nil {
		return res, err
	}
	who.taught = !serious && e.Succeeded() && x.features.who != ""
	if err := x.features.learn(!serious); err != nil {
		return res, fmt.Errorf("learn from event %s: %w", e.SourceID, err)
	}
	return res, nil
}

// advance moves to a time.
func (x *Engine) advance(t time.Time) {
	x.windows.advance(t)
	clear(x.instant)
	x.now = t
	if x.clock != nil {
		x.clock.Now(t)
	}
	for first := x.open.Front(); first != nil; first = x.open.Front() {
		r, _ := first.Value.(*running)
		if t.Sub(r.last) <= x.suppress {
			break // those behind it were touched later
		}
		x.close(r)
	}
	if x.taken++; x.taken%256 == 0 {
		if m, ok := x.features.memory.(expirer); ok {
			m.Expire(t)
		}
	}
}

func (x *Engine) witness(e *signals.Event) *witness {
	return &witness{
		id: e.SourceID, seq: x.seq, time: e.When(), who: x.features.who, person: x.features.directory.ID, address: e.Src.IP,
		user: cmp.Or(e.User.Email, e.User.Login, e.User.Name, e.User.ID),
	}
}

// matched hands the matches on: to findings of their own, and to correlations.
func (x *Engine) matched(l *lens, who *witness, e *signals.Event) {
	windowed := x.matches[:0:0]
	for _, rule := range x.matches {
		if x.set.alone[rule] {
			x.single(l, rule, who)
		}
		if x.windows.used(rule) && !e.When().IsZero() {
			windowed = append(windowed, rule)
		}
	}
	if len(windowed) > 0 {
		x.windows.take(who, windowed, l.field)
	}
	var values []FeatureValue
	for _, r := range x.windows.begun {
		if r.features != nil || x.set.rules[r.rule].Correlation == nil {
			continue
		}
		if values == nil {
			values = x.valuesOf(l, windowed)
		}
		r.features = values
	}
	if x.all != nil && len(windowed) > 0 && x.windows.undecided() {
		x.present = x.valuesOf(l, nil)
	}
}

// valuesOf are the features that the rules read, or all.
func (x *Engine) valuesOf(l *lens, rules []int) (values []FeatureValue) {
	for _, f := range x.all {
		if v := f.get(&x.features); v.kind != None {
			values = append(values, FeatureValue{f.Name, v})
		}
	}
	if x.all != nil {
		return values
	}
	for _, rule := range rules {
		for _, name := range x.wants[rule] {
			if slices.ContainsFunc(values, func(v FeatureValue) bool { return v.Name == name }) {
				continue
			}
			if v := l.field(name); v.kind != None {
				values = append(values, FeatureValue{name, v})
			}
		}
	}
	return values
}

// single makes a match a finding, or evidence of the one that there is.
func (x *Engine) single(l *lens, rule int, who *witness) {
	subject := who.who
	if subject == "" {
		subject = "address:" + who.address
	}
	key := aloneKey(rule, subject)
	r := x.alone[key]
	if r != nil && who.time.Sub(r.time) >= maxRunning {
		x.close(r)
		r = nil
	}
	if r == nil && x.openOf[rule] >= maxOpen {
		x.passed[rule]++
		return
	}
	if r == nil {
		x.openOf[rule]++
		r = &running{rule: rule, key: []string{subject}, time: who.time, subject: key}
		r.features = x.valuesOf(l, []int{rule})
		for _, t := range x.set.rules[rule].Explain {
			for _, name := range t.Names() {
				if !slices.ContainsFunc(r.named, func(v FeatureValue) bool { return v.Name == name }) {
					r.named = append(r.named, FeatureValue{name, l.field(name)})
				}
			}
		}
		x.alone[key] = r
		r.place = x.open.PushBack(r)
		x.windows.begun = append(x.windows.begun, r)
	}
	x.open.MoveToBack(r.place)
	r.last = laterOf(r.last, who.time)
	r.count++
	r.add(item{time: who.time, witness: who})
	x.windows.grew(r)
}

// aloneKey is by what a finding of a single rule is found.
func aloneKey(rule int, subject string) string { return strconv.Itoa(rule) + "\x00" + subject }

// close ends a finding of a single rule.
func (x *Engine) close(r *running) {
	x.open.Remove(r.place)
	delete(x.alone, r.subject)
	x.openOf[r.rule]--
	x.windows.over(r)
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// collect moves what has happened to findings into the result. It says whether the present event belongs
// to a serious one, and takes back what earlier events of such a one have taught. Where there is no
// present event, what was left open of an earlier time has been settled.
func (x *Engine) collect(res *Result, present *witness) (serious bool, err error) {
	w := x.windows
	for _, r := range w.joined {
		bad := x.serious(r)
		serious = serious || bad
		if !r.reported {
			continue // it begins
		}
		if bad && present == nil {
			if err := x.unlearn(r, nil); err != nil {
				return serious, err
			}
		}
		if x.stands(r) && !x.track {
			rule := x.set.rules[r.rule]
			res.Grown = append(res.Grown, Growth{ID: r.id(rule), Rule: rule.Key(), Level: rule.Level, Last: r.last, Count: r.count})
		}
	}
	for _, r := range w.begun {
		r.reported = true
		if r.features == nil {
			r.features = x.present
		}
		if !x.stands(r) {
			continue
		}
		if !x.track {
			res.Begun = append(res.Begun, x.found(r))
		}
		if x.set.rules[r.rule].Level.Serious() {
			if err := x.unlearn(r, present); err != nil {
				return serious, err
			}
		}
	}
	for _, r := range w.ended {
		r.over = true
		if x.stands(r) && !x.track {
			res.Ended = append(res.Ended, x.found(r))
		}
	}
	if x.track {
		x.touch(w.begun)
		x.touch(w.joined)
		x.touch(w.ended)
	}
	w.begun, w.joined, w.ended = w.begun[:0], w.joined[:0], w.ended[:0]
	return serious, nil
}

// stands says whether findings of the rule are shown: those of a correlation that another one uses are
// not, unless that one says generate.
func (x *Engine) stands(r *running) bool { return x.set.alone[r.rule] }

// serious says whether the finding, or one that it is in, is of level high or critical.
func (x *Engine) serious(r *running) bool {
	return x.stands(r) && x.set.rules[r.rule].Level.Serious() || slices.ContainsFunc(r.parents, x.serious)
}

// unlearn takes back what the events of a finding have taught. The present event has not taught yet.
func (x *Engine) unlearn(r *running, present *witness) error {
	events, _ := r.evidence()
	times := map[string][]int64{}
	for _, e := range events {
		if e.taught && e != present {
			times[e.who] = append(times[e.who], e.time.UnixMilli())
			e.taught = false
		}
	}
	for _, who := range slices.Sorted(maps.Keys(times)) {
		if err := x.features.unlearn(who, times[who]); err != nil {
			return fmt.Errorf("take back what a finding's events have taught: %w", err)
		}
		if present != nil && who == present.who {
			x.features.load(x.features.event) // it is in hand, too
		}
	}
	return nil
}

// Harmless learns from an event that a person has judged to be harmless.
func (x *Engine) Harmless(e *signals.Event) error {
	x.features.load(e)
	if err := x.features.pardon(); err != nil {
		return fmt.Errorf("learn from event %s: %w", e.SourceID, err)
	}
	return nil
}

// Finish ends all findings. Nothing can be taken afterwards.
func (x *Engine) Finish() (Result, error) {
	var res Result
	x.windows.finish()
	for first := x.open.Front(); first != nil; first = x.open.Front() {
		r, _ := first.Value.(*running)
		x.close(r)
	}
	_, err := x.collect(&res, nil)
	return res, err
}

// Run takes all events, in order of time as far as lateness allows, and finishes. A result may be used
// until the next one.
func (x *Engine) Run(ctx context.Context, events iter.Seq[signals.Event]) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		var late waiting
		take := func(e *signals.Event) bool {
			res, err := x.Take(e)
			return yield(res, err) && err == nil
		}
		newest := time.Time{}
		for e := range events {
			if err := ctx.Err(); err != nil {
				yield(Result{}, err)
				return
			}
			if x.lateness == 0 {
				if !take(&e) {
					return
				}
				continue
			}
			newest = laterOf(newest, e.When())
			heap.Push(&late, e)
			for len(late) > 0 && newest.Sub(late[0].When()) > x.lateness {
				next, _ := heap.Pop(&late).(signals.Event)
				if !take(&next) {
					return
				}
			}
		}
		for len(late) > 0 {
			next, _ := heap.Pop(&late).(signals.Event)
			if !take(&next) {
				return
			}
		}
		yield(x.Finish())
	}
}

// Flooded are the rules that matched too much to be of use, with how many matches were passed over.
func (x *Engine) Flooded() map[string]int {
	all := map[string]int{}
	for rule, n := range x.passed {
		if n > 0 {
			all[x.set.rules[rule].Key()] = n
		}
	}
	return all
}

// Earlier is the order in which events are taken: by time, and those of one time by id.
func Earlier(a, b *signals.Event) int {
	return cmp.Or(a.When().Compare(b.When()), cmp.Compare(a.SourceID, b.SourceID))
}

// waiting is events that others may still come before, the earliest first.
type waiting []signals.Event

func (w waiting) Len() int           { return len(w) }
func (w waiting) Less(i, j int) bool { return Earlier(&w[i], &w[j]) < 0 }
func (w waiting) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }
func (w *waiting) Push(e any) {
	if e, ok := e.(signals.Event); ok {
		*w = append(*w, e)
	}
}
func (w *waiting) Pop() any {
	e := (*w)[len(*w)-1]
	*w = (*w)[:len(*w)-1]
	return e
}
