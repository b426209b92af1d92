package respond

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"holdfast/internal/problem"
)

// Bounds of what guard rails can be set to.
const (
	maxGuardPeople = 100_000
	minGuardWindow = time.Minute
	maxGuardWindow = 30 * 24 * time.Hour
	minGuardAge    = time.Minute
	maxGuardAge    = 24 * time.Hour
	maxProtected   = 1000
	maxWhy         = 300 // characters of a reason
)

// Check refuses guard rails that cannot be meant, naming the field of the form: people, groups, break_glass,
// max_people, window, max_share, max_event_age, min_trust.
func (g *Guard) Check() error {
	for _, list := range []struct {
		field string
		all   []Protected
	}{{"people", g.People}, {"groups", g.Groups}} {
		if err := checkProtectedList(list.field, list.all); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for _, id := range g.BreakGlass {
		if !isID(id) || seen[id] {
			return problem.InField("break_glass", "%q is no id of a person, or is listed twice; an id has 26 capital letters and digits", id)
		}
		seen[id] = true
	}
	switch {
	case len(g.BreakGlass) > maxProtected:
		return problem.InField("break_glass", "%d people are listed; at most %d are possible", len(g.BreakGlass), maxProtected)
	case g.MaxPeople < 0 || g.MaxPeople > maxGuardPeople:
		return problem.InField("max_people", "%d people is no limit; give a number from 0 (none may be suspended by a playbook) to %d", g.MaxPeople, maxGuardPeople)
	case g.Window < minGuardWindow || g.Window > maxGuardWindow:
		return problem.InField("window", "the time is %s; it must be from %s to %s", Span(g.Window), Span(minGuardWindow), Span(maxGuardWindow))
	case !(g.MaxShare >= 0 && g.MaxShare <= 100): // NaN as well
		return problem.InField("max_share", "%v percent is no share; give a number from 0 to 100 (one person is always allowed)", g.MaxShare)
	case g.MaxEventAge < minGuardAge || g.MaxEventAge > maxGuardAge:
		return problem.InField("max_event_age", "the age is %s; it must be from %s to %s", Span(g.MaxEventAge), Span(minGuardAge), Span(maxGuardAge))
	case g.MinTrust < TrustSent || g.MinTrust > TrustOwn:
		return problem.InField("min_trust", "the trust is %d; it must be %d (sent to us and signed), %d (asked by us) or %d (own sign-ins)", g.MinTrust, TrustSent, TrustAsked, TrustOwn)
	}
	return nil
}

func checkProtectedList(field string, all []Protected) error {
	if len(all) > maxProtected {
		return problem.InField(field, "%d are listed; at most %d are possible; protect a group instead", len(all), maxProtected)
	}
	seen := map[string]bool{}
	for _, p := range all {
		switch {
		case !isID(p.ID):
			return problem.InField(field, "%q is no id; an id has 26 capital letters and digits", p.ID)
		case seen[p.ID]:
			return problem.InField(field, "%s is listed twice; keep one of them", p.ID)
		}
		seen[p.ID] = true
		if _, err := CheckWhy(field, p.Why); err != nil {
			return err
		}
	}
	return nil
}

// isID says whether the text has the form of an id: 26 of A-Z and 2-7.
func isID(s string) bool {
	return len(s) == 26 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// CheckWhy is the reason without space around it. One that is missing, too long or cannot be shown is refused.
func CheckWhy(field, why string) (string, error) {
	why = strings.TrimSpace(why)
	switch {
	case why == "":
		return "", problem.InField(field, "say why; it is shown beside what it leads to, and kept in the audit log")
	case !utf8.ValidString(why) || strings.ContainsFunc(why, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }):
		return "", problem.InField(field, "the reason holds characters that cannot be shown")
	case utf8.RuneCountInString(why) > maxWhy:
		return "", problem.InField(field, "the reason has %d characters; at most %d are possible", utf8.RuneCountInString(why), maxWhy)
	}
	return why, nil
}

// checkKill is the first check: messages go out and what was done is undone while the switch is on, nothing else.
func checkKill(k Kill, harmless bool) Check {
	if !k.On {
		return pass(CheckKill, "off")
	}
	facts := []string{"door", k.Door, "by", k.By, "since", stamp(k.At), "reason", k.Reason}
	if harmless {
		return pass(CheckKill, "on_messages_only", facts...)
	}
	return hold(CheckKill, "on", facts...)
}

// checkAge compares the age of the newest event with the limit.
func checkAge(f Facts, limit time.Duration) Check {
	last := f.Event.Time
	if f.Finding.Last.After(last) {
		last = f.Finding.Last
	}
	if last.IsZero() {
		return stop(CheckAge, "no_time")
	}
	age := f.Now.Sub(last)
	facts := []string{"age", Span(age.Abs()), "limit", Span(limit)}
	switch {
	case age < -aheadMost:
		return stop(CheckAge, "ahead", facts...)
	case age > limit:
		return stop(CheckAge, "too_old", facts...)
	}
	return pass(CheckAge, "recent", "age", Span(max(0, age)), "limit", Span(limit))
}

// aheadMost is by how much clocks may differ.
const aheadMost = 5 * time.Minute

func checkTrust(have, least Trust) Check {
	facts := []string{"trust", strconv.Itoa(int(have)), "least", strconv.Itoa(int(least))}
	if have < least {
		return stop(CheckTrust, "not_trusted", facts...)
	}
	return pass(CheckTrust, "trusted", facts...)
}

// checkProtected says whether the person may be suspended at all. The reasons that nobody can go beyond come first:
// who lists a person must not thereby make it possible to override the built-in rules. Playbook are names of groups that a playbook leaves
// alone.
func checkProtected(f Facts, playbook []string) Check {
	p, g := f.Person, f.Guard
	if p.ID == "" {
		return stop(CheckProtected, "no_person", "user", f.Finding.User)
	}
	switch {
	case slices.Contains(g.BreakGlass, p.ID):
		return stop(CheckProtected, "break_glass")
	case p.LastOwner:
		return stop(CheckProtected, "last_owner")
	case p.ExternallyManaged:
		return stop(CheckProtected, "externally_managed")
	case !p.Active:
		return stop(CheckProtected, "not_active")
	}
	for _, x := range g.People {
		if x.ID == p.ID && x.holds(f.Now) {
			return stop(CheckProtected, "person", x.facts()...)
		}
	}
	for i, id := range p.GroupIDs {
		for _, x := range g.Groups {
			if x.ID != id || !x.holds(f.Now) {
				continue
			}
			name := id
			if i < len(p.Groups) {
				name = p.Groups[i]
			}
			return stop(CheckProtected, "group", append(x.facts(), "group", name)...)
		}
	}
	for _, name := range playbook {
		if slices.ContainsFunc(p.Groups, func(g string) bool { return strings.EqualFold(g, name) }) {
			return stop(CheckProtected, "playbook_group", "group", name)
		}
	}
	return pass(CheckProtected, "not_protected")
}

func (p Protected) holds(now time.Time) bool { return p.Until.IsZero() || now.Before(p.Until) }

func (p Protected) facts() []string {
	facts := []string{"why", p.Why}
	if !p.Until.IsZero() {
		facts = append(facts, "until", stamp(p.Until))
	}
	return facts
}

// tightened are the account's guard rails with the playbook's own, of each the stricter one. What the playbook says
// of people within a window is counted apart.
func (g Guard) tightened(t Tighter) Guard {
	if t.MaxEventAge > 0 {
		g.MaxEventAge = min(g.MaxEventAge, t.MaxEventAge)
	}
	g.MinTrust = max(g.MinTrust, t.MinTrust)
	if t.MaxShare > 0 {
		g.MaxShare = min(g.MaxShare, t.MaxShare)
	}
	return g
}

// checkBlast asks for room for one more person. The account's limit holds for all playbooks together, the playbook's
// own for its suspensions alone.
func checkBlast(f Facts, g Guard, playbook string, own Tighter) (Check, error) {
	used, err := f.Suspensions("", f.Now.Add(-g.Window))
	if err != nil {
		return Check{}, fmt.Errorf("count suspensions: %w", err)
	}
	facts := []string{"used", strconv.Itoa(used), "limit", strconv.Itoa(g.MaxPeople), "window", Span(g.Window)}
	if used+1 > g.MaxPeople {
		return hold(CheckBlast, "over_window", facts...), nil
	}
	if own.MaxPeople > 0 {
		window := cmp.Or(own.Window, g.Window)
		used, err := f.Suspensions(playbook, f.Now.Add(-window))
		if err != nil {
			return Check{}, fmt.Errorf("count suspensions of the playbook: %w", err)
		}
		if used+1 > own.MaxPeople {
			return hold(CheckBlast, "over_playbook", "used", strconv.Itoa(used), "limit", strconv.Itoa(own.MaxPeople), "window", Span(window)), nil
		}
	}
	held, err := f.HeldPeople()
	if err != nil {
		return Check{}, fmt.Errorf("count held people: %w", err)
	}
	most := shareOf(f.ActivePeople, g.MaxShare)
	facts = append(facts, "held", strconv.Itoa(held), "most", strconv.Itoa(most), "active", strconv.Itoa(f.ActivePeople), "share", strconv.FormatFloat(g.MaxShare, 'f', -1, 64))
	if held+1 > most {
		return hold(CheckBlast, "over_share", facts...), nil
	}
	return pass(CheckBlast, "within", facts...), nil
}

// MostHeld is how many of so many active people cases may hold at a time.
func (g Guard) MostHeld(active int) int { return shareOf(active, g.MaxShare) }

// shareOf is how many of the people the share is, rounded down; one is always allowed.
func shareOf(active int, percent float64) int {
	return max(1, int(float64(active)*percent/100+1e-9))
}

// Span is the time as people write it and [time.ParseDuration] reads it: 15m, 1h30m, 24h. Below a second it is 0s or
// more exact.
func Span(d time.Duration) string {
	if d >= time.Second {
		d = d.Round(time.Second)
	}
	s := d.Round(time.Millisecond).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// stamp is a time in a fact: RFC 3339, in UTC, empty if there is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
