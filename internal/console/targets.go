package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/web"
)

// Targets sets up where else people are suspended; *[respond.Targets] does.
type Targets interface {
	List(ctx context.Context, accountID string) ([]respond.TargetSetup, error)
	Get(ctx context.Context, accountID, name string) (respond.TargetSetup, error)
	Add(ctx context.Context, accountID string, n respond.NewTarget, by audit.Entry) (respond.TargetSetup, error)
	Update(ctx context.Context, accountID, name string, c respond.TargetConfig, secret respond.Secret, by audit.Entry) (respond.TargetSetup, error)
	Remove(ctx context.Context, accountID, name string, by audit.Entry) error
	Test(ctx context.Context, accountID, name string) (string, error)
}

func (c *Console) targetRoutes() []web.Route {
	read, manage := web.SignedIn(web.Integrations), web.SignedIn(web.People)
	fresh := manage.Fresh()
	return []web.Route{
		{Pattern: "GET /targets", Access: read, Handle: c.targets},
		{Pattern: "GET /targets/new", Access: manage, Handle: c.newTarget},
		{Pattern: "POST /targets", Access: fresh, Handle: c.addTarget},
		{Pattern: "GET /targets/{target}/edit", Access: manage, Handle: c.editTarget},
		{Pattern: "POST /targets/{target}/edit", Access: fresh, Handle: c.updateTarget},
		{Pattern: "POST /targets/{target}/test", Access: manage, Handle: c.testTarget},
		{Pattern: "GET /targets/{target}/remove", Access: manage, Handle: c.removeTargetForm},
		{Pattern: "POST /targets/{target}/remove", Access: fresh, Handle: c.removeTarget},
	}
}

// tested is what came of a test.
type tested struct {
	Name string
	OK   bool
	Text string // in English, as the other side and we say it
}

// testedOf is the outcome of a test in words. What is our own fault, or the end of the request, is an error.
func testedOf(name, text string, err error) (*tested, error) {
	if err == nil {
		return &tested{name, true, saidBy(text)}, nil
	}
	if p := problem.Public(err); p.Kind != problem.Internal && p.Detail != "" {
		return &tested{name, false, saidBy(p.Detail)}, nil
	}
	return nil, err
}

// saidBy is a sentence that may begin with an address, which keeps its letters.
func saidBy(text string) string {
	if strings.HasPrefix(text, "http") {
		return strings.TrimSuffix(text, ".") + "."
	}
	return sentence(text)
}

// targetsPage is the data of pages/targets.html.
type targetsPage struct {
	Rows   []targetRow
	Tested *tested // nil: nothing was
}

type targetRow struct {
	respond.TargetSetup
	Config respond.TargetConfig
	By     party
}

func (c *Console) showTargets(w http.ResponseWriter, r *http.Request, result *tested) error {
	all, err := c.Targets.List(r.Context(), me(r).AccountID)
	if err != nil {
		return err
	}
	d, who := targetsPage{Tested: result}, c.parties(r)
	for _, t := range all {
		row := targetRow{TargetSetup: t}
		if row.Config, err = t.Settings(); err != nil {
			return err
		}
		if row.By, err = who.of(r.Context(), t.CreatedBy); err != nil {
			return err
		}
		d.Rows = append(d.Rows, row)
	}
	return c.render(w, r, page{name: "targets", title: c.tr(r, "targets.title"), data: d})
}

func (c *Console) targets(w http.ResponseWriter, r *http.Request) error {
	return c.showTargets(w, r, nil)
}

// theTarget is the target of the path.
func (c *Console) theTarget(r *http.Request) (respond.TargetSetup, error) {
	return c.Targets.Get(r.Context(), me(r).AccountID, r.PathValue("target"))
}

func (c *Console) testTarget(w http.ResponseWriter, r *http.Request) error {
	t, err := c.theTarget(r)
	if err != nil {
		return err
	}
	text, err := c.Targets.Test(r.Context(), t.AccountID, t.Name)
	result, err := testedOf(t.Name, text, err)
	if err != nil {
		return err
	}
	return c.showTargets(w, r, result)
}

// setupForm is the data of pages/target-form.html and pages/channel-form.html.
type setupForm struct {
	Name   string // of the one to change; empty: a new one
	Kind   string
	Action string
}

func targetConfigOf(f url.Values) respond.TargetConfig {
	return respond.TargetConfig{
		BaseURL: strings.TrimSpace(f.Get("base_url")), AccountID: strings.TrimSpace(f.Get("account_id")), ClientID: strings.TrimSpace(f.Get("client_id")),
		CA: strings.TrimSpace(f.Get("ca")),
	}
}

func (c *Console) showTargetForm(w http.ResponseWriter, r *http.Request, d setupForm, f url.Values, failed error) error {
	p := page{name: "target-form", title: c.tr(r, "target_form.new"), data: d, form: f}
	if d.Name != "" {
		p.title = c.tr(r, "target_form.edit", "Name", d.Name)
	}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

func (c *Console) newTarget(w http.ResponseWriter, r *http.Request) error {
	return c.showTargetForm(w, r, setupForm{Action: "/targets"}, nil, nil)
}

func (c *Console) addTarget(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	n := respond.NewTarget{Name: strings.TrimSpace(f.Get("call_name")), Kind: respond.KindUsersAPI, Config: targetConfigOf(f), Secret: respond.NewSecret(f.Get("secret"))}
	if _, err := c.Targets.Add(r.Context(), me(r).AccountID, n, audit.By(r, audit.TargetAdd, "")); err != nil {
		return c.showTargetForm(w, r, setupForm{Action: "/targets"}, f, atCallName(err))
	}
	return redirect(w, r, "/targets?done=target_added")
}

// atCallName puts a conflict about a name where the name is.
func atCallName(err error) error {
	if p := problem.Public(err); p.Kind == problem.Conflict && p.Field == "" && p.Code == "" {
		moved := *p
		moved.Field = "call_name"
		return &moved
	}
	if p := problem.Public(err); p.Field == "name" {
		moved := *p
		moved.Field = "call_name"
		return &moved
	}
	return err
}

// targetForm is the form of the target of the path.
func (c *Console) targetForm(r *http.Request) (setupForm, respond.TargetConfig, error) {
	t, err := c.theTarget(r)
	if err != nil {
		return setupForm{}, respond.TargetConfig{}, err
	}
	config, err := t.Settings()
	return setupForm{Name: t.Name, Kind: t.Kind, Action: "/targets/" + url.PathEscape(t.Name) + "/edit"}, config, err
}

func (c *Console) editTarget(w http.ResponseWriter, r *http.Request) error {
	d, config, err := c.targetForm(r)
	if err != nil {
		return err
	}
	f := url.Values{"base_url": {config.BaseURL}, "account_id": {config.AccountID}, "client_id": {config.ClientID}, "ca": {config.CA}}
	return c.showTargetForm(w, r, d, f, nil)
}

func (c *Console) updateTarget(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	d, _, err := c.targetForm(r)
	if err != nil {
		return err
	}
	_, err = c.Targets.Update(r.Context(), me(r).AccountID, d.Name, targetConfigOf(f), respond.NewSecret(f.Get("secret")), audit.By(r, audit.TargetUpdate, ""))
	if err != nil {
		return c.showTargetForm(w, r, d, f, err)
	}
	return redirect(w, r, "/targets?done=target_changed")
}

// setupRemove is the data of pages/setup-remove.html.
type setupRemove struct {
	Kind string // "target" or "channel": the key of its texts
	Name string
	Back string
	Used []string // names of playbooks that name it and are enforced
}

// usedBy are the playbooks that are enforced and name the target or channel.
func (c *Console) usedBy(r *http.Request, name string, names func(respond.Step) []string) ([]string, error) {
	all, err := c.Respond.Playbooks(r.Context(), me(r).AccountID)
	if err != nil {
		return nil, err
	}
	var used []string
	for _, e := range all {
		if e.Playbook.Mode != respond.ModeEnforce {
			continue
		}
		for _, s := range slices.Concat(e.Playbook.Do, e.Playbook.OnRelease) {
			if slices.Contains(names(s), name) {
				used = append(used, e.Playbook.Name)
				break
			}
		}
	}
	return used, nil
}

func (c *Console) removeTargetForm(w http.ResponseWriter, r *http.Request) error {
	t, err := c.theTarget(r)
	if err != nil {
		return err
	}
	d := setupRemove{Kind: "target", Name: t.Name, Back: "/targets"}
	if d.Used, err = c.usedBy(r, t.Name, func(s respond.Step) []string { return s.Targets }); err != nil {
		return err
	}
	return c.render(w, r, page{name: "setup-remove", title: c.tr(r, "setup_remove.target.title", "Name", t.Name), data: d})
}

func (c *Console) removeTarget(w http.ResponseWriter, r *http.Request) error {
	t, err := c.theTarget(r)
	if err != nil {
		return err
	}
	if err := c.Targets.Remove(r.Context(), t.AccountID, t.Name, audit.By(r, audit.TargetRemove, "")); err != nil {
		return err
	}
	return redirect(w, r, "/targets?done=target_removed")
}
