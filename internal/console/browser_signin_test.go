package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"

	"holdfast/internal/directory"
	"holdfast/internal/server/browsertest"
	"holdfast/internal/signin"
)

// Words of pages, by which the tests know where they are.
const (
	onSignIn  = "Sign in to Holdfast"
	onProfile = "How you sign in, and where you are signed in."
	onConfirm = "Confirm that it is you"
	refused   = "The email address, the password or the code is wrong."
)

// makePasskey adds a passkey on the profile page; the session is fresh.
func makePasskey(tab *browsertest.Tab, name string) {
	tab.Go("/profile")
	tab.Click("link", "Add a passkey")
	tab.Fill("Name", name)
	tab.Click("button", "Add passkey")
	tab.Wait("The passkey is added.")
	tab.MustHave(name)
}

// leave signs out with the button of the profile page.
func leave(tab *browsertest.Tab) {
	tab.Go("/profile")
	tab.Click("button", "Sign out")
	tab.Wait("You are signed out.")
}

// TestBrowserPasskey makes a passkey, signs in with it, confirms with it, and is refused when the device
// does not recognise its person.
func TestBrowserPasskey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tab := h.signedIn(t, h.Owner)
	device := tab.Authenticator()
	makePasskey(tab, "Work laptop")

	device.SetPresent(false) // else it answers the offer in the e-mail field at once
	leave(tab)
	tab.Go("/sign-in?next=" + url.QueryEscape("/profile?tab=1"))
	device.SetPresent(true)
	device.SetUserVerified(false)
	tab.Click("button", "Sign in with a passkey")
	tab.Wait("The passkey was not used, or it took too long.")
	if token(tab) != "" {
		t.Error("signed in by a device that does not recognise its person")
	}
	device.SetUserVerified(true)
	tab.TabTo("button", "Sign in with a passkey")
	tab.Press("Enter")
	tab.Wait(onProfile)
	tab.MustHave("Work laptop")
	if got, want := h.path(tab), "/profile?tab=1"; got != want {
		t.Errorf("after signing in at %s, want %s", got, want)
	}

	h.clock.Forward(6 * time.Minute)
	tab.Click("link", "Change password")
	tab.Wait(onConfirm)
	tab.Click("button", "Confirm with a passkey")
	tab.Wait("The old password stops working")
}

// TestBrowserPasskeyOffered signs in with what the browser offers in the e-mail field, without a button.
func TestBrowserPasskeyOffered(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tab := h.signedIn(t, h.Owner)
	device := tab.Authenticator()
	makePasskey(tab, "Work laptop")
	device.SetPresent(false)
	leave(tab)
	device.SetPresent(true)
	tab.Go("/sign-in?next=/profile")
	tab.Wait(onProfile)
}

// TestBrowserPasskeyOfAnother lets the owner of one account try everything with her passkey to be the
// owner of another.
func TestBrowserPasskeyOfAnother(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, olga, err := h.Store().CreateAccount(t.Context(), directory.NewAccount{Name: "Elsewhere", OwnerEmail: "olga@elsewhere.example", OwnerName: "Olga"}, operator())
	if err != nil {
		t.Fatal(err)
	}
	h.givePassword(t, olga)

	victim := h.signedIn(t, h.Owner)
	victims := victim.Authenticator()
	makePasskey(victim, "Work laptop")
	wanted := victims.Passkeys()[0]

	thief := h.signedIn(t, olga)
	device := thief.Authenticator()
	makePasskey(thief, "Thief's key")
	own := *device.Passkeys()[0]
	device.SetPresent(false)
	leave(thief)

	// It opens her own account, whatever page she asks for.
	thief.Go("/sign-in?next=/integrations/" + h.Credentials.Client.ID)
	device.SetPresent(true)
	thief.Click("button", "Sign in with a passkey")
	thief.Wait("There is nothing here")
	thief.Go("/profile")
	thief.MustHave("Elsewhere", "Olga")
	thief.MustNotHave(h.Account.Name, h.Owner.Email)

	// It confirms no session of another person.
	h.seat(t, thief, h.Owner)
	h.clock.Forward(6 * time.Minute)
	thief.Go("/profile/password")
	thief.Wait(onConfirm)
	thief.Click("button", "Confirm with a passkey")
	thief.Wait("The passkey was not accepted.")
	thief.ClearCookies()
	device.Remove()

	// It signs nobody in whom it says it belongs to; nor does her key under the name of another passkey.
	for name, forged := range map[string]browsertest.Passkey{
		"other_person":  {CredentialID: own.CredentialID, PrivateKey: own.PrivateKey, UserHandle: wanted.UserHandle},
		"other_passkey": {CredentialID: wanted.CredentialID, PrivateKey: own.PrivateKey, UserHandle: wanted.UserHandle},
	} {
		forged.IsResidentCredential, forged.RpID, forged.SignCount = true, "localhost", 1000
		device := thief.Authenticator()
		device.SetPresent(false)
		device.Add(&forged)
		thief.Go("/sign-in?next=/profile")
		device.SetPresent(true)
		thief.Click("button", "Sign in with a passkey")
		thief.Wait("The passkey was not accepted.")
		if token(thief) != "" {
			t.Errorf("%s: signed in", name)
		}
		device.Remove()
	}
}

// TestBrowserPassword signs in with a password; sets one-time codes up, and needs one from then on; each
// code, and each recovery code, works once.
func TestBrowserPassword(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tab := h.open(t)
	tab.Go("/sign-in?next=/profile")
	for name, try := range map[string][2]string{
		"unknown_email":  {"nobody@example.org", password},
		"wrong_password": {h.Owner.Email, "a lantern that nobody lit"},
	} {
		enter(tab, try[0], try[1])
		tab.Wait(refused)
		got := []string{tab.Text("alert", ""), tab.Value("Email"), tab.Value("Password"), tab.Focused()}
		if diff := cmp.Diff([]string{refused, try[0], "", `textbox "Password"`}, got); diff != "" {
			t.Errorf("%s: alert, email, password and focus (-want +got):\n%s", name, diff)
		}
	}
	enter(tab, strings.ToUpper(h.Owner.Email), password)
	tab.Wait(onProfile)

	tab.Click("link", "Set up one-time codes")
	secret := strings.ReplaceAll(tab.Text("status", "Secret"), " ", "")
	code := h.code(t, secret)
	tab.Fill("Code", code)
	tab.Click("button", "Turn on one-time codes")
	tab.Wait("Shown only now")
	var recovery []string
	tab.Eval(`[...document.querySelectorAll("#recovery-codes code")].map((e) => e.textContent)`, &recovery)
	if len(recovery) != 10 {
		t.Fatalf("%d recovery codes, want 10", len(recovery))
	}
	tab.Click("link", "I have kept them")
	tab.Wait(onProfile)
	if tab.Back(); tab.Has(recovery[0]) {
		t.Error("recovery codes are shown again after going back")
	}

	pass := func() { // to the page for the code
		leave(tab)
		tab.Go("/sign-in?next=/profile")
		enter(tab, h.Owner.Email, password)
		tab.Wait("Your password is right. One more step.")
		if token(tab) != "" {
			t.Error("signed in before the code")
		}
	}
	answer := func(code, text string) {
		tab.Fill("Code", code)
		tab.Click("button", "Sign in")
		tab.Wait(text)
	}
	pass()
	answer(code, refused) // which turned the codes on
	h.clock.Forward(30 * time.Second)
	code = h.code(t, secret)
	answer(code, onProfile)
	pass()
	answer(code, refused)
	answer(recovery[3], onProfile)
	tab.MustHave("9 codes are left.")
	pass()
	answer(recovery[3], refused)
}

// code is what an authenticator shows, by the clock of the house.
func (h *house) code(t *testing.T, secret string) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, h.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// link is a new set-up link of a person; the earlier ones are void.
func (h *house) link(t *testing.T, u directory.User) string {
	t.Helper()
	secret, hash := directory.NewLink()
	err := h.Store().ReplaceSetupLink(t.Context(), u.AccountID, u.ID, directory.SetupLink{Hash: hash, ExpiresAt: h.clock.Now().Add(directory.LinkLife)}, operator())
	if err != nil {
		t.Fatal(err)
	}
	return secret.Reveal()
}

// TestBrowserSetUp follows set-up links: to a password, and to a passkey. A link leaves the address bar
// at once, and works once.
func TestBrowserSetUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	secret, hash := directory.NewLink()
	_, olga, err := h.Store().CreateAccount(t.Context(), directory.NewAccount{
		Name: "Elsewhere", OwnerEmail: "olga@elsewhere.example", OwnerName: "Olga", SetupLink: hash, SetupExpires: h.clock.Now().Add(directory.LinkLife),
	}, operator())
	if err != nil {
		t.Fatal(err)
	}
	first := secret.Reveal()
	open := func(tab *browsertest.Tab, link string) {
		tab.Go("/setup#" + link)
		tab.Wait("Set up signing in")
		var history string // the address that is shown, and those to which one can go back
		tab.Eval(`[location.href, ...navigation.entries().map((e) => e.url)].join(" ")`, &history)
		if strings.Contains(history, link) || !strings.HasPrefix(history, h.ConsoleURL()+"/setup ") {
			t.Errorf("the addresses are %s; want that of the page, without the link", strings.ReplaceAll(history, link, "<the link>"))
		}
	}
	over := func(tab *browsertest.Tab, link string) {
		open(tab, link)
		tab.Wait("This link was used already or is too old.")
		tab.MustNotHave("Olga", olga.Email)
		if h.alive(t, token(tab)) {
			t.Error("signed in by a link that is over")
		}
	}

	tab := h.open(t)
	open(tab, first)
	tab.MustHave("Your account is Elsewhere.", "Olga", olga.Email)
	tab.Fill("Password", "password1234")
	tab.Click("button", "Set password")
	tab.Wait("Choose how you will sign in.") // again: the link is still good
	tab.Fill("Password", password)
	tab.Click("button", "Set password")
	tab.Wait("You are signed in")
	over(h.open(t), first)

	second := h.link(t, olga)
	other := h.open(t)
	other.Authenticator()
	open(other, second)
	other.Click("button", "Create a passkey")
	other.Wait("You are signed in")
	tab.Go("/profile") // her session from before has ended
	tab.Wait(onSignIn)
	over(tab, second)
	for _, link := range []string{first, second} {
		h.Secrets.Learn(link) // from now on it may be found nowhere
	}
}

// TestBrowserSSO signs in at a real OpenID provider; whom the provider does not vouch for as it must, and
// whom the account does not know, stays out.
func TestBrowserSSO(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	provider := browsertest.Provider(t, h.ConsoleURL()+signin.SSOPath)
	mira := h.person(t, "Mira")
	policy := signin.DefaultPolicy()
	policy.SingleSignOn, policy.Issuer, policy.ClientID = true, provider.Issuer, provider.ClientID
	if err := h.SignIn().SetPolicy(t.Context(), h.Account.ID, policy, provider.ClientSecret, operator()); err != nil {
		t.Fatal(err)
	}
	tab := h.open(t)
	tests := []struct {
		name    string
		account string
		wrong   browsertest.Misbehaviour
		text    string
	}{
		{"unverified", mira.Email, browsertest.Misbehaviour{Claims: map[string]any{"email_verified": false}}, "Single sign-on did not let you in."},
		{"known", mira.Email, browsertest.Misbehaviour{}, onProfile},
		{"unknown", "nobody@example.org", browsertest.Misbehaviour{}, "Single sign-on did not let you in."},
		{"nonce", mira.Email, browsertest.Misbehaviour{Claims: map[string]any{"nonce": "another"}}, "Single sign-on did not let you in."},
		{"forged", mira.Email, browsertest.Misbehaviour{Forge: true}, "Single sign-on did not let you in."},
		{"denied", mira.Email, browsertest.Misbehaviour{Deny: true}, "Single sign-on did not let you in."},
		{"known_again", mira.Email, browsertest.Misbehaviour{}, onProfile},
	}
	for _, tt := range tests {
		provider.Misbehave(tt.wrong)
		tab.ClearCookies() // the provider's, too
		tab.Go("/sign-in?next=/profile")
		tab.Click("link", "Continue with single sign-on of "+h.Account.Name)
		provider.SignIn(tab, tt.account)
		tab.Wait(tt.text)
		if in := token(tab) != ""; in != (tt.text == onProfile) {
			t.Errorf("%s: signed in: %v", tt.name, in)
		}
		if tt.text == onProfile {
			tab.MustHave(mira.Email)
		}
	}

	// It confirms a session, too; the provider asks again who she is.
	h.stale(t, mira)
	tab.Click("link", "Add a passkey")
	tab.Wait(onConfirm)
	tab.Click("link", "Continue with single sign-on of "+h.Account.Name)
	provider.SignIn(tab, h.Owner.Email)
	tab.Wait("Single sign-on did not let you in.")
	tab.Click("link", "Continue with single sign-on of "+h.Account.Name)
	provider.SignIn(tab, mira.Email)
	tab.Wait("Your browser asks which device or password manager keeps the passkey.")
}

// TestBrowserLanguages signs in in German, with the keyboard alone, and without scripts.
func TestBrowserLanguages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tab := h.open(t)
	tab.Go("/sign-in?next=/profile")
	tab.Click("button", "Deutsch")
	tab.Wait("Bei Holdfast anmelden")
	tab.TabTo("textbox", "E-Mail-Adresse")
	tab.Type(h.Owner.Email)
	tab.Press("Tab")
	tab.Type(password)
	tab.TabTo("button", "Anmelden")
	tab.Press("Enter")
	tab.Wait("Profil und Sicherheit")
	if got := h.path(tab); got != "/profile" {
		t.Errorf("after signing in at %s, want /profile", got)
	}
	var lang string
	if tab.Eval("document.documentElement.lang", &lang); lang != "de" {
		t.Errorf("the profile is in %q, want de", lang)
	}

	german := h.open(t, browsertest.Lang("de-AT,de,en"), browsertest.NoScript())
	german.Go("/sign-in?next=/profile")
	german.MustHave("Bei Holdfast anmelden")
	german.Fill("E-Mail-Adresse", h.Owner.Email)
	german.Fill("Passwort", password)
	german.Click("button", "Anmelden")
	german.Wait("Profil und Sicherheit")
	if token(german) == "" || german.Status() != http.StatusOK {
		t.Errorf("without scripts: status %d, session %v", german.Status(), token(german) != "")
	}
}
