package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// platform talks to a server as a security platform does, with nothing but net/http.
type platform struct {
	t     *testing.T
	base  string
	token string
}

func (p *platform) do(req *http.Request) (status int, m map[string]any) {
	p.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &m); err != nil {
			p.t.Fatalf("%s: %v", text, err)
		}
	}
	return resp.StatusCode, m
}

func (p *platform) form(path, id, secret string, form url.Values) (int, map[string]any) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), "POST", p.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.SetBasicAuth(id, secret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return p.do(req)
}

func (p *platform) call(method, path string) (int, map[string]any) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.base+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	return p.do(req)
}

// TestDemo does what the demo is there for: token, list, suspend, get, reactivate, revoke, over HTTP.
func TestDemo(t *testing.T) {
	var errs output
	line, stop := started(t, &errs, "demo", "--json", "--listen", "127.0.0.1:0")
	var d demoJSON
	dec := json.NewDecoder(strings.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	p := &platform{t: t, base: d.BaseURL}
	for _, generation := range []struct{ api, token, revoke string }{
		{"/v1", "/v1/oauth/token", "/v1/oauth/revoke"}, {"/v1beta1", "/v1beta1/users/oauth2/token", "/v1beta1/users/oauth2/revoke"},
	} {
		status, m := p.form(generation.token, d.ClientID, d.ClientSecret, url.Values{"grant_type": {"client_credentials"}})
		p.token, _ = m["access_token"].(string)
		if status != http.StatusOK || p.token == "" || m["expires_in"] != 900.0 {
			t.Fatalf("token: %d %v", status, m)
		}
		users := generation.api + "/accounts/" + d.AccountID + "/users"
		people := map[string]string{} // email → id
		states := map[string]int{}
		for page := ""; ; {
			status, m = p.call("GET", users+"?max_page_size=20&page_token="+url.QueryEscape(page))
			if status != http.StatusOK {
				t.Fatalf("list: %d %v", status, m)
			}
			for _, r := range m["results"].([]any) {
				u := r.(map[string]any)
				people[u["email"].(string)] = u["id"].(string)
				states[u["state"].(string)]++
			}
			if page, _ = m["next_page_token"].(string); page == "" {
				break
			}
		}
		if diff := cmp.Diff(map[string]int{"ACTIVE": 47, "SUSPENDED": 3}, states); diff != "" || len(people) != 50 {
			t.Errorf("%d people (-want +got):\n%s", len(people), diff)
		}
		mira := users + "/" + people["mira.oduya@harbour-vale.example"]
		for _, step := range []struct{ method, path, state string }{
			{"GET", mira, "ACTIVE"}, {"POST", mira + ":suspend", "SUSPENDED"}, {"GET", mira, "SUSPENDED"}, {"POST", mira + ":reactivate", "ACTIVE"},
		} {
			if status, m := p.call(step.method, step.path); status != http.StatusOK || m["state"] != step.state {
				t.Errorf("%s %s: %d %v, want %s", step.method, step.path, status, m, step.state)
			}
		}
		if status, m := p.call("POST", users+"/"+people[d.OwnerEmail]+":suspend"); status != http.StatusForbidden || m["message"] != "no_owner_remain" {
			t.Errorf("suspending the owner: %d %v", status, m)
		}
		if status, m := p.form(generation.revoke, d.ClientID, d.ClientSecret, url.Values{"token": {p.token}}); status != http.StatusOK || m != nil {
			t.Errorf("revoke: %d %v", status, m)
		}
		if status, _ := p.call("GET", mira); status != http.StatusUnauthorized {
			t.Errorf("a revoked token: %d", status)
		}
	}
	if code, out, errs := holdfast(t, "--data", d.DataDir, "audit", "verify"); code != exitDone || !strings.Contains(out, "the chain is whole") {
		t.Errorf("audit verify: %d %s%s", code, out, errs)
	}
	if code := stop(); code != exitDone {
		t.Errorf("exit code %d:\n%s", code, errs.String())
	}
	if _, err := os.Stat(d.DataDir); !os.IsNotExist(err) {
		t.Errorf("the data folder is still there: %v", err)
	}
	if strings.Contains(errs.String(), d.ClientSecret) || strings.Contains(errs.String(), p.token) {
		t.Error("the log holds a secret")
	}
}

// TestDemoText holds that the text fits into 80 columns, and that its commands are those that work.
func TestDemoText(t *testing.T) {
	var out, errs output
	line, stop := startedText(t, &out, &errs, "demo", "--listen", "127.0.0.1:0")
	if code := stop(); code != exitDone || errs.String() != "" {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	text := line + out.String()
	for l := range strings.SplitSeq(text, "\n") {
		if n := len([]rune(l)); n > 80 && !strings.Contains(l, "audit ") { // the path of this program may be long
			t.Errorf("%d columns: %s", n, l)
		}
		if strings.Contains(l, "#") {
			t.Errorf("zsh takes a comment for arguments: %s", l)
		}
	}
	for _, want := range []string{"50 people at Harbour & Vale", "Client secret  hfs_", "Mira Oduya", "removed at the end", "Stopped, and the data is removed."} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	for _, mark := range []string{"\x1b", "{bold}", "{cyan}", "{/}"} {
		if strings.Contains(text, mark) {
			t.Errorf("%q outside a terminal", mark)
		}
	}
	var commands []string
	for l := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(l, "  curl -s -H \"$AUTH\" "); ok {
			commands = append(commands, strings.TrimSpace(rest))
		}
	}
	if n := len(slices.Compact(commands)); n != 5 {
		t.Errorf("%d commands: %q", n, commands)
	}
}

func TestFollower(t *testing.T) {
	var out output
	f := newFollower(stdio{out: &out})
	f.names(func(_ context.Context, id string) string { return map[string]string{"U1": "Mira Oduya"}[id] })
	log := slog.New(f)
	log.Info("listening", "address", "127.0.0.1:1")
	log.Info("request", "method", "POST", "route", "POST /v1/accounts/{account}/users/{user}:suspend", "status", 200, "ms", 1.25, "target", "user:U1")
	log.Info("request", "method", "POST", "route", "POST /v1beta1/accounts/{account}/users/{user}:reactivate", "status", 403, "ms", 12.5, "target", "user:U2", "outcome", "no_owner_remain: this is the last")
	log.Info("request", "method", "GET", "route", "", "status", 404, "ms", 0.1, "outcome", "not found")
	log.Warn("disk is slow", "ms", 900)
	var got []string
	for l := range strings.Lines(out.String()) {
		got = append(got, l[10:]) // without the time
	}
	want := []string{
		"200  POST /v1/…/users/{user}:suspend           1.2 ms  Mira Oduya\n",
		"403  POST /v1beta1/…/users/{user}:reactivate   12.5 ms  no_owner_remain  U2\n",
		"404  GET (no such path)                        0.1 ms  not found\n",
		"disk is slow  ms=900\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.width = 60
	if got := f.fit(strings.Repeat("ä", 50), 15); got != strings.Repeat("ä", 44)+"…" {
		t.Errorf("fit = %q", got)
	}
	if got := f.fit("short", 15); got != "short" {
		t.Errorf("fit = %q", got)
	}
}
