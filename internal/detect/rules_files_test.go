package detect_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
	"holdfast/internal/detect/rules"
	"holdfast/internal/seal"
	"holdfast/internal/signals"
	"holdfast/internal/store/storetest"
)

const chained = `title: Let in after many failures
name: chain
level: high
correlation: {type: temporal_ordered, rules: [many, let_in], group-by: [who], timespan: 1h, aliases: {who: {many: user.email_addr, let_in: user.email_addr}}}
---
title: Many failures
name: many
level: low
correlation: {type: event_count, rules: [wrong], group-by: [user.email_addr], timespan: 10m, condition: {gte: 3}, generate: true}
---
title: Wrong
name: wrong
logsource: {product: holdfast, service: signin}
taxonomy: ocsf
detection:
  selection: {status: Failure}
  condition: selection
---
title: Let in
name: let_in
id: 7e57ab1e-0000-4000-8000-000000000002
logsource: {product: holdfast, service: signin}
taxonomy: ocsf
detection:
  selection: {status: Success}
  condition: selection
`

// TestRulesInChains holds what is set where correlations are made of correlations.
func TestRulesInChains(t *testing.T) {
	bench := newRuleBench(t)
	var err error
	bench.rules, err = detect.NewRules(detect.RulesConfig{Store: bench.db, Pack: mapFS("chain.yml", chained), Now: func() time.Time { return dawn }})
	if err != nil {
		t.Fatal(err)
	}
	// generate of "many" makes findings of "wrong", and "many" is a part of "chain".
	all := []string{"chain high mira 2", "wrong  mira 3", "wrong  tomas 1"}
	for _, c := range []struct {
		name string
		do   func(t *testing.T, b ruleBench) error
		want []string
	}{
		{"nothing", func(*testing.T, ruleBench) error { return nil }, all},
		{"outer off", func(t *testing.T, b ruleBench) error {
			return b.set(t, "chain", func(s *detect.Setting) { s.Off = true })
		}, all[1:]},
		{"part that stands off", func(t *testing.T, b ruleBench) error {
			return b.set(t, "wrong", func(s *detect.Setting) { s.Off = true })
		}, all[:1]},
		{"exception on the outer", func(t *testing.T, b ruleBench) error {
			_, err := b.except(t, "chain", "src_endpoint.ip", time.Time{}, "198.51.100.7")
			return err
		}, all[1:]},
		{"exception on the outer, of others", func(t *testing.T, b ruleBench) error {
			_, err := b.except(t, "chain", "src_endpoint.ip", time.Time{}, "203.0.113.7")
			return err
		}, all},
		{"exception on a part that stands", func(t *testing.T, b ruleBench) error {
			_, err := b.except(t, "wrong", "user.email_addr", time.Time{}, "mira@example.org")
			return err
		}, []string{all[0], all[2]}},
		{"inner tuned", func(t *testing.T, b ruleBench) error {
			four := int64(4)
			return b.set(t, "many", func(s *detect.Setting) { s.Threshold = &four })
		}, all[1:]},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bench.another(t)
			if err := c.do(t, b); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, b.found(t)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func mapFS(name, text string) fs.FS {
	pack := smallPack()
	clear(pack)
	pack[name] = smallPack()["failures.yml"]
	pack[name].Data = []byte(text)
	return pack
}

// TestRuleFolder holds that a folder is read when it changes, all of it or not at all.
func TestRuleFolder(t *testing.T) {
	b := newRuleBench(t)
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("dawn.yml", ownDawn)
	write("bad.yml", "title: x\n")
	dir, err := detect.RuleFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	b.rules, err = detect.NewRules(detect.RulesConfig{Store: b.db, Pack: smallPack(), Dir: dir, Now: func() time.Time { return dawn }})
	if err != nil {
		t.Fatal(err)
	}
	keys := func() []string {
		o, err := b.rules.List(t.Context(), b.account)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, r := range o.Rules {
			if r.Origin == detect.OfServer {
				all = append(all, r.Key+" "+string(r.Level))
			}
		}
		for _, f := range o.Faults {
			all = append(all, "fault in "+f.File)
		}
		for _, f := range o.Stale {
			all = append(all, "stale "+f.File)
		}
		return slices.Compact(all)
	}
	reload := func(want bool) {
		t.Helper()
		if changed, err := b.rules.Reload(); changed != want || err != nil {
			t.Errorf("reloaded: %v %v", changed, err)
		}
	}
	see := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, keys()); diff != "" {
			t.Errorf("rules of the folder (-want +got):\n%s", diff)
		}
	}
	see("dawn medium", "fault in server/bad.yml")
	reload(false)
	before, _, err := b.rules.Rules(t.Context(), b.account)
	if err != nil {
		t.Fatal(err)
	}
	write("dawn.yml", strings.Replace(ownDawn, "medium", "critical", 1)) // the other file is still faulty
	reload(false)
	see("dawn medium", "fault in server/bad.yml", "stale server/bad.yml")
	if err := os.Remove(filepath.Join(folder, "bad.yml")); err != nil {
		t.Fatal(err)
	}
	reload(true)
	see("dawn critical")
	if after, revision, err := b.rules.Rules(t.Context(), b.account); err != nil || revision != 0 || after == before {
		t.Errorf("the same set: %v, revision %d, %v", after == before, revision, err)
	}
	write("lists/offices.txt", "198.51.100.7\n")
	reload(true)
	if diff := cmp.Diff([]string{"dawn critical mira 1", "many_failures high mira 3", "many_people medium  2", "outside low ines 1"}, b.found(t)); diff != "" {
		t.Errorf("with a list of the folder (-want +got):\n%s", diff)
	}
	// An account's rule and the folder's may come to have one name: the folder's counts, and that is said.
	if _, err := b.rules.Save(t.Context(), b.account, strings.ReplaceAll(ownDawn, "dawn", "dusk"), storetest.By()); err != nil {
		t.Fatal(err)
	}
	write("dusk.yml", strings.ReplaceAll(ownDawn, "dawn", "dusk"))
	reload(true)
	see("dawn critical", "dusk medium", "fault in account/dusk")
	if err := b.rules.Remove(t.Context(), b.account, "dusk", storetest.By()); err == nil {
		t.Error("the folder's rule was removed")
	}
	if o, err := b.rules.List(t.Context(), b.account); err != nil || len(o.Broken) != 1 || o.Broken[0].Name != "dusk" {
		t.Errorf("broken: %+v, %v", o.Broken, err)
	}
	for _, bad := range []string{filepath.Join(folder, "nowhere"), filepath.Join(folder, "dawn.yml")} {
		if _, err := detect.RuleFolder(bad); err == nil {
			t.Errorf("%s is a folder", filepath.Base(bad))
		}
	}
}

// TestRulesTogether holds that changes of several people all come through, and each has its revision.
func TestRulesTogether(t *testing.T) {
	b := newRuleBench(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			_, err := b.rules.SaveList(t.Context(), b.account, fmt.Sprintf("list%d", i), func(l *detect.AccountList) error {
				l.Entries = []detect.ListEntry{{Value: "x"}}
				return nil
			}, storetest.By())
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, revision, err := b.rules.Rules(t.Context(), b.account)
	all, err2 := b.rules.Lists(t.Context(), b.account)
	if err != nil || err2 != nil || revision != 4 || len(all) != 5 {
		t.Errorf("revision %d, %d lists, %v %v", revision, len(all), err, err2)
	}
	storetest.Verify(t, b.db, b.account)
}

// TestPackTuned holds that each rule of the pack can be switched off, tuned and excepted, and says so.
func TestPackTuned(t *testing.T) {
	b := newRuleBench(t)
	var err error
	b.rules, err = detect.NewRules(detect.RulesConfig{Store: b.db, Pack: rules.FS(), Now: func() time.Time { return dawn }})
	if err != nil {
		t.Fatal(err)
	}
	o, err := b.rules.List(t.Context(), b.account)
	if err != nil || len(o.Faults) > 0 {
		t.Fatalf("%v %v", o.Faults, err)
	}
	for _, r := range o.Rules {
		if !r.Alone {
			continue
		}
		if _, err := b.except(t, r.Key, "user.email_addr", time.Time{}, "mira@example.org"); err != nil {
			t.Errorf("except %s: %v", r.Key, err)
		}
		if err := b.set(t, r.Key, func(s *detect.Setting) { s.Level = detect.Informational }); err != nil {
			t.Errorf("set %s: %v", r.Key, err)
		}
		v, err := b.rules.Get(t.Context(), b.account, r.Key)
		if err != nil || v.Version == r.Version || v.Level != detect.Informational || v.SetBy != "operator:test" || len(v.Exceptions) != 1 {
			t.Errorf("%s is %+v, %v", r.Key, v, err)
		}
	}
	set, _, err := b.rules.Rules(t.Context(), b.account)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := detect.NewEngine(detect.Config{Set: set, Memory: detect.NewMemory()}); err != nil {
		t.Error(err)
	}
}

// TestRuleTry tries on stored events what runs live.
func TestRuleTry(t *testing.T) {
	b := newRuleBench(t)
	now := dawn.Add(25 * time.Hour)
	var err error
	b.rules, err = detect.NewRules(detect.RulesConfig{Store: b.db, Pack: smallPack(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	x := signals.Setup{AccountID: b.account, ID: seal.NewID(), Kind: signals.KindOCSF, Name: "Lake", State: signals.Active}
	if err := b.db.CreateSource(t.Context(), x, storetest.By()); err != nil {
		t.Fatal(err)
	}
	in := signals.Addition{AccountID: b.account, SourceID: x.ID}
	events := morning()
	slices.Reverse(events) // they came in another order
	for _, e := range events {
		body, err := signals.EncodeOCSF(&e)
		if err != nil {
			t.Fatal(err)
		}
		in.Rows = append(in.Rows, signals.Row{SourceEventID: e.SourceID, At: e.Time, ReceivedAt: now, Event: body})
	}
	if _, err := b.db.AddSignals(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	two := int64(2)
	for _, c := range []struct {
		name  string
		trial detect.Trial
		want  string
	}{
		{"as it is", detect.Trial{Rule: "many_failures"}, "[many_failures] 1 of 1 high=1 mira 3 on 2026-03-02 in 6"},
		{"too late", detect.Trial{Rule: "many_failures", Days: 1}, "[many_failures] 0 of 0 in 0"},
		{"tuned", detect.Trial{Rule: "many_people", Setting: &detect.Setting{Threshold: &two, Level: detect.Critical}}, "[many_people] 1 of 0 critical=1  2 on 2026-03-02 in 6"},
		{"excepted", detect.Trial{Rule: "outside", Exceptions: []detect.Exception{{Field: "user.email_addr", Values: []string{"mira@*"}}}}, "[outside] 0 of 0 in 6"},
		{"text", detect.Trial{Text: ownDawn}, "[dawn] 1 of 1 medium=1 mira 1 on 2026-03-02 in 6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := 0
			got, err := b.rules.Try(t.Context(), b.account, c.trial, func(done, of int) { calls += done - of })
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			text.WriteString(fmt.Sprintf("%v %d of %d", got.Rules, got.Findings, got.People))
			for level, n := range got.Levels {
				text.WriteString(fmt.Sprintf(" %s=%d", level, n))
			}
			for _, f := range got.Examples {
				who, _, _ := strings.Cut(f.User, "@")
				text.WriteString(fmt.Sprintf(" %s %d", who, f.Count))
			}
			for _, d := range got.Days {
				if d.Count > 0 {
					text.WriteString(" on " + d.Day.Format(time.DateOnly))
				}
			}
			if text.WriteString(fmt.Sprintf(" in %d", got.Events)); text.String() != c.want || calls != 0 || got.Cut {
				t.Errorf("%s, want %s (%d)", text.String(), c.want, calls)
			}
		})
	}
	for _, bad := range []detect.Trial{{Rule: "nothing"}, {Rule: "outside", Days: 31}, {Text: "x"}, {Rule: "outside", Setting: &detect.Setting{Threshold: &two}}, {Rule: "outside", Exceptions: []detect.Exception{{Field: "nothing", Values: []string{"x"}}}}} {
		if _, err := b.rules.Try(t.Context(), b.account, bad, nil); err == nil {
			t.Errorf("tried %+v", bad)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.rules.Try(ctx, b.account, detect.Trial{Rule: "outside"}, nil); err == nil {
		t.Error("a trial went on")
	}
	if _, revision, err := b.rules.Rules(t.Context(), b.account); err != nil || revision != 0 {
		t.Errorf("a trial has changed something: %d %v", revision, err)
	}
}

// TestRuleInDocument holds that the rule in the document can be saved beside the pack.
func TestRuleInDocument(t *testing.T) {
	b := newRuleBench(t)
	var err error
	b.rules, err = detect.NewRules(detect.RulesConfig{Store: b.db, Pack: rules.FS(), Now: func() time.Time { return dawn }})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/detection/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	rule, _, ok := strings.Cut(rest, "```\n")
	if name, err := b.rules.Check(t.Context(), b.account, rule); !ok || name != "many_failures_at_night" || err != nil {
		t.Errorf("%q %v", name, err)
	}
}
