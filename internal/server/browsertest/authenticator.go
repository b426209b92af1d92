package browsertest

import (
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
)

// Authenticator is a pretended authenticator in the machine of the person, as a fingerprint reader:
// it holds passkeys and answers at once, without asking anybody.
type Authenticator struct {
	tab *Tab
	id  webauthn.AuthenticatorID
}

// Authenticator adds an authenticator to the tab (not to a second one): CTAP2, internal, with
// discoverable credentials and user verification, which succeeds.
func (tab *Tab) Authenticator() *Authenticator {
	tab.t.Helper()
	if err := do(tab, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		tab.fatalf("authenticator: %v", err)
	}
	added, err := call(tab, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21,
		Transport:      webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
	if err != nil {
		tab.fatalf("authenticator: %v", err)
	}
	return &Authenticator{tab, added.AuthenticatorID}
}

// SetUserVerified says whether the person is recognised from now on.
func (a *Authenticator) SetUserVerified(recognised bool) {
	a.tab.t.Helper()
	a.done(do(a.tab, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: a.id, IsUserVerified: recognised}))
}

// SetPresent says whether somebody touches the authenticator when it asks. If nobody does, the page
// waits until its own time is over.
func (a *Authenticator) SetPresent(present bool) {
	a.tab.t.Helper()
	a.done(do(a.tab, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: a.id, Enabled: present}))
}

// Passkey is a credential that the authenticator holds. Its private key can be put into another one
// with [Authenticator.Add].
type Passkey = webauthn.Credential

// Passkeys are what it holds.
func (a *Authenticator) Passkeys() []*Passkey {
	a.tab.t.Helper()
	r, err := call(a.tab, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: a.id})
	a.done(err)
	return r.Credentials
}

// Add puts a passkey in: the same person on another machine, or a thief.
func (a *Authenticator) Add(p *Passkey) {
	a.tab.t.Helper()
	// By hand, since the library's form names a kind of key that a Chromium refuses which lacks it.
	add := cdp.Command[map[string]any, cdp.Empty]{Method: webauthn.CommandAddCredential}
	a.done(do(a.tab, add, map[string]any{"authenticatorId": a.id, "credential": map[string]any{
		"credentialId": p.CredentialID, "isResidentCredential": p.IsResidentCredential, "rpId": p.RpID, "privateKey": p.PrivateKey,
		"userHandle": p.UserHandle, "signCount": p.SignCount, "userName": p.UserName, "userDisplayName": p.UserDisplayName,
	}}))
}

// Remove takes the authenticator away, with all it holds.
func (a *Authenticator) Remove() {
	a.tab.t.Helper()
	a.done(do(a.tab, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: a.id}))
}

func (a *Authenticator) done(err error) {
	a.tab.t.Helper()
	if err != nil {
		a.tab.fatalf("authenticator: %v", err)
	}
}
