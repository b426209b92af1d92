package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/web"
)

func (c *Console) groupRoutes() []web.Route {
	look, change := web.SignedIn(web.Integrations), web.SignedIn(web.People)
	fresh := change.Fresh()
	return []web.Route{
		{Pattern: "GET /groups", Access: look, Handle: c.groups},
		{Pattern: "GET /groups/new", Access: change, Handle: c.newGroup},
		{Pattern: "POST /groups", Access: change, Handle: c.createGroup},
		{Pattern: "GET /groups/{group}", Access: look, Handle: c.group},
		{Pattern: "POST /groups/{group}/members", Access: fresh, Handle: c.addMember},
		{Pattern: "GET /groups/{group}/members/{user}/remove", Access: change, Handle: c.removeMemberForm},
		{Pattern: "POST /groups/{group}/members/{user}/remove", Access: fresh, Handle: c.removeMember},
		{Pattern: "GET /groups/{group}/rename", Access: change, Handle: c.renameGroupForm},
		{Pattern: "POST /groups/{group}/rename", Access: change, Handle: c.renameGroup},
		{Pattern: "GET /groups/{group}/delete", Access: change, Handle: c.deleteGroupForm},
		{Pattern: "POST /groups/{group}/delete", Access: fresh, Handle: c.deleteGroup},
	}
}

// groupsPage is the data of pages/groups.html.
type groupsPage struct {
	BuiltIn []directory.GroupCount
	Custom  []directory.GroupCount
}

func (c *Console) groups(w http.ResponseWriter, r *http.Request) error {
	counts, err := c.Directory.Store.GroupCounts(r.Context(), me(r).AccountID)
	if err != nil {
		return err
	}
	var data groupsPage
	for _, g := range builtInFirst(counts, func(g directory.GroupCount) directory.GroupKind { return g.Kind }) {
		if g.Kind == directory.Custom {
			data.Custom = append(data.Custom, g)
		} else {
			data.BuiltIn = append(data.BuiltIn, g)
		}
	}
	return c.render(w, r, page{name: "groups", title: c.tr(r, "nav.groups"), data: data})
}

// groupPage is the data of pages/group.html.
type groupPage struct {
	directory.GroupCount
	MayChange bool // who is in it, and by who looks
	Rows      []directory.User

	From, To int
	First    string // address of the first page; empty: this is it
	Next     string // address of the next page; empty: there is none
}

// Custom reports whether it is a group that can be renamed and deleted.
func (g groupPage) Custom() bool { return g.Kind == directory.Custom }

// theGroup is the group of the path.
func (c *Console) theGroup(r *http.Request) (directory.GroupCount, error) {
	counts, err := c.Directory.Store.GroupCounts(r.Context(), me(r).AccountID)
	if err != nil {
		return directory.GroupCount{}, err
	}
	for _, g := range counts {
		if g.ID == r.PathValue("group") {
			return g, nil
		}
	}
	return directory.GroupCount{}, problem.New(problem.NotFound, "no group %q", r.PathValue("group"))
}

func (c *Console) group(w http.ResponseWriter, r *http.Request) error {
	return c.showGroup(w, r, nil)
}

func (c *Console) showGroup(w http.ResponseWriter, r *http.Request, failed error) error {
	g, err := c.theGroup(r)
	if err != nil {
		return err
	}
	data := groupPage{GroupCount: g, MayChange: mayChange(r, g.Group)}
	after, before := r.URL.Query().Get("after"), 0
	if after != "" {
		before, data.First = placeOf(r.URL.Query().Get("from")), "/groups/"+g.ID
	}
	data.Rows, err = c.Directory.Store.Members(r.Context(), g.AccountID, g.ID, after, peopleShown+1)
	if err != nil {
		return err
	}
	more := len(data.Rows) > peopleShown
	data.Rows = data.Rows[:min(len(data.Rows), peopleShown)]
	data.From, data.To = before+1, before+len(data.Rows)
	if more {
		data.Next, err = withQuery("/groups/"+g.ID, "after", data.Rows[peopleShown-1].ID, "from", data.To)
		if err != nil {
			return err
		}
	}
	p := page{name: "group", title: g.Name, data: data, form: r.PostForm}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

// mayChange reports whether who looks may change who is in the group. The store decides; this is what is
// offered.
func mayChange(r *http.Request, g directory.Group) bool {
	return me(r).Has(web.People) && g.Kind != directory.TeamMembers && (g.Kind != directory.Owners || me(r).Has(web.Owner))
}

// addMember adds whoever has exactly the email.
func (c *Console) addMember(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	g, err := c.theGroup(r)
	if err != nil {
		return err
	}
	u, err := c.Directory.Store.UserByEmail(r.Context(), g.AccountID, strings.TrimSpace(f.Get("email")))
	if problem.Is(err, problem.NotFound) {
		p := problem.Coded(problem.Invalid, "no_such_person", "nobody in this account has this email; look for the person under People")
		p.Field = "email"
		return c.showGroup(w, r, p)
	}
	if err != nil {
		return err
	}
	if err := c.Directory.Store.AddMember(r.Context(), g.AccountID, g.ID, u.ID, audit.By(r, audit.GroupMemberAdd, "user:"+u.ID)); err != nil {
		return c.showGroup(w, r, err)
	}
	return redirect(w, r, "/groups/"+g.ID+"?done=member_added")
}

// groupForm is the data of pages/group-form.html.
type groupForm struct {
	Kind   string // the key of its texts: "new", "rename", "delete", "remove"
	Action string // where its form goes
	Back   string // the page before
	Group  directory.GroupCount
	Person directory.User // who is taken out of it
}

// showGroupForm shows a form; after a failure with the error.
func (c *Console) showGroupForm(w http.ResponseWriter, r *http.Request, data groupForm, f url.Values, failed error) error {
	title := c.tr(r, "group_form."+data.Kind+".title", "Name", data.Group.Name, "Person", data.Person.DisplayName)
	p := page{name: "group-form", title: title, data: data, form: f}
	if failed != nil {
		return c.again(w, r, p, inName(failed))
	}
	return c.render(w, r, p)
}

// inName says of an error which field of the form it is about.
func inName(err error) error {
	p, ok := errors.AsType[*problem.Error](err)
	switch {
	case ok && p.Kind == problem.Conflict && p.Field == "":
		taken := problem.Coded(problem.Conflict, "group_taken", "%s", p.Detail)
		taken.Field = "name"
		return taken
	case ok && p.Kind == problem.Invalid && p.Field == "name":
		bad := problem.Coded(problem.Invalid, "group_name", "%s", p.Detail)
		bad.Field = "name"
		return bad
	}
	return err
}

func (c *Console) newGroup(w http.ResponseWriter, r *http.Request) error {
	return c.showGroupForm(w, r, groupForm{Kind: "new", Action: "/groups", Back: "/groups"}, nil, nil)
}

func (c *Console) createGroup(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	g, err := c.Directory.CreateGroup(r.Context(), me(r).AccountID, f.Get("name"), audit.By(r, audit.GroupCreate, ""))
	if err != nil {
		return c.showGroupForm(w, r, groupForm{Kind: "new", Action: "/groups", Back: "/groups"}, f, err)
	}
	return redirect(w, r, "/groups/"+g.ID+"?done=group_created")
}

// customForm is a form about the custom group of the path.
func (c *Console) customForm(r *http.Request, kind string) (groupForm, error) {
	g, err := c.theGroup(r)
	if err == nil && g.Kind != directory.Custom {
		err = directory.ErrBuiltIn(g.Name)
	}
	back := "/groups/" + g.ID
	return groupForm{Kind: kind, Action: back + "/" + kind, Back: back, Group: g}, err
}

func (c *Console) renameGroupForm(w http.ResponseWriter, r *http.Request) error {
	data, err := c.customForm(r, "rename")
	if err != nil {
		return err
	}
	return c.showGroupForm(w, r, data, url.Values{"name": {data.Group.Name}}, nil)
}

func (c *Console) renameGroup(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	data, err := c.customForm(r, "rename")
	if err != nil {
		return err
	}
	g := data.Group
	if err := c.Directory.RenameGroup(r.Context(), g.AccountID, g.ID, f.Get("name"), audit.By(r, audit.GroupUpdate, "group:"+g.ID)); err != nil {
		return c.showGroupForm(w, r, data, f, err)
	}
	return redirect(w, r, data.Back+"?done=group_renamed")
}

func (c *Console) deleteGroupForm(w http.ResponseWriter, r *http.Request) error {
	data, err := c.customForm(r, "delete")
	if err != nil {
		return err
	}
	return c.showGroupForm(w, r, data, nil, nil)
}

func (c *Console) deleteGroup(w http.ResponseWriter, r *http.Request) error {
	data, err := c.customForm(r, "delete")
	if err != nil {
		return err
	}
	g := data.Group
	if err := c.Directory.DeleteGroup(r.Context(), g.AccountID, g.ID, audit.By(r, audit.GroupDelete, "group:"+g.ID)); err != nil {
		return c.showGroupForm(w, r, data, nil, err)
	}
	return redirect(w, r, "/groups?done=group_deleted")
}

// memberForm is the form that takes the person of the path out of the group of the path.
func (c *Console) memberForm(r *http.Request) (groupForm, error) {
	g, err := c.theGroup(r)
	if err != nil {
		return groupForm{}, err
	}
	u, err := c.user(r)
	if err != nil {
		return groupForm{}, err
	}
	in, err := c.Directory.Store.GroupsOf(r.Context(), u.AccountID, u.ID)
	if err == nil && (g.Kind == directory.TeamMembers || !slices.ContainsFunc(in, func(o directory.Group) bool { return o.ID == g.ID })) {
		err = problem.New(problem.NotFound, "%q is not in the group, or cannot leave it", u.ID)
	}
	back := "/groups/" + g.ID
	return groupForm{Kind: "remove", Action: back + "/members/" + u.ID + "/remove", Back: back, Group: g, Person: u}, err
}

func (c *Console) removeMemberForm(w http.ResponseWriter, r *http.Request) error {
	data, err := c.memberForm(r)
	if err != nil {
		return err
	}
	return c.showGroupForm(w, r, data, nil, nil)
}

func (c *Console) removeMember(w http.ResponseWriter, r *http.Request) error {
	data, err := c.memberForm(r)
	if err != nil {
		return err
	}
	g, u := data.Group, data.Person
	if err := c.Directory.Store.RemoveMember(r.Context(), g.AccountID, g.ID, u.ID, audit.By(r, audit.GroupMemberRemove, "user:"+u.ID)); err != nil {
		return c.showGroupForm(w, r, data, nil, err)
	}
	return redirect(w, r, data.Back+"?done=member_removed")
}
