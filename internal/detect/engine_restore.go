package detect

import (
	"container/list"
	"fmt"
	"time"
)

// Restore makes the engine what it was at the Snapshot. Where rules have changed since, or are gone, their
// windows are empty and their findings do not grow any more; what was found stays found. After an error the
// engine is as it was before.
//
// It does not concern the memory, which whoever asks has put back to the same time.
func (x *Engine) Restore(snapshot []byte) error {
	if len(snapshot) == 0 || snapshot[0] != snapshotVersion {
		return fmt.Errorf("the state of the windows is not of version %d", snapshotVersion)
	}
	u := &unpacker{x: x, from: recall{b: snapshot[1:]}}
	w, open := newWindows(x.set), list.New()
	if err := u.all(w, open); err != nil {
		return err
	}
	x.windows, x.open, x.alone = w, open, map[string]*running{}
	clear(x.openOf)
	for e := open.Front(); e != nil; e = e.Next() {
		r, _ := e.Value.(*running)
		x.alone[r.subject] = r
		r.place = e
		x.openOf[r.rule]++
	}
	x.now, x.taken, x.passed, x.present = u.now, u.taken, u.passed, u.present
	w.now = u.now
	clear(x.touched)
	x.touched = x.touched[:0]
	x.instant = u.instant
	if x.clock != nil {
		x.clock.Now(x.now)
	}
	return nil
}

// unpacker reads a snapshot. Numbers of rules are those of the snapshot; rules has what they are here, or -1.
type unpacker struct {
	x        *Engine
	from     recall
	now      time.Time
	taken    int
	rules    []int
	passed   []int
	texts    []string
	events   []*witness
	findings []*running
	present  []FeatureValue
	instant  map[string]struct{}
}

// number is how many of something there are. Each takes a byte at least, so there cannot be more than bytes.
func (u *unpacker) number() int {
	n := u.from.uint()
	if n > uint64(len(u.from.b)) {
		u.from.b, u.from.broken = nil, true
		return 0
	}
	return int(n)
}

// below is a number that is lower than a bound.
func (u *unpacker) below(bound int) int {
	n := u.from.uint()
	if n >= uint64(bound) {
		u.from.b, u.from.broken = nil, true
		return -1
	}
	return int(n)
}

func (u *unpacker) bool() bool { return u.below(2) == 1 }

func (u *unpacker) raw() string {
	n := u.number()
	s := string(u.from.b[:n])
	u.from.b = u.from.b[n:]
	return s
}

func (u *unpacker) text() string {
	if i := u.below(len(u.texts)); i >= 0 {
		return u.texts[i]
	}
	return ""
}

func (u *unpacker) strings() (all []string) {
	for range u.number() {
		all = append(all, u.text())
	}
	return all
}

func (u *unpacker) time() time.Time {
	sec := u.now.Unix() - u.from.int()
	return time.Unix(sec, int64(max(0, u.below(1e9)))).UTC()
}

func (u *unpacker) rule() int {
	if i := u.below(len(u.rules)); i >= 0 {
		return u.rules[i]
	}
	return -1
}

func (u *unpacker) all(w *windows, open *list.List) error {
	sec := u.from.int()
	u.now = time.Unix(sec, int64(max(0, u.below(1e9)))).UTC()
	u.taken = int(u.from.uint() % (1 << 40))
	u.passed = make([]int, len(u.x.set.rules))
	u.rulesOf()
	for range u.number() {
		u.texts = append(u.texts, u.raw())
	}
	for range u.number() {
		u.events = append(u.events, &witness{
			id: u.text(), seq: u.from.int(), time: u.time(), who: u.text(), person: u.text(), user: u.text(), address: u.text(), taught: u.bool(),
		})
	}
	for range u.number() {
		u.findings = append(u.findings, &running{})
	}
	for _, r := range u.findings {
		u.running(r)
	}
	u.forget()
	u.opened(open)
	for range u.number() {
		u.stream(w)
	}
	u.present = u.values()
	u.instant = map[string]struct{}{}
	for range u.number() {
		u.instant[u.text()] = struct{}{}
	}
	if u.from.broken || len(u.from.b) > 0 {
		return errDamaged()
	}
	return nil
}

// rulesOf finds the rules that are here, too, and have not changed.
func (u *unpacker) rulesOf() {
	type kept struct {
		key   string
		print uint64
	}
	here := map[kept]int{}
	for i, r := range u.x.set.rules {
		here[kept{r.Key(), u.x.prints[i]}] = i
	}
	for range u.number() {
		k := kept{u.raw(), u.from.hash()}
		passed := int(u.from.uint() % (1 << 40))
		i, ok := here[k]
		if !ok {
			u.rules = append(u.rules, -1)
			continue
		}
		u.rules = append(u.rules, i)
		u.passed[i] = passed
	}
}

func (u *unpacker) running(r *running) {
	r.rule = u.rule()
	r.key = u.strings()
	r.time, r.last, r.chained = u.time(), u.time(), u.time()
	r.count, r.more = u.from.int(), int(u.from.uint()%(1<<40))
	r.reported, r.over = u.bool(), u.bool()
	r.features, r.named = u.values(), u.values()
	n := u.number()
	if n > maxEvidence {
		u.from.b, u.from.broken = nil, true
		return
	}
	for range n {
		if it, ok := u.item(); ok {
			r.items = append(r.items, it)
		}
	}
	for range u.number() {
		if i := u.below(len(u.findings)); i >= 0 {
			r.parents = append(r.parents, u.findings[i])
		}
	}
}

// item is false for damage.
func (u *unpacker) item() (it item, ok bool) {
	if !u.bool() {
		i := u.below(len(u.events))
		if i < 0 {
			return it, false
		}
		it.witness = u.events[i]
		it.time = it.witness.time
		return it, true
	}
	i := u.below(len(u.findings))
	it.time, it.from, it.to = u.time(), u.time(), u.time()
	if i < 0 {
		return it, false
	}
	it.inner = u.findings[i]
	return it, true
}

// forget drops findings of rules that are not here from those that are left. One may not be in itself, which
// only damage can say.
func (u *unpacker) forget() {
	gone := func(r *running) bool { return r != nil && r.rule < 0 }
	for _, r := range u.findings {
		items := r.items[:0]
		for _, it := range r.items {
			if !gone(it.inner) {
				items = append(items, it)
			}
			// A correlation comes behind those that it is made of, in this order and in that of the rules.
			if it.inner != nil && r.rule >= 0 && it.inner.rule >= 0 && !u.x.uses(r.rule, it.inner.rule) {
				u.from.b, u.from.broken = nil, true
			}
		}
		r.items = items
		parents := r.parents[:0]
		for _, p := range r.parents {
			if gone(p) {
				continue
			}
			if r.rule >= 0 && !u.x.uses(p.rule, r.rule) {
				u.from.b, u.from.broken = nil, true
			}
			parents = append(parents, p)
		}
		r.parents = parents
	}
}

// uses says whether one rule is a correlation of the other.
func (x *Engine) uses(one, other int) bool {
	for _, u := range x.windows.uses[other] {
		if x.windows.streams[u.stream].rule == one {
			return true
		}
	}
	return false
}

// opened are the open findings of rules that stand alone, the one not touched for longest first.
func (u *unpacker) opened(open *list.List) {
	taken := map[string]bool{}
	for range u.number() {
		i := u.below(len(u.findings))
		if i < 0 {
			return
		}
		r := u.findings[i]
		if r.rule < 0 {
			continue
		}
		if len(r.key) != 1 {
			u.from.b, u.from.broken = nil, true
			return
		}
		r.subject = aloneKey(r.rule, r.key[0])
		if taken[r.subject] {
			u.from.b, u.from.broken = nil, true
			return
		}
		taken[r.subject] = true
		open.PushBack(r)
	}
}

func (u *unpacker) values() (all []FeatureValue) {
	for range u.number() {
		all = append(all, FeatureValue{u.text(), u.value(true)})
	}
	return all
}

// value is one value; a list has no lists in it.
func (u *unpacker) value(lists bool) Value {
	kind := Kind(max(0, u.below(int(List)+1)))
	switch kind {
	case Text:
		return TextValue(u.text())
	case Int:
		return IntValue(u.from.int())
	case Float:
		return Value{kind: Float, bits: u.from.hash()}
	case Bool:
		return BoolValue(u.bool())
	case List:
		if !lists {
			u.from.b, u.from.broken = nil, true
			return Value{}
		}
		v := Value{kind: List}
		for range u.number() {
			v.list = append(v.list, u.value(false))
		}
		return v
	}
	return Value{kind: kind}
}

// stream is the windows of a correlation. Those of one that is not here are read, and dropped.
func (u *unpacker) stream(w *windows) {
	rule := u.rule()
	into := &stream{c: &Correlation{}, groups: map[string]*group{}}
	for _, s := range w.streams {
		if s.rule == rule {
			into = s
		}
	}
	if into.rule == rule && len(into.groups) > 0 {
		u.from.b, u.from.broken = nil, true // twice
		return
	}
	here := rule >= 0 && into.rule == rule && into.c.Inputs != nil
	var order []*group
	for range u.number() {
		g := u.group(into, here)
		if u.from.broken {
			return
		}
		order = append(order, g)
	}
	for range u.number() {
		i := u.below(len(order))
		if i < 0 {
			return
		}
		into.settling = append(into.settling, order[i])
	}
}

func (u *unpacker) group(s *stream, here bool) *group {
	key := u.strings()
	if _, twice := s.groups[joined(key)]; twice {
		u.from.b, u.from.broken = nil, true
		return nil
	}
	g := s.group(key, u.time())
	g.held, g.unsettled = u.bool(), u.bool()
	if i := u.below(len(u.findings) + 1); i > 0 && u.findings[i-1].rule >= 0 {
		g.current = u.findings[i-1]
		if here && g.current.rule != s.rule {
			u.from.b, u.from.broken = nil, true
		}
	}
	entered := int(u.from.uint() % (1 << 40))
	n := u.number()
	for at := range n {
		before := len(g.seats)
		u.seat(s, g, here)
		if at < entered && len(g.seats) > before {
			g.entered++
		}
	}
	return g
}

func (u *unpacker) seat(s *stream, g *group, here bool) {
	it, ok := u.item()
	x := &seat{item: it}
	for range u.number() {
		most := len(s.c.Inputs)
		if !here {
			most = 1 << 30
		}
		if i := u.below(most); i >= 0 {
			x.inputs = append(x.inputs, i)
		}
	}
	x.member.values = u.strings()
	if !ok || !here || it.inner != nil && it.inner.rule < 0 {
		return
	}
	x.member.time = it.time
	if it.witness != nil {
		x.member.id = it.witness.id
	} else {
		g.findings[it.inner]++
	}
	for _, i := range x.inputs {
		g.inputs[i]++
	}
	for _, v := range x.member.values {
		if g.values != nil {
			g.values[v]++
		}
	}
	g.seats = append(g.seats, x)
}
