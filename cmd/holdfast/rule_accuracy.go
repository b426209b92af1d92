package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/signals"
)

// attackScore is an attack and what was found of it.
type attackScore struct {
	kind     string
	began    time.Time
	takeover time.Time // zero: the attacker never got in
	victim   string
	seen     time.Time            // when the first serious finding had one of its events
	found    time.Time            // … that says that the victim's account is taken over, or about to be
	pending  map[string]time.Time // when there was a finding about a person alone, before the takeover
}

// score measures findings against what is known.
type score struct {
	attacks map[int]*attackScore
	ofEvent map[string]*labelledRef // events of attacks, by id
	people  map[string]struct{}
	first   time.Time
	last    time.Time
	events  int

	right, wrong, wrongLower int
	wrongByRule              map[string]int
	rightByRule              map[string]int
	wrongByNote              map[string]int
	noteOf                   map[string]string // of findings that run, by id
}

type labelledRef struct {
	attack int
	user   string
	at     time.Time
}

func newScore() *score {
	return &score{
		attacks: map[int]*attackScore{}, ofEvent: map[string]*labelledRef{}, people: map[string]struct{}{},
		wrongByRule: map[string]int{}, rightByRule: map[string]int{}, wrongByNote: map[string]int{}, noteOf: map[string]string{},
	}
}

// note takes down what is known about an event, before the rules see it.
func (s *score) note(l *labelled) {
	e, at := &l.event, l.event.When()
	if s.events++; s.events == 1 {
		s.first = at
	}
	s.last = at
	user := strings.ToLower(firstOf(e.User.Email, e.User.Login, e.User.ID))
	if l.truth.Kind == "" {
		if user != "" && e.Succeeded() {
			s.people[user] = struct{}{}
		}
		return
	}
	number := l.truth.Attack
	if number == 0 { // attacks of the kind are not told apart
		number = -1 - slices.Index(slices.Sorted(maps.Keys(s.kinds(l.truth.Kind))), l.truth.Kind)
	}
	a := s.attacks[number]
	if a == nil {
		a = &attackScore{kind: l.truth.Kind, began: at, pending: map[string]time.Time{}}
		s.attacks[number] = a
	}
	if l.truth.Takeover && a.takeover.IsZero() {
		a.takeover, a.victim = at, user
		a.found = a.pending[user]
	}
	s.ofEvent[e.SourceID] = &labelledRef{number, user, at}
}

// kinds are those of the attacks so far, and one more.
func (s *score) kinds(one string) map[string]struct{} {
	all := map[string]struct{}{one: {}}
	for _, a := range s.attacks {
		all[a.kind] = struct{}{}
	}
	return all
}

// hit notes that an event is in a finding since a time. alone: the finding is about one person.
func (s *score) hit(id string, serious bool, at time.Time, alone bool) {
	ref := s.ofEvent[id]
	if ref == nil || !serious {
		return
	}
	a := s.attacks[ref.attack]
	if a.seen.IsZero() {
		a.seen = at
	}
	switch {
	case a.takeover.IsZero() || ref.at.Before(a.takeover):
		if _, ok := a.pending[ref.user]; alone && !ok { // whoever acts on it is in time
			a.pending[ref.user] = at
			if ref.user == a.victim && a.found.IsZero() {
				a.found = at
			}
		}
	case ref.user == a.victim && a.found.IsZero():
		a.found = at
	}
}

// take notes what an event led to.
func (s *score) take(res detect.Result, l *labelled) {
	now := s.last
	for _, f := range res.Begun {
		for _, id := range f.Events {
			s.hit(id, f.Level.Serious(), now, f.User != "")
		}
		if l != nil {
			s.noteOf[f.ID] = l.truth.Note
		}
	}
	for _, g := range res.Grown {
		if l != nil {
			s.hit(l.event.SourceID, g.Level.Serious(), now, false)
		}
	}
	for _, f := range res.Ended {
		s.end(f)
	}
}

// end judges a finding: right if one of its events is of an attack.
func (s *score) end(f detect.Found) {
	note := s.noteOf[f.ID]
	delete(s.noteOf, f.ID)
	right := slices.ContainsFunc(f.Events, func(id string) bool { return s.ofEvent[id] != nil })
	switch {
	case right && f.Level.Serious():
		s.right++
		s.rightByRule[f.Rule]++
	case f.Level.Serious():
		s.wrong++
		s.wrongByRule[f.Rule]++
		s.wrongByNote[cmp.Or(note, "nothing unusual")]++
	case !right:
		s.wrongLower++
	}
}

// kindJSON is how attacks of a kind were found.
type kindJSON struct {
	Kind      string   `json:"kind"`
	Attacks   int      `json:"attacks"`
	Seen      int      `json:"seen"` // with a serious finding on any of their events
	Takeovers int      `json:"takeovers"`
	Found     int      `json:"found"` // takeovers
	Recall    *float64 `json:"recall,omitempty"`
	// Seconds from the takeover to the finding; 0 where it was there before.
	MedianSeconds *float64 `json:"median_seconds,omitempty"`
	WorstSeconds  *float64 `json:"worst_seconds,omitempty"`
	// Seconds from the attack's first event to the first finding.
	MedianFromStart *float64 `json:"median_seconds_from_start,omitempty"`
}

type accuracyJSON struct {
	Events       int     `json:"events"`
	People       int     `json:"people"`
	Days         float64 `json:"days"`
	PersonMonths float64 `json:"person_months"` // of 30 days
	Attacks      int     `json:"attacks"`
	Takeovers    int     `json:"takeovers"`
	Found        int     `json:"found"`
	Recall       float64 `json:"recall"`
	// Of findings of level high and critical.
	Right        int            `json:"right"`
	Wrong        int            `json:"wrong"`
	Precision    float64        `json:"precision"`
	WrongPer1000 float64        `json:"wrong_per_1000_person_months"`
	WrongLower   float64        `json:"wrong_per_1000_person_months_at_lower_levels"`
	Kinds        []kindJSON     `json:"kinds"`
	WrongByRule  map[string]int `json:"wrong_by_rule"`
	RightByRule  map[string]int `json:"right_by_rule"`
	WrongByNote  map[string]int `json:"wrong_by_note"`
}

func (s *score) result(people int, days float64) accuracyJSON {
	r := accuracyJSON{
		Events: s.events, People: cmp.Or(people, len(s.people)), Days: cmp.Or(days, max(1, s.last.Sub(s.first).Hours()/24)),
		Attacks: len(s.attacks), Right: s.right, Wrong: s.wrong, WrongByRule: s.wrongByRule, RightByRule: s.rightByRule, WrongByNote: s.wrongByNote,
		Kinds: []kindJSON{},
	}
	r.PersonMonths = float64(r.People) * r.Days / 30
	byKind := map[string][]*attackScore{}
	for _, number := range slices.Sorted(maps.Keys(s.attacks)) {
		a := s.attacks[number]
		byKind[a.kind] = append(byKind[a.kind], a)
	}
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		k := kindOf(kind, byKind[kind])
		r.Takeovers += k.Takeovers
		r.Found += k.Found
		r.Kinds = append(r.Kinds, k)
	}
	r.Recall = share(r.Found, r.Takeovers)
	r.Precision = share(r.Right, r.Right+r.Wrong)
	if r.PersonMonths > 0 {
		r.WrongPer1000 = 1000 * float64(r.Wrong) / r.PersonMonths
		r.WrongLower = 1000 * float64(s.wrongLower) / r.PersonMonths
	}
	return r
}

func kindOf(kind string, attacks []*attackScore) kindJSON {
	k := kindJSON{Kind: kind, Attacks: len(attacks)}
	var after, fromStart []float64
	for _, a := range attacks {
		if !a.seen.IsZero() {
			k.Seen++
			fromStart = append(fromStart, a.seen.Sub(a.began).Seconds())
		}
		if a.takeover.IsZero() {
			continue
		}
		k.Takeovers++
		if !a.found.IsZero() {
			k.Found++
			after = append(after, max(0, a.found.Sub(a.takeover).Seconds()))
		}
	}
	if k.Takeovers > 0 {
		recall := share(k.Found, k.Takeovers)
		k.Recall = &recall
	}
	if len(after) > 0 {
		median, worst := middle(after), slices.Max(after)
		k.MedianSeconds, k.WorstSeconds = &median, &worst
	}
	if len(fromStart) > 0 {
		median := middle(fromStart)
		k.MedianFromStart = &median
	}
	return k
}

// share is part of whole; 0 of nothing.
func share(part, whole int) float64 { return float64(part) / float64(max(1, whole)) }

// middle is the median, the lower one of two.
func middle(xs []float64) float64 {
	slices.Sort(xs)
	return xs[(len(xs)-1)/2]
}

// measure runs the rules over a labelled history.
func (c *ruleTestCmd) measure(ctx context.Context, std stdio, r ruleSet, x *detect.Engine) error {
	var in *counted
	if !strings.HasPrefix(c.Accuracy, synthScheme) {
		var err error
		if in, err = c.open(ctx, std, c.Accuracy); err != nil {
			return err
		}
		defer in.Close()
	}
	h, err := c.openHistory(in, std)
	if err != nil {
		return err
	}
	bar := newProgress(std.err)
	defer bar.done()
	if in != nil {
		h.steps = in.size
	}
	bar.start("measuring", h.steps)
	s := newScore()
	w := reviewer{after: c.Review, engine: x}
	for l := range h.events {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.note(&l)
		if err := w.until(s.last); err != nil {
			return err
		}
		res, err := x.Take(&l.event)
		if err != nil {
			return err
		}
		s.take(res, &l)
		w.see(res, &l)
		if in != nil {
			bar.at(in.read)
		} else {
			bar.at(int64(s.last.Sub(s.first).Hours() / 24))
		}
	}
	bar.done()
	if h.err != nil {
		return h.err
	}
	if s.events == 0 {
		return fmt.Errorf("%s has no events that could be read", c.Accuracy)
	}
	res, err := x.Finish()
	if err != nil {
		return err
	}
	s.take(res, nil)
	tellFlooded(std, x)
	result := s.result(h.people, h.days)
	if c.JSON {
		return printJSON(std, result)
	}
	tellAccuracy(std, result)
	return nil
}

// reviewer is the person who looks at findings and says of wrong ones, some time later, that the event
// was harmless.
type reviewer struct {
	after  time.Duration // 0: never
	engine *detect.Engine
	queue  []reviewed // in order of time
}

type reviewed struct {
	at    time.Time
	event signals.Event
}

func (w *reviewer) see(res detect.Result, l *labelled) {
	serious := slices.ContainsFunc(res.Begun, func(f detect.Found) bool { return f.Level.Serious() }) ||
		slices.ContainsFunc(res.Grown, func(g detect.Growth) bool { return g.Level.Serious() })
	if w.after > 0 && serious && l.truth.Kind == "" && l.event.Succeeded() {
		w.queue = append(w.queue, reviewed{l.event.When().Add(w.after), l.event})
	}
}

func (w *reviewer) until(now time.Time) error {
	for len(w.queue) > 0 && !w.queue[0].at.After(now) {
		if err := w.engine.Harmless(&w.queue[0].event); err != nil {
			return err
		}
		w.queue = w.queue[1:]
	}
	return nil
}

func tellAccuracy(std stdio, r accuracyJSON) {
	paint := painter(std.out, std.env)
	good := func(ok bool, text string) string {
		if ok {
			return paint(green, text)
		}
		return paint(red, text)
	}
	fmt.Fprintf(std.out, "%s of %s over %.0f days (%s person-months), with %s\n\n", plural(r.Events, "event", "events"), plural(r.People, "person", "people"),
		r.Days, grouped(int(r.PersonMonths)), plural(r.Attacks, "attack", "attacks"))
	fmt.Fprintf(std.out, "takeovers found        %s  %d of %d\n", good(r.Recall >= 0.95, fmt.Sprintf("%6.3f", r.Recall)), r.Found, r.Takeovers)
	fmt.Fprintf(std.out, "findings that are right%s  %d of %d of level high or critical\n", good(r.Precision >= 0.5, fmt.Sprintf("%7.3f", r.Precision)), r.Right, r.Right+r.Wrong)
	fmt.Fprintf(std.out, "wrong ones             %s  in 1,000 person-months; %.1f at lower levels\n\n", good(r.WrongPer1000 <= 1, fmt.Sprintf("%6.2f", r.WrongPer1000)), r.WrongLower)
	fmt.Fprintf(std.out, "%-24s %8s %6s %10s %6s %12s %12s %12s\n", "attack", "attacks", "seen", "takeovers", "found", "after it", "at worst", "from start")
	for _, k := range r.Kinds {
		fmt.Fprintf(std.out, "%-24s %8d %6d %10d %s %12s %12s %12s\n", k.Kind, k.Attacks, k.Seen, k.Takeovers,
			good(k.Found == k.Takeovers, fmt.Sprintf("%6d", k.Found)), spanText(k.MedianSeconds), spanText(k.WorstSeconds), spanText(k.MedianFromStart))
	}
	for _, t := range []struct {
		title string
		rows  map[string]int
	}{{"right, by rule", r.RightByRule}, {"wrong, by rule", r.WrongByRule}, {"wrong, by what was unusual", r.WrongByNote}} {
		if len(t.rows) == 0 {
			continue
		}
		fmt.Fprintf(std.out, "\n%s\n", t.title)
		names := slices.SortedFunc(maps.Keys(t.rows), func(a, b string) int {
			return cmp.Or(cmp.Compare(t.rows[b], t.rows[a]), cmp.Compare(a, b))
		})
		for _, name := range names {
			fmt.Fprintf(std.out, "  %-38s %6s\n", name, grouped(t.rows[name]))
		}
	}
}

// spanText is a time from a moment to another.
func spanText(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	if *seconds == 0 {
		return "at once"
	}
	return time.Duration(*seconds * float64(time.Second)).Round(time.Second).String()
}
