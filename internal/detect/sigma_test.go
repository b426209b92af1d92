package detect_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
)

// sigmaData is the folder of Sigma's own rules and samples, which stands beside the repository.
func sigmaData(t testing.TB) fs.FS {
	t.Helper()
	const dir = "../../../shared/data/sigma"
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the rules and samples of SigmaHQ are not in ../shared/data/sigma beside the repository: %v", err)
	}
	return os.DirFS(dir)
}

func identitySources() []detect.FieldMap {
	return []detect.FieldMap{
		{Name: "okta", Source: detect.LogSource{Product: "okta", Service: "okta"}, Open: true},
		{Name: "onelogin", Source: detect.LogSource{Product: "onelogin", Service: "onelogin.events"}, Open: true},
		{Name: "windows", Source: detect.LogSource{Product: "windows", Service: "application"}, Open: true},
		{Name: "dns", Source: detect.LogSource{Category: "network", Service: "dns"}, Taxonomy: "ecs", Open: true},
	}
}

// TestSigmaRules: each rule of SigmaHQ loads, or is refused with the reason of this table.
func TestSigmaRules(t *testing.T) {
	data := sigmaData(t)
	refused := map[string]string{
		"rules/identity/cisco_duo/cisco_duo_mfa_bypass_via_bypass_code.yml": "no source has events of product cisco, service duo;",
		"spec/tests/schema/correlation/value_sum.yml":                       "type value_sum are not supported here",
		"spec/tests/schema/correlation/value_avg.yml":                       "type value_avg are not supported here",
		"spec/tests/schema/correlation/value_percentile.yml":                "type value_percentile are not supported here",
		"spec/tests/schema/filter/filter_1.yml":                             "Sigma filters are not supported here",
		"spec/tests/schema/filter/filter_ecs.yml":                           "Sigma filters are not supported here",
	}
	// The samples of correlations refer to rules that are not among the samples.
	others := `
name: recon_cmd_a
title: A
logsource: {product: windows}
detection: {selection: {CommandLine: a}, condition: selection}
---
name: recon_cmd_b
title: B
logsource: {product: windows}
detection: {selection: {CommandLine: b}, condition: selection}
---
name: recon_cmd_c
title: C
logsource: {product: windows}
detection: {selection: {CommandLine: c}, condition: selection}
---
id: 5638f7c0-ac70-491d-8465-2a65075e0d86
title: Failed login
logsource: {product: windows}
detection: {selection: {EventID: 4625}, condition: selection}
`
	seen, loaded := map[string]bool{}, 0
	err := fs.WalkDir(data, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".yml" {
			return err
		}
		text, err := fs.ReadFile(data, name)
		if err != nil {
			return err
		}
		seen[name] = true
		known, faults := detect.Parse("others", []byte(others))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		rules, faults := detect.Parse(name, text)
		set, err := detect.Compile(append(known, rules...), identitySources(), nil)
		compiled, _ := errors.AsType[detect.Faults](err)
		faults = append(faults, compiled...)
		switch reason := refused[name]; {
		case reason == "" && len(faults) > 0:
			t.Errorf("refused: %v", faults)
		case reason == "" && len(set.Rules()) != len(known)+1:
			t.Errorf("%s: %d rules, want 1", name, len(set.Rules())-len(known))
		case reason == "":
			loaded++
		case len(faults) != 1 || !strings.Contains(faults[0].String(), reason) || faults[0].Line == 0:
			t.Errorf("%s: %v\nwant one fault with a line that says: %s", name, faults, reason)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range refused {
		if !seen[name] {
			t.Errorf("%s is in the table of refusals, but not there", name)
		}
	}
	t.Logf("%d rules and samples load, %d are refused with a reason", loaded, len(refused))
}

// TestSigmaRulesMatch: rules of SigmaHQ find the events they describe, in the shape in which Okta sends them.
func TestSigmaRulesMatch(t *testing.T) {
	data := sigmaData(t)
	rules, err := fs.Sub(data, "rules")
	if err != nil {
		t.Fatal(err)
	}
	sources := append(identitySources(), detect.FieldMap{Name: "duo", Source: detect.LogSource{Product: "cisco", Service: "duo"}, Open: true})
	set, err := detect.Load(rules, sources, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, source, event string
		want                []string
	}{
		{"proxy", "okta", `{"eventType":"user.session.start","securityContext":{"isProxy":true}}`, []string{"Okta User Session Start Via An Anonymising Proxy Service"}},
		{"no-proxy", "okta", `{"eventType":"user.session.start","securityContext":{"isProxy":false}}`, nil},
		{"zone", "okta", `{"eventType":"ZONE.delete"}`, []string{"Okta Network Zone Deactivated or Deleted"}},
		{"console", "okta", `{"eventType":"policy.evaluate_sign_on","target":[{"displayName":"Other"},{"displayName":"Okta Admin Console"}],
			"debugContext":{"debugData":{"behaviors":"{New Geo-Location=NEGATIVE, New Device=POSITIVE}"}}}`, []string{"Okta New Admin Console Behaviours"}},
		{"console-usual", "okta", `{"eventType":"policy.evaluate_sign_on","target":[{"displayName":"Okta Admin Console"}],
			"debugContext":{"debugData":{"behaviors":"{New Device=NEGATIVE}"}}}`, nil},
		{"password", "okta", `{"legacyEventType":"core.user_auth.login_failed","actor":{"alternateId":"Tr0ub4dor&3"}}`, []string{"Potential Okta Password in AlternateID Field"}},
		{"address", "okta", `{"legacyEventType":"core.user_auth.login_failed","actor":{"alternateId":"ann@example.com"}}`, nil},
		{"number", "onelogin", `{"event_type_id":532}`, []string{"OneLogin User Account Locked"}},
		{"number-as-text", "onelogin", `{"event_type_id":"551"}`, []string{"OneLogin User Account Locked"}},
		{"bypass", "duo", `{"event_type":"authentication","reason":"bypass_user"}`, []string{"Cisco Duo Successful MFA Authentication Via Bypass Code"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, ok := set.Matcher(c.source)
			if !ok {
				t.Fatalf("no matcher for %s", c.source)
			}
			var doc map[string]any
			if err := json.Unmarshal([]byte(c.event), &doc); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, i := range m.Match(nil, detect.NewDocument(m.Paths(), doc)) {
				got = append(got, set.Rules()[i].Title)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
		})
	}
}
