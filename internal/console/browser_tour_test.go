package console_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
	"holdfast/internal/server/browsertest"
	"holdfast/internal/server/servertest"
	"holdfast/internal/store/storetest"
)

// newTour is a house whose console offers the guided tour, as that of the demo does.
func newTour(t *testing.T) *house {
	t.Helper()
	place := storetest.NewPlace(t, "sqlite")
	h := &house{clock: servertest.NewClock(place)}
	h.Instance = servertest.StartTour(t, place)
	h.givePassword(t, h.Owner)
	return h
}

// tourWords are what the test looks for, in one language.
type tourWords struct {
	title, begin, name, redirect, generate, saveTitle, secret, vault, save, token, list, suspend, reactivate, revoke string

	done func(n string) string
}

func inEnglish() tourWords {
	return tourWords{
		"Guided tour", "OAuth Application", "Application name", "Redirect URL", "Generate credentials", "Save credentials", "Client secret",
		"Name of a new vault", "Save in vault", "Get a token", "List people", "Suspend", "Reactivate", "Revoke integration",
		func(n string) string { return n + " of 7 done" },
	}
}

func inGerman() tourWords {
	return tourWords{
		"Rundgang", "OAuth-Anwendung", "Name der Anwendung", "Redirect-URL", "Zugangsdaten erzeugen", "Zugangsdaten speichern", "Client-Geheimnis",
		"Name eines neuen Tresors", "Im Tresor speichern", "Token holen", "Personen auflisten", "Sperren", "Reaktivieren", "Integration widerrufen",
		func(n string) string { return n + " von 7 erledigt" },
	}
}

// shown is what a snippet of the panel has in the place of the pattern's parentheses.
func shown(t *testing.T, panel *browsertest.Tab, label, pattern string) string {
	t.Helper()
	text := panel.Text("region", label)
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%s: nothing like %s in %q", label, pattern, text)
	}
	return m[1]
}

// TestBrowserTour goes through the whole tour with what the panel shows and nothing else, as somebody of
// Security. Each step is ticked off by itself when it has happened, without loading a page again.
func TestBrowserTour(t *testing.T) {
	tests := []struct {
		name    string
		words   tourWords
		phone   bool
		picture string
		opts    []browsertest.Option
	}{
		{"wide", inEnglish(), false, "tour_en_1280_light", []browsertest.Option{browsertest.Wide()}},
		{"phone_in_German", inGerman(), true, "tour_de_360_light", []browsertest.Option{browsertest.Narrow(), browsertest.Lang("de")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newTour(t)
			sol := h.person(t, "Sol", "Security")
			mira := h.person(t, "Mira")
			w := tt.words
			tab := h.signedIn(t, sol, append(tt.opts, browsertest.Patience(20*time.Second))...)
			tab.AcceptDialogs(true)
			tab.Go("/")
			panel := tab.In("complementary", w.title)
			tab.Wait(w.done("0"))
			wantOpen(t, tab, !tt.phone)
			if tt.phone {
				uncovered(t, tab)
				tab.Eval(`scrollTo({top: 0, behavior: "instant"})`, nil)
				tab.Screenshot("tour-closed_de_360_light")
				tab.Eval(`document.querySelector(".tour summary").click()`, nil)
				wantOpen(t, tab, true)
			}
			clean(tab)
			uncovered(t, tab)
			panel.Click("link", w.begin)

			wantOpen(t, tab, true) // as it was left
			tab.Fill(w.name, "Night watch")
			tab.Fill(w.redirect, "https://soar.example.org/callback")
			for _, scope := range []string{"List users", "Suspend users", "Reactivate users"} {
				tab.In("group", "Scopes").Check(scope)
			}
			uncovered(t, tab)
			tab.Click("button", w.generate)
			tab.Wait(w.saveTitle)
			tab.Wait(w.done("1"))
			secret := tab.Text("status", w.secret)
			h.Secrets.Learn(secret)
			uncovered(t, tab)
			tab.Fill(w.vault, "Automation")
			tab.Click("button", w.save)
			tab.Wait(w.done("2"))

			// The platform's turn: it knows what the panel shows, and the secret.
			snippets := panel.Text("region", w.token) + "\n" + panel.Text("region", w.list) + "\n"
			cfg := clientcredentials.Config{
				ClientID: shown(t, panel, w.token, `-u "([^:"]+):\$CLIENT_SECRET"`), ClientSecret: secret,
				TokenURL: shown(t, panel, w.token, `(https?://\S+/token) `), AuthStyle: oauth2.AuthStyleInHeader,
			}
			client := cfg.Client(context.WithoutCancel(t.Context()))
			list := shown(t, panel, w.list, `"(https?://[^"]+)"`)
			resp, err := client.Get(list)
			if got := status(t, resp, err); got != http.StatusOK {
				t.Fatalf("list: %d", got)
			}
			tab.Wait(w.done("3"))
			clean(tab)
			tab.Eval(`scrollTo({top: 0, behavior: "instant"})`, nil)
			tab.Screenshot(tt.picture)
			if !tt.phone {
				pasted(t, secret, snippets)
			}
			person := shown(t, panel, w.suspend, `"(https?://[^"]+)"`)
			resp, err = client.Post(person, "", nil)
			if got := status(t, resp, err); got != http.StatusOK {
				t.Fatalf("suspend: %d", got)
			}
			if want := h.UsersURL() + "/" + mira.ID + ":suspend"; person != want {
				t.Errorf("the panel suspends at %s, want %s", person, want)
			}
			tab.Wait(w.done("4"))
			resp, err = client.Post(shown(t, panel, w.reactivate, `"(https?://[^"]+)"`), "", nil)
			if got := status(t, resp, err); got != http.StatusOK {
				t.Fatalf("reactivate: %d", got)
			}
			tab.Wait(w.done("5"))
			uncovered(t, tab)
			panel.Click("link", w.revoke)
			uncovered(t, tab)
			tab.Click("button", w.revoke)
			tab.Wait(w.done("6"))
			resp, err = client.Get(list)
			if got := status(t, resp, err); got != http.StatusUnauthorized {
				t.Fatalf("after revoking: %d", got)
			}
			tab.Wait(w.done("7"))
			if n := len(tab.Dialogs()); n != 0 {
				t.Errorf("%d warnings on the way: %q", n, tab.Dialogs())
			}
			clean(tab)
			uncovered(t, tab)
		})
	}
}

// pasted does what the panel says, in a shell: the snippets get a token and list people.
func pasted(t *testing.T, secret, snippets string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc")
	cmd.Stdin = strings.NewReader(snippets)
	cmd.Env = append(os.Environ(), "NO_PROXY=*", "no_proxy=*", "CLIENT_SECRET="+secret)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "mira@example.org") || !strings.HasSuffix(string(out), "\n200\n") {
		t.Errorf("pasted into a shell, the panel's snippets answer %v and:\n%s", err, out)
	}
}

// TestBrowserTourAway puts the tour away and takes it up: what was done meanwhile counts.
func TestBrowserTourAway(t *testing.T) {
	h := newTour(t)
	tab := h.signedIn(t, h.Owner, browsertest.Wide(), browsertest.Patience(20*time.Second))
	tab.AcceptDialogs(true)
	tab.Go("/people")
	tab.Click("button", "Put the tour away")
	tab.Wait("Owner")
	if got := h.path(tab); got != "/people" {
		t.Errorf("putting the tour away led to %s", got)
	}
	tab.MustNotHave("0 of 7 done")
	made, err := h.OAuth().Create(t.Context(), h.Account.ID, oauth.NewClient{Name: "Meanwhile", Scopes: []string{"list_users"}}, audit.Entry{Actor: "user:" + h.Owner.ID})
	if err != nil {
		t.Fatal(err)
	}
	h.Secrets.Learn(made.Secret.Reveal())
	for _, path := range []string{"/", "/help"} {
		tab.Go(path)
		tab.MustNotHave("1 of 7 done")
		tab.Click("button", "Go on with the tour")
		tab.Wait("1 of 7 done")
		if got := h.path(tab); got != path {
			t.Errorf("going on at %s led to %s", path, got)
		}
		tab.Click("button", "Put the tour away")
		tab.Wait("Go on with the tour")
	}
	tab.Go("/help/tour")
	tab.Click("button", "Start again")
	tab.Wait("0 of 7 done")

	// On the page that is the answer to a form there is no way back to it.
	tab.Go("/integrations/oauth/new")
	fillIn(tab, "On the way")
	tab.Click("button", "Generate credentials")
	tab.Wait("1 of 7 done")
	h.Secrets.Learn(tab.Text("status", "Client secret"))
	tab.Click("button", "Put the tour away")
	tab.Wait("Integrations")
	if got := tab.Status(); got != http.StatusOK {
		t.Errorf("putting the tour away at the credentials leads to %s: %d", h.path(tab), got)
	}
	if len(tab.Dialogs()) == 0 {
		t.Error("leaving without saving does not warn")
	}
}

// TestBrowserTourNoScript finds the panel open on a phone, too, where no script can close it: it is below the page.
func TestBrowserTourNoScript(t *testing.T) {
	h := newTour(t)
	tab := h.signedIn(t, h.Owner, browsertest.Narrow(), browsertest.NoScript())
	tab.Go("/")
	tab.MustHave("0 of 7 done", "Follow one application")
	tab.Click("button", "Put the tour away")
	tab.Wait("The guided tour is put away")
	tab.Click("button", "Go on with the tour")
	tab.Wait("0 of 7 done")
}

// clean looks for what axe finds, at the end of the page: on a phone the panel lies on whatever else is at
// the lower edge, and axe takes a button of which half is seen for a small one.
func clean(tab *browsertest.Tab) {
	tab.Eval(`scrollTo({top: document.documentElement.scrollHeight, behavior: "instant"})`, nil)
	tab.Axe()
}

// wantOpen checks whether the panel shows its steps.
func wantOpen(t *testing.T, tab *browsertest.Tab, want bool) {
	t.Helper()
	var open bool
	tab.Eval(`document.querySelector(".tour > details").open`, &open)
	if open != want {
		t.Errorf("%s: the panel is open: %v, want %v", tab.URL(), open, want)
	}
}

// uncovered checks that each thing to be clicked in the page can be brought to where the panel is not.
func uncovered(t *testing.T, tab *browsertest.Tab) {
	t.Helper()
	var covered []string
	tab.Eval(`[...document.querySelectorAll("main :is(a[href], button, input, select, textarea, summary)")].filter((e) => e.checkVisibility()).filter((e) => {
		e.scrollIntoView({block: "nearest", behavior: "instant"});
		const box = e.getBoundingClientRect(), tour = document.querySelector(".tour").getBoundingClientRect();
		return box.width > 0 && box.left < tour.right && box.right > tour.left && box.top < tour.bottom && box.bottom > tour.top;
	}).map((e) => e.outerHTML.slice(0, 120))`, &covered)
	if len(covered) > 0 {
		t.Errorf("%s: the panel covers %q", tab.URL(), covered)
	}
}
