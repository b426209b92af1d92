package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
	"holdfast/internal/web"
)

// personAction is the data of pages/person-action.html: one thing to do to a person, on a page of its own.
type personAction struct {
	Kind    string // the key of its texts: "suspend", "hold", "reactivate", "release", "end", "link", "remove"
	Action  string // where its form goes
	Person  directory.User
	Blocked string // the key of why it cannot be done at present, which is known before it is tried

	Holds    []holdRow      // those that are released
	Left     int            // open holds that stay
	Session  signin.Session // the one that ends
	Sessions int            // live ones, which end
	Groups   []string       // names of those that the person is in
	Link     string         // to set up signing in, once
}

// Danger reports whether what is done takes something from the person.
func (a personAction) Danger() bool { return a.Kind != "reactivate" && a.Kind != "release" }

// Untils are the choices of when a hold ends; the empty one is never, by itself.
func (a personAction) Untils() []string { return []string{"", "1h", "8h", "24h", "168h"} }

// untilOf reads such a choice.
func untilOf(choice string, now time.Time) (time.Time, error) {
	if choice == "" {
		return time.Time{}, nil
	}
	if !slices.Contains(personAction{}.Untils(), choice) {
		return time.Time{}, problem.InField("until", "%q is no end that can be chosen; choose one of the list", choice)
	}
	d, err := time.ParseDuration(choice)
	return now.Add(d), err
}

// errElsewhere says that there is nothing to do any more, and the person's page says why.
var errElsewhere = errors.New("nothing to do")

// personActionOf prepares the page of an action on the person of the path.
func (c *Console) personActionOf(r *http.Request, kind string) (personAction, error) {
	u, err := c.user(r)
	if err != nil {
		return personAction{}, err
	}
	a := personAction{Kind: kind, Action: "/people/" + u.ID + "/" + kind, Person: u}
	if kind == "suspend" && u.Suspended {
		a.Kind = "hold"
	}
	if err := c.fillAction(r, &a); err != nil {
		return a, err
	}
	if a.Blocked != "" {
		return a, nil
	}
	touch, err := c.mayTouch(r, u)
	if !touch && slices.Contains([]string{"suspend", "hold", "link", "remove"}, a.Kind) {
		a.Blocked = "owner"
	}
	return a, err
}

// fillAction reads what the action is about.
func (c *Console) fillAction(r *http.Request, a *personAction) error {
	self := a.Person.ID == me(r).UserID
	switch a.Kind {
	case "suspend", "hold":
		return c.fillSuspend(r, a, self)
	case "reactivate":
		return c.fillReactivate(r, a)
	case "release":
		return c.fillRelease(r, a)
	case "end":
		return c.fillEnd(r, a)
	case "link":
		switch {
		case self:
			a.Blocked = "link_self"
		case a.Person.Suspended:
			a.Blocked = "link_suspended"
		}
	case "remove":
		if self {
			a.Blocked = "remove_self"
		}
		return c.fillRemove(r, a)
	}
	return nil
}

func (c *Console) fillSuspend(r *http.Request, a *personAction, self bool) error {
	switch {
	case self:
		a.Blocked = "suspend_self"
	case a.Person.ExternallyManaged:
		a.Blocked = "managed"
	case a.Person.Lifecycle == directory.Invited:
		a.Blocked = "invited"
	}
	sessions, err := c.SignIn.Sessions(r.Context(), a.Person.AccountID, a.Person.ID)
	if err != nil || a.Kind != "hold" {
		a.Sessions = len(sessions)
		return err
	}
	open, err := c.openHolds(r, a.Person)
	if slices.ContainsFunc(open, func(h directory.Hold) bool { return h.Holder == "user:"+me(r).UserID }) && a.Blocked == "" {
		a.Blocked = "held"
	}
	return err
}

func (c *Console) openHolds(r *http.Request, u directory.User) ([]directory.Hold, error) {
	holds, err := c.Directory.Store.Holds(r.Context(), u.AccountID, u.ID)
	return slices.DeleteFunc(holds, func(h directory.Hold) bool { return !h.ReleasedAt.IsZero() }), err
}

func (c *Console) fillReactivate(r *http.Request, a *personAction) error {
	if !a.Person.Suspended {
		return errElsewhere
	}
	open, err := c.openHolds(r, a.Person)
	if err != nil {
		return err
	}
	who := c.parties(r)
	for _, h := range open {
		row, err := c.holdRow(r, h, who)
		if err != nil {
			return err
		}
		if row.Scim {
			a.Blocked = "scim"
		}
		a.Holds = append(a.Holds, row)
	}
	return nil
}

func (c *Console) fillRelease(r *http.Request, a *personAction) error {
	id := r.PathValue("hold")
	a.Action = "/people/" + a.Person.ID + "/holds/" + id + "/release"
	open, err := c.openHolds(r, a.Person)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(open, func(h directory.Hold) bool { return h.ID == id })
	if at < 0 {
		return errElsewhere
	}
	row, err := c.holdRow(r, open[at], c.parties(r))
	if row.Scim {
		a.Blocked = "scim"
	}
	a.Holds, a.Left = []holdRow{row}, len(open)-1
	return err
}

func (c *Console) fillEnd(r *http.Request, a *personAction) error {
	id := r.PathValue("session")
	a.Action = "/people/" + a.Person.ID + "/sessions/" + id + "/end"
	sessions, err := c.SignIn.Sessions(r.Context(), a.Person.AccountID, a.Person.ID)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(sessions, func(s signin.Session) bool { return s.ID == id })
	if at < 0 {
		return errElsewhere
	}
	a.Session = sessions[at]
	return nil
}

func (c *Console) fillRemove(r *http.Request, a *personAction) error {
	sessions, err := c.SignIn.Sessions(r.Context(), a.Person.AccountID, a.Person.ID)
	if err != nil {
		return err
	}
	a.Sessions = len(sessions)
	groups, err := c.Directory.Store.GroupsOf(r.Context(), a.Person.AccountID, a.Person.ID)
	for _, g := range groups {
		if g.Kind != directory.TeamMembers {
			a.Groups = append(a.Groups, g.Name)
		}
	}
	return err
}

// personForm is the page of an action.
func (c *Console) personForm(kind string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error { return c.showAction(w, r, kind, nil) }
}

// showAction shows the page of an action; after a failure with the error.
func (c *Console) showAction(w http.ResponseWriter, r *http.Request, kind string, failed error) error {
	a, err := c.personActionOf(r, kind)
	if errors.Is(err, errElsewhere) {
		return redirect(w, r, "/people/"+a.Person.ID)
	}
	if err != nil {
		return err
	}
	p := page{name: "person-action", title: c.tr(r, "person_action."+a.Kind+".title", "Name", a.Person.DisplayName), data: a, form: r.PostForm}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

// changePerson carries out an action on the person of the path, and shows its page again if it failed.
func (c *Console) changePerson(w http.ResponseWriter, r *http.Request, kind string, action audit.Action, do func(context.Context, string, string, audit.Entry) (string, error)) error {
	if _, err := form(r); err != nil {
		return err
	}
	id := r.PathValue("user")
	done, err := do(r.Context(), me(r).AccountID, id, audit.By(r, action, "user:"+id))
	if err != nil {
		return c.showAction(w, r, kind, err)
	}
	return redirect(w, r, done)
}

func (c *Console) suspend(w http.ResponseWriter, r *http.Request) error {
	return c.changePerson(w, r, "suspend", audit.UserSuspend, func(ctx context.Context, account, id string, by audit.Entry) (string, error) {
		until, err := untilOf(r.PostForm.Get("until"), c.Now())
		if err != nil {
			return "", err
		}
		before, err := c.Directory.Store.User(ctx, account, id)
		if err != nil {
			return "", err
		}
		done := "person_suspended"
		if before.Suspended {
			done = "hold_added"
		}
		_, err = c.Directory.Suspend(ctx, account, id, r.PostForm.Get("reason"), until, by)
		return "/people/" + id + "?done=" + done, err
	})
}

func (c *Console) reactivate(w http.ResponseWriter, r *http.Request) error {
	return c.changePerson(w, r, "reactivate", audit.UserReactivate, func(ctx context.Context, account, id string, by audit.Entry) (string, error) {
		_, err := c.Directory.Reactivate(ctx, account, id, r.PostForm.Get("reason"), by)
		return "/people/" + id + "?done=person_reactivated", err
	})
}

func (c *Console) releaseHold(w http.ResponseWriter, r *http.Request) error {
	return c.changePerson(w, r, "release", audit.HoldRelease, func(ctx context.Context, account, id string, by audit.Entry) (string, error) {
		if err := c.Directory.ReleaseHold(ctx, account, id, r.PathValue("hold"), r.PostForm.Get("reason"), by); err != nil {
			return "", err
		}
		u, err := c.Directory.Store.User(ctx, account, id)
		if u.Suspended {
			return "/people/" + id + "?done=hold_released", err
		}
		return "/people/" + id + "?done=last_hold_released", err
	})
}

func (c *Console) endSessionOf(w http.ResponseWriter, r *http.Request) error {
	return c.changePerson(w, r, "end", audit.SessionEnd, func(ctx context.Context, account, id string, by audit.Entry) (string, error) {
		err := c.SignIn.EndSession(ctx, account, id, r.PathValue("session"), by)
		return "/people/" + id + "?done=session_ended", err
	})
}

func (c *Console) removePerson(w http.ResponseWriter, r *http.Request) error {
	return c.changePerson(w, r, "remove", audit.UserRemove, func(ctx context.Context, account, id string, by audit.Entry) (string, error) {
		return "/people?done=person_removed", c.Directory.Remove(ctx, account, id, r.PostForm.Get("reason"), by)
	})
}

// newLink makes a link to set up signing in, and shows it in the answer to the form, and nowhere else.
func (c *Console) newLink(w http.ResponseWriter, r *http.Request) error {
	a, err := c.personActionOf(r, "link")
	if err != nil {
		return err
	}
	if a.Blocked == "link_self" {
		return c.showAction(w, r, "link", problem.Coded(problem.Forbidden, "link_self", "a link for yourself would replace all your ways to sign in; change them in your profile"))
	}
	link, err := c.Directory.NewSetupLink(r.Context(), a.Person.AccountID, a.Person.ID, audit.By(r, audit.UserSetupLink, "user:"+a.Person.ID))
	if p, ok := errors.AsType[*problem.Error](err); ok && p.Kind == problem.Conflict {
		err = problem.Coded(problem.Conflict, "link_suspended", "this person is suspended; reactivate first")
	}
	if err != nil {
		return c.showAction(w, r, "link", err)
	}
	a.Kind, a.Link = "linked", c.setupLink(link.Reveal())
	return c.render(w, r, page{name: "person-action", title: c.tr(r, "person_action.linked.title", "Name", a.Person.DisplayName), data: a})
}

// setupLink is the address by which a person sets up signing in. What is behind the # never reaches a log.
func (c *Console) setupLink(secret string) string { return c.Origin + "/setup#" + secret }
