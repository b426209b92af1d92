package detect

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// snapshotVersion is the first byte of a snapshot.
const snapshotVersion = 1

// maxSnapshot is how large a snapshot can be. Floods of matches make windows large, and a database should not
// choke on them.
const maxSnapshot = 256 << 20

// Snapshot is the state of the engine, but for its memory: windows, findings that may grow, and what is open of
// the present time. It can be taken between any two events. The error is that it is too large.
//
// A snapshot is the version, the time, the rules with a print of each, texts, events, findings, the open
// findings of single rules in order, and windows. Texts, events and findings are in tables, and are named by
// their places from then on; so what is shared stays shared.
func (x *Engine) Snapshot() ([]byte, error) {
	p := &packer{x: x, texts: map[string]uint64{}, seen: map[*witness]uint64{}, findings: map[*running]uint64{}}
	var body, head scribe
	p.find()
	for _, r := range p.order {
		p.running(&body, r)
	}
	body.uint(uint64(x.open.Len()))
	for e := x.open.Front(); e != nil; e = e.Next() {
		if r, ok := e.Value.(*running); ok {
			body.uint(p.findings[r])
		}
	}
	body.uint(uint64(len(x.windows.streams)))
	for _, s := range x.windows.streams {
		p.stream(&body, s)
	}
	p.values(&body, x.present)
	body.uint(uint64(len(x.instant)))
	ids := make([]string, 0, len(x.instant))
	for id := range x.instant {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		body.uint(p.text(id))
	}
	var events scribe
	for _, e := range p.events {
		events.uint(p.text(e.id))
		events.int(e.seq)
		p.time(&events, e.time)
		for _, s := range [...]string{e.who, e.person, e.user, e.address} {
			events.uint(p.text(s))
		}
		events.bool(e.taught)
	}
	head.b = append(head.b, snapshotVersion)
	head.int(x.now.Unix())
	head.uint(uint64(x.now.Nanosecond()))
	head.uint(uint64(x.taken))
	head.uint(uint64(len(x.set.rules)))
	for i, rule := range x.set.rules {
		head.text(rule.Key())
		head.hash(x.prints[i])
		head.uint(uint64(x.passed[i]))
	}
	head.uint(uint64(len(p.list)))
	for _, s := range p.list {
		head.text(s)
	}
	head.uint(uint64(len(p.events)))
	head.b = append(head.b, events.b...)
	head.uint(uint64(len(p.order)))
	if n := len(head.b) + len(body.b); n > maxSnapshot {
		return nil, fmt.Errorf("windows and open findings take %d bytes, at most %d are kept; a rule matches too much", n, maxSnapshot)
	}
	return append(head.b, body.b...), nil
}

func (s *scribe) bool(b bool) {
	if b {
		s.b = append(s.b, 1)
	} else {
		s.b = append(s.b, 0)
	}
}

func (s *scribe) text(t string) {
	s.uint(uint64(len(t)))
	s.b = append(s.b, t...)
}

// printOf is what must be the same of a rule for its windows to mean the same: its text, and for a correlation
// how it counts and the rules that it is made of.
func printOf(set *Set, versions []string, rule int) uint64 {
	h := fnv.New64a()
	write := func(format string, parts ...any) { _, _ = fmt.Fprintf(h, format, parts...) } // a hash never fails
	r := set.rules[rule]
	write("%q %q", r.windowKey(), versions[rule])
	if c := r.Correlation; c != nil {
		write(" %s %d %q %v", c.Type, c.Timespan, c.GroupBy, c.Threshold)
		for _, in := range c.Inputs { // of rules that do not go in circles
			write(" %x %q %q", printOf(set, versions, in.Rule), in.Group, in.Values)
		}
	}
	return h.Sum64()
}

// packer writes a snapshot.
type packer struct {
	x        *Engine
	texts    map[string]uint64
	list     []string
	seen     map[*witness]uint64
	events   []*witness
	findings map[*running]uint64
	order    []*running
}

func (p *packer) text(s string) uint64 {
	i, ok := p.texts[s]
	if !ok {
		i = uint64(len(p.list))
		p.texts[s] = i
		p.list = append(p.list, s)
	}
	return i
}

func (p *packer) event(e *witness) uint64 {
	i, ok := p.seen[e]
	if !ok {
		i = uint64(len(p.events))
		p.seen[e] = i
		p.events = append(p.events, e)
	}
	return i
}

// time is written as how long it is before the present, which is short as a rule.
func (p *packer) time(to *scribe, t time.Time) {
	to.int(p.x.now.Unix() - t.Unix())
	to.uint(uint64(t.Nanosecond()))
}

// find gives all findings their places: those that are open, those in windows, and those that are in these or
// that these are in.
func (p *packer) find() {
	for e := p.x.open.Front(); e != nil; e = e.Next() {
		if r, ok := e.Value.(*running); ok {
			p.see(r)
		}
	}
	for _, s := range p.x.windows.streams {
		for g := s.head; g != nil; g = g.next {
			p.see(g.current)
			for _, seat := range g.seats[g.gone:] {
				p.see(seat.inner)
			}
		}
	}
	for i := 0; i < len(p.order); i++ {
		for _, it := range p.order[i].items {
			p.see(it.inner)
		}
		for _, r := range p.order[i].parents {
			p.see(r)
		}
	}
}

func (p *packer) see(r *running) {
	if r == nil {
		return
	}
	if _, ok := p.findings[r]; !ok {
		p.findings[r] = uint64(len(p.order))
		p.order = append(p.order, r)
	}
}

func (p *packer) running(to *scribe, r *running) {
	to.uint(uint64(r.rule))
	p.strings(to, r.key)
	p.time(to, r.time)
	p.time(to, r.last)
	p.time(to, r.chained)
	to.int(r.count)
	to.uint(uint64(r.more))
	to.bool(r.reported)
	to.bool(r.over)
	p.values(to, r.features)
	p.values(to, r.named)
	to.uint(uint64(len(r.items)))
	for _, it := range r.items {
		p.item(to, it)
	}
	to.uint(uint64(len(r.parents)))
	for _, q := range r.parents {
		to.uint(p.findings[q])
	}
}

// item is an event, or a finding with the time that it is in it for.
func (p *packer) item(to *scribe, it item) {
	to.bool(it.inner != nil)
	if it.inner == nil {
		to.uint(p.event(it.witness))
		return
	}
	to.uint(p.findings[it.inner])
	p.time(to, it.time)
	p.time(to, it.from)
	p.time(to, it.to)
}

func (p *packer) strings(to *scribe, all []string) {
	to.uint(uint64(len(all)))
	for _, s := range all {
		to.uint(p.text(s))
	}
}

func (p *packer) values(to *scribe, all []FeatureValue) {
	to.uint(uint64(len(all)))
	for _, v := range all {
		to.uint(p.text(v.Name))
		p.value(to, v.Value)
	}
}

func (p *packer) value(to *scribe, v Value) {
	to.uint(uint64(v.kind))
	switch v.kind {
	case Text:
		to.uint(p.text(v.text))
	case Int:
		to.int(int64(v.bits))
	case Float:
		to.hash(v.bits)
	case Bool:
		to.uint(v.bits)
	case List:
		to.uint(uint64(len(v.list)))
		for _, e := range v.list {
			p.value(to, e)
		}
	}
}

func (p *packer) stream(to *scribe, s *stream) {
	to.uint(uint64(s.rule))
	places := map[*group]uint64{}
	to.uint(uint64(len(s.groups)))
	for g := s.head; g != nil; g = g.next {
		places[g] = uint64(len(places))
		p.strings(to, g.key)
		p.time(to, g.touched)
		to.bool(g.held)
		to.bool(g.unsettled)
		if g.current == nil {
			to.uint(0)
		} else {
			to.uint(p.findings[g.current] + 1)
		}
		to.uint(uint64(max(0, g.entered-g.gone)))
		to.uint(uint64(len(g.seats) - g.gone))
		for _, seat := range g.seats[g.gone:] {
			p.item(to, seat.item)
			to.uint(uint64(len(seat.inputs)))
			for _, i := range seat.inputs {
				to.uint(uint64(i))
			}
			p.strings(to, seat.member.values)
		}
	}
	to.uint(uint64(len(s.settling)))
	for _, g := range s.settling {
		to.uint(places[g])
	}
}

// errDamaged is what Restore says of what no Snapshot gave.
func errDamaged() error { return errors.New("the state of the windows is damaged") }
