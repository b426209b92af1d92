package signin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/origin"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
)

// places is a map of addresses to where they are.
type places map[string]origin.Location

func (p places) Locate(address string) origin.Location { return p[address] }

// Where people of these tests are.
const (
	office = "192.0.2.10"    // DE, EU
	abroad = "198.51.100.20" // BR, SA
	hidden = "203.0.113.200" // NL, EU, anonymous
)

func world() places {
	return places{
		office: {Country: "DE", Continent: "EU", AnonymousKnown: true},
		abroad: {Country: "BR", Continent: "SA", AnonymousKnown: true},
		hidden: {Country: "NL", Continent: "EU", Anonymous: true, AnonymousKnown: true},
	}
}

func rule(a signin.Action, k signin.Kind, value string) signin.Rule {
	return signin.Rule{Action: a, Kind: k, Value: value}
}

func TestRuleCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		rule signin.Rule
		want string // value; or the field at fault, with a colon
	}{
		{"country", rule(signin.Deny, signin.MatchCountry, " de "), "DE"},
		{"country_renamed", rule(signin.Deny, signin.MatchCountry, "UK"), "GB"},
		{"country_of_databases", rule(signin.Deny, signin.MatchCountry, "XK"), "XK"},
		{"country_unassigned", rule(signin.Deny, signin.MatchCountry, "XX"), ":value"},
		{"country_union", rule(signin.Deny, signin.MatchCountry, "EU"), ":value"},
		{"country_reserved", rule(signin.Deny, signin.MatchCountry, "UN"), ":value"},
		{"country_gone", rule(signin.Deny, signin.MatchCountry, "YU"), ":value"},
		{"country_three_letters", rule(signin.Deny, signin.MatchCountry, "DEU"), ":value"},
		{"country_number", rule(signin.Deny, signin.MatchCountry, "276"), ":value"},
		{"country_none", rule(signin.Deny, signin.MatchCountry, ""), ":value"},
		{"continent", rule(signin.Report, signin.MatchContinent, "eu"), "EU"},
		{"continent_unknown", rule(signin.Report, signin.MatchContinent, "XX"), ":value"},
		{"address", rule(signin.Allow, signin.MatchAddress, "192.0.2.7"), "192.0.2.7"},
		{"address_with_all_bits", rule(signin.Allow, signin.MatchAddress, "192.0.2.7/32"), "192.0.2.7"},
		{"address_mapped", rule(signin.Allow, signin.MatchAddress, "::ffff:192.0.2.7"), "192.0.2.7"},
		{"network", rule(signin.Allow, signin.MatchAddress, "192.0.2.0/24"), "192.0.2.0/24"},
		{"network_mapped", rule(signin.Allow, signin.MatchAddress, "::ffff:192.0.2.0/120"), "192.0.2.0/24"},
		{"network_mapped_wider", rule(signin.Allow, signin.MatchAddress, "::ffff:0.0.0.0/90"), ":value"},
		{"network_spelt_long", rule(signin.Allow, signin.MatchAddress, "2001:0DB8:0:0::/48"), "2001:db8::/48"},
		{"network_host_bits", rule(signin.Allow, signin.MatchAddress, "192.0.2.7/24"), ":value"},
		{"network_too_many_bits", rule(signin.Allow, signin.MatchAddress, "192.0.2.0/33"), ":value"},
		{"address_zone", rule(signin.Allow, signin.MatchAddress, "fe80::1%eth0"), ":value"},
		{"address_name", rule(signin.Allow, signin.MatchAddress, "example.org"), ":value"},
		{"anonymous", rule(signin.Deny, signin.MatchAnonymous, " "), ""},
		{"anonymous_value", rule(signin.Deny, signin.MatchAnonymous, "tor"), ":value"},
		{"all", rule(signin.Deny, signin.MatchAll, ""), ""},
		{"no_action", rule("", signin.MatchAll, ""), ":action"},
		{"no_kind", rule(signin.Deny, "", ""), ":kind"},
		{"note_long", signin.Rule{Action: signin.Deny, Kind: signin.MatchAll, Note: strings.Repeat("ä", 101)}, ":note"},
		{"note_lines", signin.Rule{Action: signin.Deny, Kind: signin.MatchAll, Note: "a\nb"}, ":note"},
		{"note_broken", signin.Rule{Action: signin.Deny, Kind: signin.MatchAll, Note: "a\xff"}, ":note"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.rule.Check()
			said := got.Value
			if err != nil {
				said = ":" + problem.Public(err).Field
			}
			if said != tt.want {
				t.Errorf("%q, error %v, want %q", got.Value, err, tt.want)
			}
			if again, err2 := got.Check(); err == nil && (err2 != nil || again != got) {
				t.Errorf("checked again: %+v, error %v, want that nothing changes", again, err2)
			}
		})
	}
	if n := len(signin.Countries()); n != 250 { // 249 of ISO 3166-1, and XK
		t.Errorf("%d countries", n)
	}
}

func TestMatch(t *testing.T) {
	w := world()
	kinds := []signin.Rule{
		rule(signin.Allow, signin.MatchAddress, "192.0.2.0/28"), rule(signin.Report, signin.MatchCountry, "BR"),
		rule(signin.Deny, signin.MatchAnonymous, ""), rule(signin.Deny, signin.MatchContinent, "SA"), rule(signin.Allow, signin.MatchAddress, "2001:db8::/32"),
	}
	all := append(append([]signin.Rule{}, kinds...), rule(signin.Deny, signin.MatchAll, ""))
	for _, tt := range []struct {
		name    string
		rules   []signin.Rule
		address string
		at      origin.Location
		want    string
	}{
		{"no_rules", nil, office, w[office], "none"},
		{"network", kinds, office, w[office], "allow address 192.0.2.0/28"},
		{"network_mapped", kinds, "::ffff:192.0.2.15", origin.Location{}, "allow address 192.0.2.0/28"},
		{"network_next", kinds, "192.0.2.16", origin.Location{}, "none"},
		{"network_6", kinds, "2001:db8:ffff::1", origin.Location{}, "allow address 2001:db8::/32"},
		{"network_6_zone", kinds, "2001:db8:ffff::1%eth0", origin.Location{}, "allow address 2001:db8::/32"},
		{"first_decides", kinds, abroad, w[abroad], "report country BR"},
		{"anonymous", kinds, hidden, w[hidden], "deny anonymous"},
		{"anonymous_unknown", kinds, hidden, origin.Location{Anonymous: true}, "none"},
		{"continent", kinds, "203.0.113.1", origin.Location{Country: "AR", Continent: "SA"}, "deny continent SA"},
		{"nowhere", kinds, "203.0.113.1", origin.Location{}, "none"},
		{"no_address", kinds, "", origin.Location{}, "none"},
		{"all", all, "203.0.113.1", origin.Location{}, "deny all"},
		{"all_without_address", all, "unknown", origin.Location{}, "deny all"},
		{"all_comes_last", all, office, w[office], "allow address 192.0.2.0/28"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, ok := signin.Match(tt.rules, tt.at, tt.address)
			got := "none"
			if ok {
				got = r.String()
			}
			if got != tt.want {
				t.Errorf("decided by %s, want %s", got, tt.want)
			}
		})
	}
}

func TestScreen(t *testing.T) {
	type out struct {
		Category signin.Category
		Type     signin.Type
		Details  string
		Denied   bool
	}
	try := func(c signin.Category, rules ...signin.Rule) out {
		a, denied := signin.Screen(rules, signin.Attempt{Category: c, Type: signin.MFAOK, Client: from(hidden), Location: world()[hidden]})
		return out{a.Category, a.Type, a.Details, denied}
	}
	for _, tt := range []struct {
		name      string
		got, want out
	}{
		{"no_rule", try(signin.Success), out{signin.Success, signin.MFAOK, "", false}},
		{"allowed", try(signin.Success, rule(signin.Allow, signin.MatchAll, "")), out{signin.Success, signin.MFAOK, "", false}},
		{"reported", try(signin.Success, rule(signin.Report, signin.MatchCountry, "NL")), out{signin.FirewallReported, signin.MFAOK, "NL", false}},
		{"reported_failure", try(signin.MFAFailed, rule(signin.Report, signin.MatchCountry, "NL")), out{signin.MFAFailed, signin.MFAOK, "", false}},
		{"country", try(signin.Success, rule(signin.Deny, signin.MatchCountry, "NL")), out{signin.FirewallFailed, signin.CountryBlocked, "NL", true}},
		{"continent", try(signin.MFAFailed, rule(signin.Deny, signin.MatchContinent, "EU")), out{signin.FirewallFailed, signin.ContinentBlocked, "EU", true}},
		{"network", try(signin.Success, rule(signin.Deny, signin.MatchAddress, "203.0.113.0/24")), out{signin.FirewallFailed, signin.IPBlocked, "203.0.113.0/24", true}},
		{"anonymous", try(signin.Success, rule(signin.Deny, signin.MatchAnonymous, "")), out{signin.FirewallFailed, signin.AnonymousBlocked, "", true}},
		{"all", try(signin.Success, rule(signin.Deny, signin.MatchAll, "")), out{signin.FirewallFailed, signin.AllBlocked, "", true}},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, tt.got, tt.want)
		}
	}
}

func TestRuleChanges(t *testing.T) {
	list := []signin.Rule{}
	for i, k := range []string{"DE", "FR", "BR"} {
		r := rule(signin.Deny, signin.MatchCountry, k)
		r.ID, r.Position = k, i+1
		list = append(list, r)
	}
	added := rule(signin.Report, signin.MatchCountry, "SE")
	added.ID = "SE"
	at := func(position int) signin.Rule { r := added; r.Position = position; return r }
	changed := rule(signin.Allow, signin.MatchAnonymous, "")
	changed.ID = "FR"
	twice := rule(signin.Allow, signin.MatchCountry, "DE")
	twice.ID = "FR"
	do := func(rules []signin.Rule, err error) string {
		if err != nil {
			return "error " + problem.Public(err).Kind.String()
		}
		var b strings.Builder
		for i, r := range rules {
			if r.Position != i+1 {
				return fmt.Sprintf("rule %d has the position %d", i+1, r.Position)
			}
			fmt.Fprintf(&b, "%s(%s) ", r.ID, r)
		}
		return strings.NewReplacer("deny country ", "", " )", ")").Replace(strings.TrimSpace(b.String()))
	}
	full := make([]signin.Rule, signin.MaxRules)
	for _, tt := range []struct{ name, got, want string }{
		{"add_last", do(signin.WithRule(list, at(0))), "DE(DE) FR(FR) BR(BR) SE(report country SE)"},
		{"add_first", do(signin.WithRule(list, at(1))), "SE(report country SE) DE(DE) FR(FR) BR(BR)"},
		{"add_beyond", do(signin.WithRule(list, at(99))), "DE(DE) FR(FR) BR(BR) SE(report country SE)"},
		{"add_twice", do(signin.WithRule(list, rule(signin.Allow, signin.MatchCountry, "FR"))), "error " + problem.Conflict.String()},
		{"add_one_too_many", do(signin.WithRule(full, at(0))), "error " + problem.Conflict.String()},
		{"update", do(signin.WithUpdate(list, changed)), "DE(DE) FR(allow anonymous) BR(BR)"},
		{"update_same", do(signin.WithUpdate(list, list[1])), "DE(DE) FR(FR) BR(BR)"},
		{"update_twice", do(signin.WithUpdate(list, twice)), "error " + problem.Conflict.String()},
		{"update_nothing", do(signin.WithUpdate(list, added)), "error " + problem.NotFound.String()},
		{"move_first", do(signin.WithMove(list, "BR", 1)), "BR(BR) DE(DE) FR(FR)"},
		{"move_down", do(signin.WithMove(list, "DE", 2)), "FR(FR) DE(DE) BR(BR)"},
		{"move_beyond", do(signin.WithMove(list, "DE", 99)), "FR(FR) BR(BR) DE(DE)"},
		{"move_nowhere", do(signin.WithMove(list, "DE", 0)), "error " + problem.Invalid.String()},
		{"move_nothing", do(signin.WithMove(list, "XX", 1)), "error " + problem.NotFound.String()},
		{"remove", do(signin.WithoutRule(list, "FR")), "DE(DE) BR(BR)"},
		{"remove_nothing", do(signin.WithoutRule(list, "XX")), "error " + problem.NotFound.String()},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
	if diff := cmp.Diff("DE(DE) FR(FR) BR(BR)", do(list, nil)); diff != "" {
		t.Errorf("a change changed what it was given (-want +got):\n%s", diff)
	}
}

// FuzzRuleCheck: what is accepted as a value can be stored, and matches nothing but what it says.
func FuzzRuleCheck(f *testing.F) {
	for _, v := range []string{"de", "192.0.2.0/24", "::ffff:192.0.2.0/120", "2001:db8::/0", "0.0.0.0/0", "\x00", "fe80::1%a"} {
		for i := range signin.Kinds() {
			f.Add(i, v)
		}
	}
	f.Fuzz(func(t *testing.T, kind int, value string) {
		kinds := signin.Kinds()
		r, err := rule(signin.Deny, kinds[uint(kind)%uint(len(kinds))], value).Check()
		if err != nil {
			return
		}
		if again, err := r.Check(); err != nil || again != r {
			t.Errorf("%q was accepted as %q, and that is then %q, error %v", value, r.Value, again.Value, err)
		}
		if _, ok := signin.Match([]signin.Rule{r}, origin.Location{}, ""); ok != (r.Kind == signin.MatchAll) {
			t.Errorf("%s matches an attempt from nowhere: %v", r, ok)
		}
	})
}
