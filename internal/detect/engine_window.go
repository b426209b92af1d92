package detect

import (
	"cmp"
	"container/list"
	"math"
	"slices"
	"time"
)

// witness is an event as findings remember it.
type witness struct {
	id      string
	seq     int64 // where it is stored; 0: nowhere
	time    time.Time
	who     string // key of the person; empty: nobody is named
	person  string // of the person in the directory
	user    string // for people
	address string
	taught  bool // the person's habits were learned from it
}

// Bounds of what is kept.
const (
	maxWindow   = 20_000 // events in the window of a group; the earliest go first
	maxEvidence = 1_000  // events of a finding; those beyond are counted, not named
)

// running is a finding that may still grow.
type running struct {
	rule     int
	key      []string
	time     time.Time
	last     time.Time
	count    int64
	items    []item         // in order of time
	more     int            // items beyond the bound
	parents  []*running     // findings in which this one is an event
	chained  time.Time      // when it last was made one
	reported bool           // as begun
	over     bool           // nothing can be added any more
	touched  bool           // it is in Engine.touched
	features []FeatureValue // of the event with which it began
	subject  string         // of a rule that stands alone: rule and subject
	place    *list.Element  // … among those that are open
	named    []FeatureValue // what the rule's sentence names, of that event
}

// item is what a finding is made of: an event, or that another correlation held. The evidence of the
// latter is what was in its window then: from one time to another, both included.
type item struct {
	time     time.Time
	witness  *witness
	inner    *running
	from, to time.Time
}

// seat is an item in the window of a group.
type seat struct {
	member
	item
}

// group is the window of one key of a correlation.
type group struct {
	key        []string
	joined     string
	seats      []*seat
	gone       int // seats before this one have left the window
	entered    int // seats before this one are in the current finding
	values     map[string]int
	inputs     []int            // how many seats are of each input
	findings   map[*running]int // how many seats are of each finding of another correlation
	current    *running
	touched    time.Time
	held       bool // the condition held at this instant already
	unsettled  bool
	prev, next *group // by touched
}

// stream is a correlation while events come in.
type stream struct {
	rule     int
	c        *Correlation
	eager    bool // more events never make the condition fail
	groups   map[string]*group
	head     *group // the one not touched for longest
	tail     *group
	settling []*group
}

// use is where the matches of a rule go.
type use struct{ stream, input int }

// windows evaluates the correlations of a set on events in order of their times. When the last event is
// in, what it has found is what Correlate finds.
//
// What happens at one time is one instant: whether a condition holds is known for certain only when a
// later event, or the end, shows that nothing more is of the same time. A condition that only asks for
// enough is answered at once, since more events cannot make it fail.
type windows struct {
	set     *Set
	streams []*stream
	uses    map[int][]use // by rule
	now     time.Time

	begun  []*running
	joined []*running
	ended  []*running
}

func newWindows(s *Set) *windows {
	w := &windows{set: s, uses: map[int][]use{}}
	for k, i := range s.order {
		c := s.rules[i].Correlation
		most := int64(math.MaxInt64)
		if c.Type == Temporal || c.Type == TemporalOrdered {
			most = int64(len(c.Inputs))
		}
		w.streams = append(w.streams, &stream{rule: i, c: c, groups: map[string]*group{}, eager: c.Threshold.Max >= most && len(c.Threshold.Not) == 0})
		for n, in := range c.Inputs {
			w.uses[in.Rule] = append(w.uses[in.Rule], use{k, n})
		}
	}
	return w
}

// used says whether a correlation wants the matches of a rule.
func (w *windows) used(rule int) bool { return len(w.uses[rule]) > 0 }

// advance moves to a time: what happened before is settled, and windows that nothing can enter any more
// are dropped.
func (w *windows) advance(t time.Time) {
	if !t.After(w.now) {
		return
	}
	w.settle()
	w.now = t
	for _, s := range w.streams {
		for g := s.head; g != nil && t.Sub(g.touched) > s.c.Timespan; g = s.head {
			w.over(g.current)
			s.unlink(g)
			delete(s.groups, g.joined)
		}
	}
}

// take adds an event with the rules that it matched.
func (w *windows) take(x *witness, rules []int, value func(field string) Value) {
	o := occurrence{id: x.id, time: x.time, value: value}
	for _, rule := range rules {
		w.enter(rule, o, item{time: x.time, witness: x})
	}
}

// finish settles the last instant and ends everything.
func (w *windows) finish() {
	w.settle()
	for _, s := range w.streams {
		for g := s.head; g != nil; g = g.next {
			w.over(g.current)
		}
		s.groups, s.head, s.tail = map[string]*group{}, nil, nil
	}
}

// settle decides what is left open of the present instant. Findings that begin thereby enter the windows
// of correlations further on, which are settled after them.
func (w *windows) settle() {
	for _, s := range w.streams {
		for i := 0; i < len(s.settling); i++ {
			g := s.settling[i]
			if !g.held {
				w.evaluate(s, g, true)
			}
			g.held, g.unsettled = false, false
		}
		s.settling = s.settling[:0]
	}
}

// enter puts a match of a rule into the windows of all correlations that use it.
func (w *windows) enter(rule int, o occurrence, it item) {
	for _, u := range w.uses[rule] {
		s := w.streams[u.stream]
		in := s.c.Inputs[u.input]
		if w.now.Sub(o.time) > s.c.Timespan { // too late for this one
			continue
		}
		var counted []string
		if s.c.Type == ValueCount {
			for _, v := range GroupKeys(fieldsOf(o, in.Values)) {
				counted = append(counted, joined(v))
			}
		}
		for _, key := range GroupKeys(fieldsOf(o, in.Group)) {
			g := s.group(key, w.now)
			g.put(o.id, it, u.input, counted, s.c.Timespan, w.now)
			if !g.unsettled {
				g.unsettled = true
				s.settling = append(s.settling, g)
			}
			if s.eager {
				w.evaluate(s, g, false)
			}
		}
	}
}

// group is the group of the key, touched now.
func (s *stream) group(key []string, now time.Time) *group {
	k := joined(key)
	g := s.groups[k]
	if g == nil {
		g = &group{key: key, joined: k, inputs: make([]int, len(s.c.Inputs)), findings: map[*running]int{}}
		if s.c.Type == ValueCount {
			g.values = map[string]int{}
		}
		s.groups[k] = g
	} else {
		s.unlink(g)
	}
	g.touched = now
	g.prev = s.tail
	if s.tail != nil {
		s.tail.next = g
	} else {
		s.head = g
	}
	s.tail = g
	return g
}

func (s *stream) unlink(g *group) {
	if g.prev != nil {
		g.prev.next = g.next
	} else {
		s.head = g.next
	}
	if g.next != nil {
		g.next.prev = g.prev
	} else {
		s.tail = g.prev
	}
	g.prev, g.next = nil, nil
}

// put adds an occurrence to the window, or an input to the one that is there.
func (g *group) put(id string, it item, input int, counted []string, span time.Duration, now time.Time) {
	for g.gone < len(g.seats) && (now.Sub(g.seats[g.gone].item.time) > span || len(g.seats)-g.gone >= maxWindow) {
		g.leave(g.seats[g.gone])
		g.seats[g.gone] = nil
		g.gone++
	}
	if g.gone > 64 && g.gone > len(g.seats)/2 { // the front is not used any more
		g.entered = max(0, g.entered-g.gone)
		g.seats = slices.Delete(g.seats, 0, g.gone)
		g.gone = 0
	}
	at := len(g.seats)
	for at > g.gone && g.seats[at-1].item.time.After(it.time) { // a late one
		at--
	}
	var s *seat
	for i := at; it.inner == nil && i > g.gone && g.seats[i-1].item.time.Equal(it.time); i-- {
		if x := g.seats[i-1]; x.inner == nil && x.id == id {
			s = x
			break
		}
	}
	if s == nil {
		s = &seat{member: member{occurrence: occurrence{id: id, time: it.time}}, item: it}
		g.seats = slices.Insert(g.seats, at, s)
		if it.inner != nil {
			g.findings[it.inner]++
		}
		if at < g.entered && g.current != nil {
			g.entered++
			g.current.add(it)
		}
	}
	s.inputs = append(s.inputs, input)
	g.inputs[input]++
	for _, v := range counted {
		s.values = append(s.values, v)
		g.values[v]++
	}
}

func (g *group) leave(s *seat) {
	for _, i := range s.inputs {
		g.inputs[i]--
	}
	for _, v := range s.values {
		if g.values[v]--; g.values[v] == 0 {
			delete(g.values, v)
		}
	}
	if s.inner == nil {
		return
	}
	if g.findings[s.inner]--; g.findings[s.inner] == 0 {
		delete(g.findings, s.inner)
	}
}

// count is the count of the window.
func (g *group) count(c *Correlation) int64 {
	switch c.Type {
	case EventCount:
		n := len(g.seats) - g.gone // of which all times of one finding are one
		for _, times := range g.findings {
			n -= times - 1
		}
		return int64(n)
	case ValueCount:
		return int64(len(g.values))
	}
	n := int64(0)
	for _, seats := range g.inputs {
		if seats > 0 {
			n++
		}
	}
	if c.Type == TemporalOrdered && (n < int64(len(c.Inputs)) || !g.ordered(len(c.Inputs))) {
		return 0
	}
	return n
}

func (g *group) ordered(n int) bool {
	members := make([]*member, 0, len(g.seats)-g.gone)
	for _, s := range g.seats[g.gone:] {
		members = append(members, &s.member)
	}
	return inOrder(members, n)
}

// evaluate looks whether the condition holds now. That it does not is said only if all of the instant is
// there.
func (w *windows) evaluate(s *stream, g *group, whole bool) {
	n := g.count(s.c)
	if !s.c.Threshold.Holds(n) {
		if whole {
			w.over(g.current)
			g.current = nil
		}
		return
	}
	g.held = true
	if g.current != nil && w.now.Sub(g.current.last) > s.c.Timespan {
		w.over(g.current)
		g.current = nil
	}
	r := g.current
	if r == nil {
		r = &running{rule: s.rule, key: g.key, time: w.now}
		g.current, g.entered = r, g.gone
		w.begun = append(w.begun, r)
	}
	r.last, r.count = w.now, max(r.count, n)
	for g.entered = max(g.entered, g.gone); g.entered < len(g.seats); g.entered++ {
		r.add(g.seats[g.entered].item)
	}
	w.grew(r)
	w.chain(r, s.c.Timespan)
}

// chain makes it an event of the correlations that use this one that the condition holds now.
func (w *windows) chain(r *running, span time.Duration) {
	if !w.used(r.rule) || r.chained.Equal(w.now) {
		return
	}
	r.chained = w.now
	by := w.set.rules[r.rule].Correlation.GroupBy
	o := occurrence{time: w.now, value: func(field string) Value {
		if i := slices.Index(by, field); i >= 0 {
			return TextValue(r.key[i])
		}
		return Value{}
	}}
	w.enter(r.rule, o, item{time: w.now, inner: r, from: w.now.Add(-span), to: w.now})
}

func (r *running) add(it item) {
	if it.inner != nil && !slices.Contains(it.inner.parents, r) {
		it.inner.parents = append(it.inner.parents, r)
	}
	if len(r.items) == maxEvidence {
		r.more++
		return
	}
	r.items = append(r.items, it)
}

// grew notes that a finding has changed, and those that it is in.
func (w *windows) grew(r *running) {
	if !slices.Contains(w.joined, r) {
		w.joined = append(w.joined, r)
	}
	for _, p := range r.parents {
		if p.last.Equal(w.now) {
			w.grew(p)
		}
	}
}

// over says that a finding does not grow any more.
func (w *windows) over(r *running) {
	if r != nil {
		w.ended = append(w.ended, r)
	}
}

// evidence is all events of the finding and of those in it, in order of time, each once; and how many
// more there are.
func (r *running) evidence() (all []*witness, more int) {
	more = r.more
	var collect func(items []item, within func(time.Time) bool)
	collect = func(items []item, within func(time.Time) bool) {
		for _, it := range items {
			switch {
			case !within(it.time):
			case it.inner == nil:
				all = append(all, it.witness)
			default:
				collect(it.inner.items, func(t time.Time) bool { return !t.Before(it.from) && !t.After(it.to) })
			}
		}
	}
	collect(r.items, func(time.Time) bool { return true })
	slices.SortFunc(all, func(a, b *witness) int { return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.id, b.id)) })
	all = slices.CompactFunc(all, func(a, b *witness) bool { return a.id == b.id })
	if len(all) > maxEvidence {
		more += len(all) - maxEvidence
		all = all[:maxEvidence]
	}
	return all, more
}
