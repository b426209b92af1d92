package server_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/eventsapi"
	"holdfast/internal/audit"
	"holdfast/internal/origin"
	"holdfast/internal/origin/origintest"
	"holdfast/internal/server/servertest"
	"holdfast/internal/signin"
	"holdfast/internal/store/storetest"
)

// TestEventsPlaces signs in from several places, through the page and a proxy, under rules of the firewall,
// and reads what a SIEM gets to see of it: program, place, and what the rules made of it.
func TestEventsPlaces(t *testing.T) {
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			place := storetest.NewPlace(t, kind)
			origintest.Write(t, filepath.Join(place.Dir, origin.Folder), time.Now())
			in := servertest.StartAt(t, place, map[string]string{"trusted_proxies": "127.0.0.1"})
			by := audit.Entry{Actor: "operator:test"}
			const password = "nine lanterns over the quay"
			if err := in.SignIn().SetInitialPassword(t.Context(), in.Account.ID, in.Owner.ID, password, by); err != nil {
				t.Fatal(err)
			}
			for _, r := range []signin.Rule{
				{Action: signin.Report, Kind: signin.MatchCountry, Value: "SE"}, {Action: signin.Deny, Kind: signin.MatchCountry, Value: "BR"},
				{Action: signin.Report, Kind: signin.MatchAnonymous},
			} {
				r.AccountID = in.Account.ID
				if _, err := in.SignIn().AddRule(t.Context(), r, signin.Guard{}, by); err != nil {
					t.Fatal(err)
				}
			}
			stranger := &browser{in: in}
			tryFrom := func(address, password string) int {
				resp, _ := stranger.with(t, http.Header{
					"X-Forwarded-For":    {address},
					"User-Agent":         {"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36"},
					"Sec-Ch-Ua":          {`"Chromium";v="129", "Google Chrome";v="129"`},
					"Sec-Ch-Ua-Platform": {`"Windows"`},
				}, http.MethodPost, "/sign-in", url.Values{"email": {in.Owner.Email}, "password": {password}})
				for _, c := range resp.Cookies() {
					in.Secrets.Learn(c.Value)
				}
				return resp.StatusCode
			}
			for _, tt := range []struct {
				address, password string
				status            int
			}{
				{origintest.London, password, http.StatusSeeOther}, {origintest.Linkoping, password, http.StatusSeeOther},
				{origintest.VPN, password, http.StatusSeeOther}, {origintest.Salvador, password, http.StatusForbidden},
				{origintest.Salvador, "not her password at all", http.StatusUnauthorized}, {origintest.Linkoping, "not her password at all", http.StatusUnauthorized},
				{origintest.Unlisted, password, http.StatusSeeOther},
			} {
				if got := tryFrom(tt.address, tt.password); got != tt.status {
					t.Errorf("from %s, password right %t: %d, want %d", tt.address, tt.password == password, got, tt.status)
				}
			}
			type event struct{ Category, Type, Details, Country, City, Address string }
			want := []event{
				{"success", "credentials_ok", "", "GB", "London", origintest.London},
				{"firewall_reported_success", "credentials_ok", "SE", "SE", "Linköping", origintest.Linkoping},
				{"firewall_reported_success", "credentials_ok", "", "NL", "Amsterdam", origintest.VPN},
				{"firewall_failed", "country_blocked", "BR", "BR", "Salvador", origintest.Salvador},
				{"firewall_failed", "country_blocked", "BR", "BR", "Salvador", origintest.Salvador},
				{"credentials_failed", "password_secret_bad", "", "SE", "Linköping", origintest.Linkoping},
				{"success", "credentials_ok", "", "", "", origintest.Unlisted},
			}
			var got []event
			for page, err := range reader(t, in).SignInAttempts(t.Context(), eventsapi.Position{}) {
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page.Items {
					g := event{Category: string(e.Category), Type: string(e.Type), Country: e.Country, Address: e.Client.IPAddress}
					if e.Details != nil {
						g.Details = e.Details.Value
					}
					if e.Location != nil {
						g.City = e.Location.City
					}
					got = append(got, g)
					if e.Client.AppName != "Holdfast console" || e.Client.PlatformName != "Chrome" || !strings.HasPrefix(e.Client.PlatformVersion, "129") || e.Client.OSName != "Windows" {
						t.Errorf("client %+v", e.Client)
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}
