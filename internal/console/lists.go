package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/problem"
	"holdfast/internal/web"
)

func (c *Console) listRoutes() []web.Route {
	may := web.SignedIn(web.Integrations)
	fresh := may.Fresh()
	return []web.Route{
		{Pattern: "GET /lists", Access: may, Handle: c.lists},
		{Pattern: "POST /lists", Access: fresh, Handle: c.addList},
		{Pattern: "GET /lists/{list}", Access: may, Handle: c.list},
		{Pattern: "GET /lists/{list}/entries", Access: may, Handle: c.backToList},
		{Pattern: "POST /lists/{list}/entries", Access: fresh, Handle: c.addEntries},
		{Pattern: "POST /lists/{list}/entries/remove", Access: fresh, Handle: c.removeEntry},
		{Pattern: "GET /lists/{list}/remove", Access: may, Handle: c.removeListForm},
		{Pattern: "POST /lists/{list}/remove", Access: fresh, Handle: c.removeList},
	}
}

// listAt is the address of a list's page.
func listAt(name string) string { return "/lists/" + url.PathEscape(name) }

// listsPage is the data of pages/lists.html.
type listsPage struct{ Rows []listRow }

type listRow struct {
	detect.ListView
	Path string
}

func (c *Console) listsPage(r *http.Request) (listsPage, error) {
	all, err := c.Rules.Lists(r.Context(), me(r).AccountID)
	var data listsPage
	for _, l := range all {
		data.Rows = append(data.Rows, listRow{l, listAt(l.Name)})
	}
	return data, err
}

func (c *Console) lists(w http.ResponseWriter, r *http.Request) error {
	data, err := c.listsPage(r)
	if err != nil {
		return err
	}
	return c.render(w, r, page{name: "lists", title: c.tr(r, "nav.lists"), data: data})
}

func (c *Console) addList(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	name := strings.Trim(strings.TrimSpace(f.Get("name")), "%")
	_, err = c.Rules.ListOf(r.Context(), me(r).AccountID, name)
	switch {
	case err == nil:
		return redirect(w, r, listAt(name))
	case problem.Is(err, problem.NotFound):
		_, err = c.Rules.SaveList(r.Context(), me(r).AccountID, name, func(*detect.AccountList) error { return nil }, audit.By(r, audit.ListSave, "list:"+name))
	}
	if err != nil {
		data, failed := c.listsPage(r)
		if failed != nil {
			return failed
		}
		return c.again(w, r, page{name: "lists", title: c.tr(r, "nav.lists"), form: f, data: data}, err)
	}
	return redirect(w, r, listAt(name)+"?done=list_made")
}

// listPage is the data of pages/list.html.
type listPage struct {
	detect.ListView
	Path    string
	Entries []entryRow
	Files   []string // the entries of files, the first ones
	More    int      // entries that are not shown
	Users   []choice
	By      party
	Extends bool
	InFiles bool // files have a list of this name
	Mine    bool // the account has one of its own
}

type entryRow struct {
	detect.ListEntry
	Over bool
}

// entriesShown is how many entries of a list its page shows, of the account's and of files each.
const entriesShown = 500

func (c *Console) listPage(r *http.Request) (listPage, error) {
	l, err := c.Rules.ListOf(r.Context(), me(r).AccountID, r.PathValue("list"))
	if err != nil {
		return listPage{}, err
	}
	data := listPage{ListView: l, Path: listAt(l.Name), Extends: l.Own == nil || l.Own.Extends, InFiles: l.Origin != "", Mine: l.Own != nil}
	if data.Extends {
		data.Files = l.Files[:min(len(l.Files), entriesShown)]
		data.More = len(l.Files) - len(data.Files)
	}
	for _, key := range l.UsedBy {
		data.Users = append(data.Users, choice{ruleAt(key), c.ruleTitle(r, key)})
	}
	if l.Own == nil {
		return data, nil
	}
	for i, e := range slices.Backward(l.Own.Entries) { // the latest first
		if len(l.Own.Entries)-i > entriesShown {
			data.More += i + 1
			break
		}
		data.Entries = append(data.Entries, entryRow{e, !e.Until.IsZero() && !e.Until.After(c.Now())})
	}
	data.By, err = c.parties(r).of(r.Context(), l.Own.UpdatedBy)
	return data, err
}

func (c *Console) list(w http.ResponseWriter, r *http.Request) error {
	data, err := c.listPage(r)
	if err != nil {
		return err
	}
	return c.render(w, r, page{name: "list", title: data.Name, data: data})
}

func (c *Console) backToList(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, listAt(r.PathValue("list")))
}

func (c *Console) addEntries(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	data, err := c.listPage(r)
	if err != nil {
		return err
	}
	err = c.changeEntries(r, data.Name, f)
	if err != nil {
		return c.again(w, r, page{name: "list", title: data.Name, form: f, data: data}, err)
	}
	return redirect(w, r, data.Path+"?done=list_saved")
}

// changeEntries adds what the form has.
func (c *Console) changeEntries(r *http.Request, name string, f url.Values) error {
	until, err := day(f, "until")
	if err != nil {
		return err
	}
	if !until.IsZero() {
		if until = until.AddDate(0, 0, 1); !until.After(c.Now()) { // the day itself belongs to it
			return problem.InField("until", "the entries would end on %s, which is over", f.Get("until"))
		}
	}
	var values []string
	for line := range strings.Lines(f.Get("entries")) {
		if line = strings.TrimSpace(line); line != "" {
			values = append(values, line)
		}
	}
	if len(values) == 0 {
		return problem.InField("entries", "there is no entry; write one on each line")
	}
	_, err = c.Rules.SaveList(r.Context(), me(r).AccountID, name, func(l *detect.AccountList) error {
		for _, v := range values {
			l.Entries = append(l.Entries, detect.ListEntry{Value: v, Note: f.Get("note"), Until: until.UTC().Truncate(time.Microsecond)})
		}
		return nil
	}, audit.By(r, audit.ListSave, "list:"+name))
	return err
}

func (c *Console) removeEntry(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	name := r.PathValue("list")
	if _, err := c.Rules.ListOf(r.Context(), me(r).AccountID, name); err != nil { // saving would make it
		return err
	}
	_, err = c.Rules.SaveList(r.Context(), me(r).AccountID, name, func(l *detect.AccountList) error {
		l.Entries = slices.DeleteFunc(l.Entries, func(e detect.ListEntry) bool { return e.Value == f.Get("value") })
		return nil
	}, audit.By(r, audit.ListSave, "list:"+name))
	if err != nil {
		return err
	}
	return redirect(w, r, listAt(name)+"?done=list_entry_removed")
}

func (c *Console) removeListForm(w http.ResponseWriter, r *http.Request) error {
	data, err := c.listPage(r)
	if err != nil {
		return err
	}
	return c.render(w, r, page{name: "list-remove", title: c.tr(r, "list.remove_title", "Name", data.Name), data: data})
}

func (c *Console) removeList(w http.ResponseWriter, r *http.Request) error {
	data, err := c.listPage(r)
	if err != nil {
		return err
	}
	if err := c.Rules.RemoveList(r.Context(), me(r).AccountID, data.Name, audit.By(r, audit.ListRemove, "list:"+data.Name)); err != nil {
		return c.again(w, r, page{name: "list-remove", title: c.tr(r, "list.remove_title", "Name", data.Name), data: data}, nameless(err))
	}
	if data.InFiles {
		return redirect(w, r, data.Path+"?done=list_removed")
	}
	return redirect(w, r, "/lists?done=list_removed")
}
