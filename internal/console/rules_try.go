package console

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
)

// How long trying a rule may take. A request must be answered before the browser or what stands in between
// gives up.
const longestTry = 25 * time.Second

// tryPage is the data of pages/rule-try.html.
type tryPage struct {
	detect.RuleView
	Path  string
	Days  int
	Most  int
	Tried *tried
}

// tryDetectionRule shows what a rule would have found, as it would be set.
func (c *Console) tryDetectionRule(w http.ResponseWriter, r *http.Request) error {
	rule, err := c.Rules.Get(r.Context(), me(r).AccountID, r.PathValue("rule"))
	if err != nil {
		return err
	}
	asked := r.URL.Query()
	data := tryPage{RuleView: rule, Path: ruleAt(rule.Key), Days: defaultTry, Most: detect.MaxTryDays}
	p := page{name: "rule-try", title: c.tr(r, "rule_try.title", "Name", rule.Title), form: asked, data: data}
	if !asked.Has("days") {
		return c.render(w, r, p)
	}
	if data.Days, err = tryDays(asked.Get("days")); err != nil {
		return c.again(w, r, p, err)
	}
	t := detect.Trial{Rule: rule.Key, Days: data.Days}
	if asked.Has("level") || asked.Has("threshold") || asked.Has("timespan") {
		set, err := settingOf(asked)
		if err != nil {
			return c.again(w, r, p, err)
		}
		t.Setting = &set
	}
	if data.Tried, err = c.tryRule(r, t); err != nil {
		return c.again(w, r, p, err)
	}
	p.data = data
	return c.render(w, r, p)
}

func tryDays(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > detect.MaxTryDays {
		wrong := problem.InField("days", "%q days cannot be tried; from 1 to %d can", text, detect.MaxTryDays)
		wrong.Code = "try_days"
		return defaultTry, wrong
	}
	return n, nil
}

// tryText shows what a text would have found, before it is saved.
func (c *Console) tryText(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	p := c.ownRuleForm(r, f)
	data := c.ownRuleData(p)
	if data.Days, err = tryDays(f.Get("days")); err != nil {
		return c.againText(w, r, p, err)
	}
	if f.Get("text") == "" {
		return c.againText(w, r, p, problem.InField("text", "there is no rule in the text"))
	}
	if data.Tried, err = c.tryRule(r, detect.Trial{Text: f.Get("text"), Days: data.Days}); err != nil {
		return c.againText(w, r, p, err)
	}
	p.data = data
	return c.render(w, r, p)
}

func (c *Console) ownRuleData(p page) ownRulePage {
	data, _ := p.data.(ownRulePage) // ownRuleForm has made it
	return data
}

// tryRule tries, one at a time in the whole process: each takes a processor for seconds.
func (c *Console) tryRule(r *http.Request, t detect.Trial) (*tried, error) {
	if !c.trying.TryLock() {
		busy := problem.Coded(problem.TooMany, "try_busy", "another rule is being tried; try again in a few seconds")
		busy.RetryAfter = 5 * time.Second
		return nil, busy
	}
	defer c.trying.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), longestTry)
	defer cancel()
	begun := c.Now()
	got, err := c.Rules.Try(ctx, me(r).AccountID, t, nil)
	if err != nil {
		if ctx.Err() != nil && r.Context().Err() == nil {
			return nil, problem.Coded(problem.Conflict, "try_long", "trying the rule took longer than %s and was ended; try fewer days, or use the command line", longestTry)
		}
		return nil, err
	}
	out := &tried{Tried: got, Took: c.Now().Sub(begun)}
	counts := make([]int, len(got.Days))
	for i, d := range got.Days {
		counts[i] = d.Count
	}
	out.Bars = barsOf(counts, got.To)
	all := make([]detect.StoredFinding, 0, len(got.Examples))
	for _, f := range got.Examples {
		all = append(all, detect.StoredFinding{Found: f})
	}
	out.Examples, err = c.findingRows(r, all)
	return out, err
}
