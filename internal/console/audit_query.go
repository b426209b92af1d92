package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
)

// actionGroup are actions that are chosen together or one by one.
type actionGroup struct {
	Name    string // the key of its text
	Actions []audit.Action
}

// groupPrefix before the name of a group makes the value of its option.
const groupPrefix = "all:"

// Value is what the filter's option is called.
func (g actionGroup) Value() string { return groupPrefix + g.Name }

// actionGroups are all actions, in the order of the filter.
func actionGroups() []actionGroup {
	groups := []actionGroup{
		{Name: "people"}, {Name: "groups"}, {Name: "sign_in"}, {Name: "ways_in"}, {Name: "integrations"}, {Name: "vaults"}, {Name: "account"},
	}
	for _, a := range audit.Actions() {
		name := groupOf(a)
		i := slices.IndexFunc(groups, func(g actionGroup) bool { return g.Name == name })
		groups[i].Actions = append(groups[i].Actions, a)
	}
	return groups
}

func groupOf(a audit.Action) string {
	thing, _, _ := strings.Cut(string(a), ".")
	switch thing {
	case "user", "hold":
		return "people"
	case "group":
		return "groups"
	case "session", "sign_in":
		return "sign_in"
	case "passkey", "password", "totp", "recovery_codes":
		return "ways_in"
	case "app", "token", "access":
		return "integrations"
	case "vault", "item":
		return "vaults"
	}
	return "account"
}

const auditOnPage = 25 // with their details, which a click opens; a page stays under 100 kB

// auditQuery is the query of the filter's fields. What cannot be understood is a problem in its field.
func (c *Console) auditQuery(r *http.Request, asked url.Values) (audit.Query, error) {
	q := audit.Query{AccountID: me(r).AccountID, Limit: auditOnPage + 1}
	var err error
	if before := asked.Get("before"); before != "" {
		if q.Before, err = strconv.ParseInt(before, 10, 64); err != nil || q.Before < 1 {
			return q, problem.New(problem.Invalid, "before is %q; it must be the number of an entry", before)
		}
	}
	if q.Actions, err = chosenActions(asked.Get("action")); err != nil {
		return q, err
	}
	switch o := asked.Get("outcome"); o {
	case "", string(audit.Done), string(audit.Refused):
		q.Outcome = o
	default:
		return q, problem.InField("outcome", "the outcome is %q; it must be done or refused", o)
	}
	if q.From, err = day(asked, "from"); err != nil {
		return q, err
	}
	if q.To, err = day(asked, "to"); err != nil {
		return q, err
	}
	if !q.To.IsZero() {
		q.To = q.To.AddDate(0, 0, 1) // the day itself belongs to it
		if !q.To.After(q.From) {
			return q, problem.InField("to", "the last day is before the first one, %s", asked.Get("from"))
		}
	}
	text := strings.TrimSpace(asked.Get("q"))
	if text == "" {
		return q, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 { // the number of an entry
		if q.Before == 0 || q.Before > n {
			q.Before = n + 1
		}
		return q, nil
	}
	ref, err := c.findSubject(r.Context(), q.AccountID, text)
	if err != nil {
		return q, err
	}
	switch asked.Get("role") {
	case "actor":
		q.Actor = ref
	case "target":
		q.Target = ref
	default:
		q.About = ref
	}
	return q, nil
}

func chosenActions(value string) ([]audit.Action, error) {
	if value == "" {
		return nil, nil
	}
	for _, g := range actionGroups() {
		if g.Value() == value {
			return g.Actions, nil
		}
		if slices.Contains(g.Actions, audit.Action(value)) {
			return []audit.Action{audit.Action(value)}, nil
		}
	}
	return nil, problem.InField("action", "there is no action %q", value)
}

func day(asked url.Values, field string) (time.Time, error) {
	value := asked.Get(field)
	if value == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, value)
	if err != nil {
		return t, problem.InField(field, "the day is %q; it must be written as in 2026-03-10", value)
	}
	return t, nil
}

// subjectKinds are those that have an ID of 26 characters, which may be searched for without saying what it is.
var subjectKinds = [...]string{"user", "vault", "item", "group", "session"}

// findSubject is how the audit log writes what somebody typed: an ID with or without its kind, the e-mail of
// a person, or the name of a person or an application.
func (c *Console) findSubject(ctx context.Context, account, text string) (string, error) {
	if kind, id, ok := strings.Cut(text, ":"); ok && id != "" && !strings.ContainsAny(kind, " @") {
		return text, nil
	}
	switch {
	case text == "system" || text == "anonymous":
		return text, nil
	case strings.Contains(text, "@"):
		u, err := c.Directory.Store.UserByEmail(ctx, account, text)
		if problem.Is(err, problem.NotFound) {
			return "", problem.InField("q", "nobody in the account has the email address %s", text)
		}
		return "user:" + u.ID, err
	case len(text) == 36 && strings.Count(text, "-") == 4:
		return "client:" + strings.ToLower(text), nil
	case len(text) == 26 && !strings.ContainsAny(text, " -"):
		for _, kind := range subjectKinds {
			ref := kind + ":" + strings.ToUpper(text)
			links, err := c.Audit.AuditEntries(ctx, audit.Query{AccountID: account, About: ref, Limit: 1})
			if err != nil || len(links) > 0 {
				return ref, err
			}
		}
	}
	return c.findByName(ctx, account, text)
}

func (c *Console) findByName(ctx context.Context, account, text string) (string, error) {
	apps, err := c.OAuth.Clients(ctx, account)
	if err != nil {
		return "", err
	}
	for _, app := range apps {
		if directory.SearchKey(app.Name) == directory.SearchKey(text) {
			return "client:" + app.ID, nil
		}
	}
	people, err := c.Directory.People(ctx, account, directory.ListQuery{Search: text, IncludeInvited: true, Limit: 2})
	if err != nil {
		return "", err
	}
	switch {
	case len(people.Users) == 1:
		return "user:" + people.Users[0].ID, nil
	case len(people.Users) > 1:
		return "", problem.InField("q", "more than one person is found by %q; enter the email address", text)
	}
	return "", problem.InField("q", "no person, application or ID of that kind is known: %q", text)
}
