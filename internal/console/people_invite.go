package console

import (
	"net/http"
	"net/url"
	"slices"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/web"
)

// personForms is the data of pages/person-form.html.
type personForms struct {
	Kind   string // "invite", "invited", "groups"
	Person directory.User
	Groups []groupChoice
	Link   string // to set up signing in, once
}

// groupChoice is a group with its box.
type groupChoice struct {
	directory.Group
	Fixed bool // only an owner can change who is in it, and who looks is none
}

// groupChoices are the groups that people are put into, the built-in ones first.
func (c *Console) groupChoices(r *http.Request) ([]groupChoice, error) {
	groups, err := c.Directory.Store.Groups(r.Context(), me(r).AccountID)
	var out []groupChoice
	for _, g := range builtInFirst(groups, func(g directory.Group) directory.GroupKind { return g.Kind }) {
		if g.Kind != directory.TeamMembers {
			out = append(out, groupChoice{g, g.Kind == directory.Owners && !me(r).Has(web.Owner)})
		}
	}
	return out, err
}

// builtInFirst sorts the built-in groups by what they may do; the others keep their order behind them.
func builtInFirst[G any](groups []G, kind func(G) directory.GroupKind) []G {
	order := []directory.GroupKind{directory.Owners, directory.Administrators, directory.Security, directory.TeamMembers, directory.Custom}
	return slices.SortedStableFunc(slices.Values(groups), func(a, b G) int {
		return slices.Index(order, kind(a)) - slices.Index(order, kind(b))
	})
}

func (c *Console) inviteForm(w http.ResponseWriter, r *http.Request) error {
	return c.showInvite(w, r, nil, nil)
}

func (c *Console) showInvite(w http.ResponseWriter, r *http.Request, f url.Values, failed error) error {
	groups, err := c.groupChoices(r)
	if err != nil {
		return err
	}
	p := page{name: "person-form", title: c.tr(r, "person_form.invite.title"), form: f, data: personForms{Kind: "invite", Groups: groups}}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

// invite adds a person and shows the link by which she sets up signing in, in the answer to the form.
func (c *Console) invite(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	groups, err := c.groupChoices(r)
	if err != nil {
		return err
	}
	n := directory.NewUser{Email: f.Get("email"), DisplayName: f.Get("display_name")}
	for _, id := range f["groups"] {
		at := slices.IndexFunc(groups, func(g groupChoice) bool { return g.ID == id })
		if at < 0 {
			return c.showInvite(w, r, f, problem.InField("groups", "a group that was chosen is not there any more; choose again"))
		}
		n.Groups = append(n.Groups, groups[at].Name)
	}
	u, link, err := c.Directory.Invite(r.Context(), me(r).AccountID, n, audit.By(r, audit.UserInvite, ""))
	if err != nil {
		return c.showInvite(w, r, f, err)
	}
	data := personForms{Kind: "invited", Person: u, Link: c.setupLink(link.Reveal())}
	return c.render(w, r, page{name: "person-form", title: c.tr(r, "person_form.invited.title", "Name", u.DisplayName), data: data})
}

// personGroups is the form of the groups of a person.
func (c *Console) personGroups(w http.ResponseWriter, r *http.Request) error {
	u, err := c.user(r)
	if err != nil {
		return err
	}
	in, err := c.Directory.Store.GroupsOf(r.Context(), u.AccountID, u.ID)
	if err != nil {
		return err
	}
	f := url.Values{}
	for _, g := range in {
		f.Add("groups", g.ID)
		f.Add("was", g.ID)
	}
	return c.showGroups(w, r, u, f, nil)
}

func (c *Console) showGroups(w http.ResponseWriter, r *http.Request, u directory.User, f url.Values, failed error) error {
	groups, err := c.groupChoices(r)
	if err != nil {
		return err
	}
	data := personForms{Kind: "groups", Person: u, Groups: groups}
	p := page{name: "person-form", title: c.tr(r, "person_form.groups.title", "Name", u.DisplayName), form: f, data: data}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

// setPersonGroups adds the person to groups and takes her out of others: what differs from the boxes that
// the form was shown with, so that what others have changed meanwhile stays. Owners comes first: that is
// what can be refused, and then nothing has been changed.
func (c *Console) setPersonGroups(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	u, err := c.user(r)
	if err != nil {
		return err
	}
	groups, err := c.groupChoices(r)
	if err != nil {
		return err
	}
	for _, g := range groups {
		wanted, was := slices.Contains(f["groups"], g.ID), slices.Contains(f["was"], g.ID)
		var err error
		switch {
		case g.Fixed || wanted == was:
			continue
		case wanted:
			err = c.Directory.Store.AddMember(r.Context(), u.AccountID, g.ID, u.ID, audit.By(r, audit.GroupMemberAdd, "user:"+u.ID))
		default:
			err = c.Directory.Store.RemoveMember(r.Context(), u.AccountID, g.ID, u.ID, audit.By(r, audit.GroupMemberRemove, "user:"+u.ID))
		}
		if err != nil {
			return c.showGroups(w, r, u, f, err)
		}
	}
	return redirect(w, r, "/people/"+u.ID+"?done=groups_changed")
}
