package console

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"holdfast/internal/problem"
	"holdfast/internal/web"
)

// Help is short pages, each a file help/<language>/<topic>.html: the title in the first line, as <h1>, then
// the text. They are written for the words that the console uses, and are read once, when it starts.

//go:embed help
var helpFiles embed.FS

func (c *Console) helpRoutes() []web.Route {
	help := web.Guest("who cannot sign in needs it most")
	return []web.Route{
		{Pattern: "GET /help", Access: help, Handle: c.helpIndex},
		{Pattern: "GET /help/{topic}", Access: help, Handle: c.helpPage},
	}
}

// helpSubject is a topic of the table, whatever the language.
type helpSubject struct {
	ID      string
	Page    string   // where what it explains is done; empty: nowhere in particular
	Name    string   // key of the text that the page is called by
	Role    web.Role // that the page asks for
	Related []string // IDs of other topics
}

// helpChapter groups topics.
type helpChapter struct {
	Key      string // of its heading
	Subjects []helpSubject
}

// helpTable is the help in its order.
func helpTable() []helpChapter {
	return []helpChapter{
		{"help.chapter.access", []helpSubject{
			{"sign-in", "/profile", "nav.profile", web.Member, []string{"passkeys", "codes", "lost-access"}},
			{"passkeys", "/profile", "nav.profile", web.Member, []string{"sign-in", "codes", "lost-access"}},
			{"codes", "/profile", "nav.profile", web.Member, []string{"passkeys", "sign-in", "lost-access"}},
			{"lost-access", "/people", "nav.people", web.Integrations, []string{"sign-in", "people", "codes"}},
			{"sessions", "/profile", "nav.profile", web.Member, []string{"suspend", "settings", "sign-in"}},
		}},
		{"help.chapter.integrations", []helpSubject{
			{"oauth-application", "/integrations/oauth/new", "integrations.oauth_application", web.Integrations, []string{"scopes", "save-credentials", "connect"}},
			{"save-credentials", "/integrations", "nav.integrations", web.Integrations, []string{"vaults", "oauth-application", "rotate"}},
			{"connect", "/integrations/directory", "directory.title", web.Integrations, []string{"scopes", "own-client", "save-credentials"}},
			{"scopes", "/integrations", "nav.integrations", web.Integrations, []string{"oauth-application", "suspend", "connect"}},
			{"rotate", "/integrations", "nav.integrations", web.Integrations, []string{"save-credentials", "revoke", "vaults"}},
			{"revoke", "/integrations", "nav.integrations", web.Integrations, []string{"rotate", "holds", "audit"}},
			{"own-client", "/integrations/directory", "directory.title", web.Integrations, []string{"connect", "scopes", "holds"}},
			{"events-reporting", "/integrations/events/new", "integrations.events_reporting", web.People, []string{"save-credentials", "revoke", "audit"}},
		}},
		{"help.chapter.people", []helpSubject{
			{"people", "/people", "nav.people", web.Integrations, []string{"groups", "lost-access", "suspend"}},
			{"suspend", "/people", "nav.people", web.Integrations, []string{"holds", "sessions", "scopes"}},
			{"holds", "/people", "nav.people", web.Integrations, []string{"suspend", "audit", "scopes"}},
			{"groups", "/groups", "nav.groups", web.Integrations, []string{"roles", "people", "vaults"}},
			{"roles", "/groups", "nav.groups", web.Integrations, []string{"groups", "people", "settings"}},
		}},
		{"help.chapter.signals", []helpSubject{
			{"sign-in-events", "/sign-ins", "nav.sign_ins", web.Integrations, []string{"firewall", "events-reporting", "suspend"}},
			{"firewall", "/firewall", "nav.firewall", web.Integrations, []string{"sign-in-events", "roles", "events-reporting"}},
			{"rules", "/rules", "nav.rules", web.Integrations, []string{"sign-in-events", "firewall", "suspend"}},
		}},
		{"help.chapter.respond", []helpSubject{
			{"playbooks", "/playbooks", "nav.playbooks", web.Integrations, []string{"guard-rails", "rules", "holds"}},
			{"guard-rails", "/guard-rails", "nav.guard_rails", web.Integrations, []string{"playbooks", "holds", "suspend"}},
		}},
		{"help.chapter.account", []helpSubject{
			{"vaults", "/vaults", "nav.vaults", web.Member, []string{"save-credentials", "groups", "audit"}},
			{"audit", "/audit", "nav.audit", web.Integrations, []string{"holds", "vaults", "roles"}},
			{"settings", "/settings", "nav.settings", web.People, []string{"sign-in", "codes", "sessions"}},
			{tourTopic, "/", "nav.overview", web.Member, []string{"oauth-application", "suspend", "revoke"}},
		}},
	}
}

// tourTopic is hidden where there is no tour.
const tourTopic = "tour"

// helpTopic is a page of help in one language.
type helpTopic struct {
	helpSubject
	Title string
	Body  template.HTML
	Plain string // the text without its markup, for searching
}

// readHelp reads all topics, by language and ID.
func readHelp() (map[string]map[string]*helpTopic, error) {
	all := map[string]map[string]*helpTopic{}
	for _, tag := range languages {
		lang := tag.String()
		all[lang] = map[string]*helpTopic{}
		for _, chapter := range helpTable() {
			for _, s := range chapter.Subjects {
				file := "help/" + lang + "/" + s.ID + ".html"
				text, err := helpFiles.ReadFile(file)
				if err != nil {
					return nil, fmt.Errorf("read help: %w", err)
				}
				head, body, ok := strings.Cut(string(text), "\n")
				title, opened := strings.CutPrefix(head, "<h1>")
				title, closed := strings.CutSuffix(title, "</h1>")
				if !ok || !opened || !closed {
					return nil, fmt.Errorf("read help: the first line of %s is %q; it must be the title, as <h1>", file, head)
				}
				body = strings.TrimSpace(body)
				all[lang][s.ID] = &helpTopic{helpSubject: s, Title: title, Body: template.HTML(body), Plain: textOf(body)} // written by us
			}
		}
	}
	return all, nil
}

// helpIndexPage is the data of pages/help.html and pages/gate-help.html.
type helpIndexPage struct {
	Chapters []helpNav
	Search   string
	Hits     []helpHit
}

// helpNav is a chapter with the topics that are shown.
type helpNav struct {
	Title  string
	Topics []*helpTopic
}

// helpTopicPage is the data of pages/help-page.html and pages/gate-help-page.html.
type helpTopicPage struct {
	Topic    *helpTopic
	Chapters []helpNav
	Related  []*helpTopic
	Search   string
	Offer    bool // the panel of the tour can be brought back, or the tour begun anew
}

// helpNavs are the chapters in the language.
func (c *Console) helpNavs(lang string) []helpNav {
	var navs []helpNav
	for _, chapter := range helpTable() {
		n := helpNav{Title: c.catalogue.text(lang, chapter.Key)}
		for _, s := range chapter.Subjects {
			if t := c.helpTopic(lang, s.ID); t != nil {
				n.Topics = append(n.Topics, t)
			}
		}
		navs = append(navs, n)
	}
	return navs
}

// helpTopic is the topic in the language; nil: there is none, here.
func (c *Console) helpTopic(lang, id string) *helpTopic {
	if id == tourTopic && !c.Tour {
		return nil
	}
	return c.help[lang][id]
}

func (c *Console) helpIndex(w http.ResponseWriter, r *http.Request) error {
	lang := c.catalogue.languageOf(r)
	data := helpIndexPage{Chapters: c.helpNavs(lang), Search: cut(strings.TrimSpace(r.URL.Query().Get("q")), maxHelpSearch)}
	if data.Search != "" {
		data.Hits = findHelp(data.Chapters, data.Search)
	}
	return c.render(w, r, page{name: c.helpName(r, "help"), title: c.tr(r, "help.title"), data: data})
}

func (c *Console) helpPage(w http.ResponseWriter, r *http.Request) error {
	lang := c.catalogue.languageOf(r)
	topic := c.helpTopic(lang, r.PathValue("topic"))
	if topic == nil {
		return problem.New(problem.NotFound, "there is no help under this name; look for it at /help")
	}
	data := helpTopicPage{Topic: topic, Chapters: c.helpNavs(lang), Offer: topic.ID == tourTopic && c.tourOffered(r)}
	for _, id := range topic.Related {
		if t := c.helpTopic(lang, id); t != nil {
			data.Related = append(data.Related, t)
		}
	}
	return c.render(w, r, page{name: c.helpName(r, "help-page"), title: topic.Title, data: data})
}

// helpName is the template for who looks: outside the shell for who is not signed in, or not yet entirely.
func (c *Console) helpName(r *http.Request, name string) string {
	if slices.Contains(me(r).Roles, web.Member) {
		return name
	}
	return "gate-" + name
}
