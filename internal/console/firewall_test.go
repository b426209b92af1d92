package console_test

import (
	"net/url"
	"strings"
	"testing"

	"holdfast/internal/signin"
)

func ruleForm(action, kind, value string) url.Values {
	f := url.Values{"action": {action}, "kind": {kind}}
	if value != "" {
		f.Set(kind, value)
	}
	return f
}

// TestFirewallForm: a rule that is none says so under the field that is wrong, with what was typed, in both languages.
func TestFirewallForm(t *testing.T) {
	d := newDesk(t)
	d.page(t, 303, "/firewall", ruleForm("report", "country", "BR"))
	for _, tt := range []struct {
		name   string
		form   url.Values
		status int
		id     string // of the error
		words  string
		german string
	}{
		{"no_country", ruleForm("deny", "country", ""), 422, "country-err", "is no country", "Ein Land muss"},
		{"no_continent", ruleForm("deny", "continent", "XX"), 422, "continent-err", "is no continent", "Ein Kontinent muss"},
		{"no_address", ruleForm("deny", "address", "<b>here</b>"), 422, "address-err", "is no IP address", "Das ist keine IP-Adresse"},
		{"host_bits", ruleForm("deny", "address", "192.0.2.7/24"), 422, "address-err", "for the network give 192.0.2.0/24", "Das ist keine IP-Adresse"},
		{"no_kind", ruleForm("deny", "planet", ""), 422, "kind-err", "is unknown", "Diese Art von Regel"},
		{"no_action", ruleForm("", "all", ""), 422, "action-err", "is unknown", "Diesen Vorgang"},
		{"no_position", url.Values{"action": {"deny"}, "kind": {"country"}, "country": {"SE"}, "position": {"-1"}}, 422, "position-err", "no position", "Diese Position"},
		{"long_note", url.Values{"action": {"deny"}, "kind": {"country"}, "country": {"SE"}, "note": {strings.Repeat("x", 201)}}, 422, "note-err", "201 bytes", "Die Notiz ist"},
		{"twice", ruleForm("deny", "country", "BR"), 409, "country-err", "There is a rule for this already.", "Dafür gibt es schon"},
		{"locked_out", ruleForm("deny", "address", "127.0.0.1"), 409, "accept-err", "You could not sign in any more", "Von hier aus wäre"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page := d.page(t, tt.status, "/firewall", tt.form)
			d.mustHave(t, page, `id="`+tt.id+`"`, tt.words)
			if kind := tt.form.Get("kind"); kind != "planet" {
				d.mustHave(t, page, `value="`+kind+`" aria-labelledby="kind-`+kind+`"`)
			}
			d.mustHave(t, d.page(t, tt.status, "/firewall", tt.form, "Accept-Language", "de"), tt.german)
			if tt.name == "locked_out" {
				return // what would be is shown all the same
			}
			d.mustHave(t, d.page(t, tt.status, previewOf(tt.form), nil), tt.words)
			d.mustHave(t, d.page(t, 200, previewOf(tt.form), nil, "HX-Request", "true"), `id="rule-preview"`, tt.words)
		})
	}
	rules, err := d.db.Rules(t.Context(), d.person.AccountID)
	if err != nil || len(rules) != 1 {
		t.Errorf("%d rules, error %v, want the first one alone", len(rules), err)
	}
}

func previewOf(f url.Values) string { return "/firewall/new?" + f.Encode() }

// TestFirewallRules goes through the life of rules: order, change, lock-out and its override, removal.
func TestFirewallRules(t *testing.T) {
	d := newDesk(t)
	d.mustHave(t, d.page(t, 200, "/firewall", nil), "No rules yet", "127.0.0.1")
	list := func(want ...string) []signin.Rule {
		t.Helper()
		rules, err := d.db.Rules(t.Context(), d.person.AccountID)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range rules {
			got = append(got, r.String())
		}
		if strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Fatalf("rules %q, want %q", got, want)
		}
		return rules
	}
	add := func(f url.Values, position string) {
		t.Helper()
		f.Set("position", position)
		f.Set("note", "for <b>"+f.Get("kind"))
		d.page(t, 303, "/firewall", f)
	}
	add(ruleForm("deny", "country", "br"), "")
	add(ruleForm("report", "anonymous", ""), "")
	add(ruleForm("allow", "address", "127.0.0.0/8"), "1")
	rules := list("allow address 127.0.0.0/8", "deny country BR", "report anonymous")
	here := rules[0].ID
	page := d.page(t, 200, "/firewall", nil)
	d.mustHave(t, page, "Brazil", "for <b>country", "Anonymous networks", "By rule 1.", "No location databases are installed")
	d.mustHave(t, d.page(t, 200, "/firewall", nil, "Accept-Language", "de"), "Brasilien", "Anonyme Netze", "Nach Regel 1.")

	d.page(t, 303, "/firewall/"+rules[2].ID+"/move", url.Values{"to": {"1"}})
	list("report anonymous", "allow address 127.0.0.0/8", "deny country BR")
	d.page(t, 404, "/firewall/"+rules[2].ID+"/move", url.Values{"to": {"9"}})
	d.page(t, 303, "/firewall/"+rules[2].ID+"/move", url.Values{"to": {"3"}})
	d.page(t, 303, "/firewall/"+rules[2].ID+"/edit", ruleForm("deny", "all", ""))
	t.Run("locked_out", func(t *testing.T) {
		list("allow address 127.0.0.0/8", "deny country BR", "deny all")
		for path, form := range map[string]url.Values{
			"/firewall/" + here + "/remove":      {},
			"/firewall/" + here + "/move":        {"to": {"3"}},
			"/firewall/" + rules[2].ID + "/move": {"to": {"1"}},
			"/firewall/" + here + "/edit":        ruleForm("allow", "address", "192.0.2.1"),
		} {
			d.mustHave(t, d.page(t, 409, path, form), "You could not sign in any more from where you are", `name="accept"`)
		}
		list("allow address 127.0.0.0/8", "deny country BR", "deny all")
		d.mustHave(t, d.page(t, 200, "/firewall/"+here+"/edit?kind=address&action=allow&address=192.0.2.1", nil), "You could not sign in any more from where you are", `name="accept"`)
		d.page(t, 303, "/firewall/"+here+"/remove", url.Values{"accept": {"on"}})
		d.mustHave(t, d.page(t, 200, "/firewall", nil), "By rule 2.")
	})
	list("deny country BR", "deny all")
	d.page(t, 404, "/firewall/"+here+"/remove", url.Values{})
	d.page(t, 404, "/firewall/"+here+"/edit", nil)
	d.page(t, 303, "/firewall/"+rules[2].ID+"/remove", url.Values{})
	list("deny country BR")
}
