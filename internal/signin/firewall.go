package signin

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"

	"holdfast/internal/origin"
	"holdfast/internal/problem"
)

// Action is what a firewall rule does with an attempt that it matches.
type Action string

// The actions.
const (
	Allow  Action = "allow"
	Report Action = "report" // it may get in, and is recorded as [FirewallReported]
	Deny   Action = "deny"   // it does not get in, and is recorded as [FirewallFailed]
)

// Kind is what a firewall rule looks at.
type Kind string

// The kinds, with what a rule's value is then.
const (
	MatchCountry   Kind = "country"   // ISO 3166-1 alpha-2: DE
	MatchContinent Kind = "continent" // AF AN AS EU NA OC SA
	MatchAddress   Kind = "address"   // an IP address, or a network: 192.0.2.0/24
	MatchAnonymous Kind = "anonymous" // none: VPN, proxy, Tor exit or hosting
	MatchAll       Kind = "all"       // none: every attempt
)

// Bounds of rules.
const (
	MaxRules = 200 // of an account
	maxNote  = 200 // bytes
)

// Rule is a firewall rule of an account. The first one that matches an attempt, by position, decides about
// it; what no rule matches is allowed.
type Rule struct {
	ID        string
	AccountID string
	Position  int // 1, 2, 3…
	Action    Action
	Kind      Kind
	Value     string
	Note      string // why it is there
	CreatedAt time.Time
	CreatedBy string // actor, as audit entries name one
}

// Check returns the rule with its value and note as they are stored, or what is wrong with it, as a problem
// with the field: action, kind, value or note.
func (r Rule) Check() (Rule, error) {
	if !slices.Contains(Actions(), r.Action) {
		return r, problem.InField("action", "the action %q is unknown; it must be allow, report or deny", bounded(string(r.Action), 40))
	}
	var err error
	switch typed := strings.TrimSpace(r.Value); r.Kind {
	case MatchCountry:
		r.Value, err = checkCountry(typed)
	case MatchContinent:
		r.Value, err = checkContinent(typed)
	case MatchAddress:
		r.Value, err = checkNetwork(typed)
	case MatchAnonymous, MatchAll:
		if typed != "" {
			return r, problem.InField("value", "a rule for %s has no value, and %q was given; leave it out", r.Kind, bounded(typed, 40))
		}
		r.Value = ""
	default:
		return r, problem.InField("kind", "the kind %q is unknown; it must be country, continent, address, anonymous or all", bounded(string(r.Kind), 40))
	}
	if err != nil {
		return r, err
	}
	r.Note = strings.TrimSpace(r.Note)
	switch {
	case len(r.Note) > maxNote:
		return r, problem.InField("note", "the note has %d bytes; at most %d are possible", len(r.Note), maxNote)
	case !utf8.ValidString(r.Note) || strings.ContainsFunc(r.Note, func(c rune) bool { return c < 0x20 || c == 0x7f }):
		return r, problem.InField("note", "the note holds characters that cannot be shown")
	}
	return r, nil
}

// Actions returns all actions, the mildest first.
func Actions() []Action { return []Action{Allow, Report, Deny} }

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{MatchCountry, MatchContinent, MatchAddress, MatchAnonymous, MatchAll}
}

// Continents returns the codes of all continents.
func Continents() []string { return []string{"AF", "AN", "AS", "EU", "NA", "OC", "SA"} }

// reserved are codes that the language library takes for countries and that ISO 3166-1 has not assigned:
// kept for special uses, or withdrawn.
const reserved = " AC AN CP CQ CS DG EA EZ FQ IC NT PC SU TA UN YU "

// Countries returns the codes of all countries, with XK, which databases of addresses use for Kosovo.
func Countries() []string {
	var all []string
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			if found, ok := country(code); ok && found == code {
				all = append(all, code)
			}
		}
	}
	return all
}

// country is the code as ISO 3166-1 has it today: GB for UK, too.
func country(code string) (string, bool) {
	if len(code) != 2 {
		return "", false
	}
	region, err := language.ParseRegion(code)
	if err != nil || !region.IsCountry() {
		return "", false
	}
	found := region.Canonicalize().String()
	return found, !strings.Contains(reserved, " "+found+" ")
}

func checkCountry(typed string) (string, error) {
	code, ok := country(strings.ToUpper(typed))
	if !ok {
		return "", problem.InField("value", "%q is no country; give its code of two letters (ISO 3166-1), such as DE", bounded(typed, 40))
	}
	return code, nil
}

func checkContinent(typed string) (string, error) {
	code := strings.ToUpper(typed)
	if !slices.Contains(Continents(), code) {
		return "", problem.InField("value", "%q is no continent; give one of %s", bounded(typed, 40), strings.Join(Continents(), ", "))
	}
	return code, nil
}

// checkNetwork returns an address, or a network in CIDR notation, in the one way in which each is written.
func checkNetwork(typed string) (string, error) {
	bad := func() error {
		return problem.InField("value", "%q is no IP address and no network; give one such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/48", bounded(typed, 60))
	}
	if a, err := netip.ParseAddr(typed); err == nil && a.Zone() == "" {
		return a.Unmap().String(), nil
	}
	p, err := netip.ParsePrefix(typed)
	if err != nil {
		return "", bad()
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return "", bad()
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	if p.Masked() != p {
		return "", problem.InField("value", "%s is an address within a network; for the network give %s, for the address alone %s", typed, p.Masked(), p.Addr())
	}
	if p.IsSingleIP() {
		return p.Addr().String(), nil
	}
	return p.String(), nil
}

// Type is what an attempt is recorded as that the rule denies.
func (r Rule) Type() Type {
	switch r.Kind {
	case MatchCountry:
		return CountryBlocked
	case MatchContinent:
		return ContinentBlocked
	case MatchAddress:
		return IPBlocked
	case MatchAnonymous:
		return AnonymousBlocked
	}
	return AllBlocked
}

// Same reports whether two rules match the same attempts.
func (r Rule) Same(o Rule) bool { return r.Kind == o.Kind && r.Value == o.Value }

// Firewall is the rules of an account, read for matching. The zero Firewall allows everything.
type Firewall struct {
	rules    []Rule
	networks []netip.Prefix // of the rule at the same place; the zero Prefix for kinds without
}

// NewFirewall reads checked rules, which are in order.
func NewFirewall(rules []Rule) Firewall {
	f := Firewall{rules: rules, networks: make([]netip.Prefix, len(rules))}
	for i, r := range rules {
		if r.Kind != MatchAddress {
			continue
		}
		if a, err := netip.ParseAddr(r.Value); err == nil {
			f.networks[i] = netip.PrefixFrom(a, a.BitLen())
		} else if p, err := netip.ParsePrefix(r.Value); err == nil {
			f.networks[i] = p
		}
	}
	return f
}

// Match returns the rule that decides about an attempt from the address at the location; false if none
// does. What is not known about the place matches no rule that is about it.
func (f Firewall) Match(l origin.Location, address string) (Rule, bool) {
	a, err := netip.ParseAddr(address)
	if err == nil {
		a = a.Unmap().WithZone("")
	}
	for i, r := range f.rules {
		var is bool
		switch r.Kind {
		case MatchCountry:
			is = r.Value == l.Country && l.Country != ""
		case MatchContinent:
			is = r.Value == l.Continent && l.Continent != ""
		case MatchAddress:
			is = a.IsValid() && f.networks[i].Contains(a)
		case MatchAnonymous:
			is = l.AnonymousKnown && l.Anonymous
		case MatchAll:
			is = true
		}
		if is {
			return r, true
		}
	}
	return Rule{}, false
}

// Match is [Firewall.Match] for one attempt.
func Match(rules []Rule, l origin.Location, address string) (Rule, bool) {
	return NewFirewall(rules).Match(l, address)
}

// Screen says what the rules make of an attempt. If they deny it, the attempt that it returns is the refused one, to
// record instead; if they report it, a success is recorded as a reported one.
func Screen(rules []Rule, a Attempt) (screened Attempt, denied bool) {
	r, ok := Match(rules, a.Location, a.Client.Address)
	switch {
	case ok && r.Action == Deny:
		a.Category, a.Type, a.Details = FirewallFailed, r.Type(), r.Value
		return a, true
	case ok && r.Action == Report && a.Category == Success:
		a.Category, a.Details = FirewallReported, r.Value
	}
	return a, false
}

// denied is the answer to somebody whose password is right and who is in a place that a rule denies; nil if none
// does. It is recorded.
func (s *Service) denied(ctx context.Context, c Client, p Person, m Method) error {
	rules, err := s.Store.Rules(ctx, p.AccountID)
	if err != nil {
		return err
	}
	a, no := Screen(rules, s.attempt(c, p, m, CredentialsFailed, AllBlocked))
	if !no {
		return nil
	}
	if err := s.Store.Fail(ctx, a, nil, s.by(ctx, c, "anonymous", p)); err != nil {
		return err
	}
	return ErrFirewall()
}

// ErrFirewall is the answer to who has shown the right credentials in a place that a rule denies.
func ErrFirewall() *problem.Error {
	return problem.Coded(problem.Forbidden, "firewall", "sign-ins from here are not allowed; ask an administrator of the account")
}
