package server_test

import (
	"encoding/json"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
	"holdfast/internal/seal"
	"holdfast/internal/store/storetest"
)

// Row 4: a credential in a URL is refused, also beside a valid one, and appears in no log.
func TestSecurityNoSecretsInURLs(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		token := at.Token(t, at.Credentials)
		secret := at.Credentials.Secret.Reveal()
		for i, query := range []string{
			"access_token=" + token, "ACCESS_TOKEN=" + token, "access%5Ftoken=" + token, "max_page_size=1&access_token=" + token, "token=" + token,
			"client_secret=" + secret, "password=" + secret, "access_token", "access_token=&x=y",
		} {
			for name, s := range map[string]sent{
				"users":       {path: at.UsersURL() + "?" + query},
				"users_valid": {path: at.UsersURL() + "?" + query, bearer: token},
				"suspend":     {method: "POST", path: at.person(at.Owner) + ":suspend?" + query, bearer: token},
				"token":       {path: tokenPath + "?" + query, form: grant()},
				"token_valid": {path: tokenPath + "?" + query, form: grant(), basic: [2]string{at.Credentials.Client.ID, secret}},
			} {
				s.from = address(i)
				e := at.oneEntry(t, func() {
					if a := at.send(t, s); a.Status != http.StatusBadRequest || !strings.Contains(a.Body, "URL") {
						t.Errorf("%s with ?%.20s…: %d %s", name, query, a.Status, a.Body)
					}
				})
				if e.Outcome != audit.Refused || e.Action != audit.AccessRefuse {
					t.Errorf("entry %+v", e)
				}
			}
		}
		if found := at.Leaks(t); len(found) > 0 {
			t.Errorf("%q", found)
		}
	})
}

// Row 9: 100,000 tokens: none twice, each of 43 characters of 62, all of them equally likely.
func TestSecurityTokenEntropy(t *testing.T) {
	const n, body = 100_000, 43
	seen := make(map[string]bool, n)
	var counts [body][256]int
	for range n {
		s, _ := seal.NewCredential(oauth.TokenPrefix)
		random, ok := strings.CutPrefix(s.Reveal(), "hft_")
		if !ok || len(random) != body+6 {
			t.Fatalf("a token of %d characters", len(s.Reveal()))
		}
		random = random[:body]
		if seen[random] {
			t.Fatal("the same token twice")
		}
		seen[random] = true
		for i := range body {
			counts[i][random[i]]++
		}
	}
	bits := 0.0
	for i := range body {
		letters, chi := 0, 0.0
		for c, count := range counts[i] {
			switch {
			case count == 0:
				continue
			case !strings.ContainsRune("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", rune(c)):
				t.Fatalf("a token with the character %q", rune(c))
			}
			letters++
			chi += (float64(count) - n/62.0) * (float64(count) - n/62.0) / (n / 62.0)
			p := float64(count) / n
			bits -= p * math.Log2(p)
		}
		// The first one carries what is left over of 256 bits. The others must be even: with 61 degrees of
		// freedom, 150 is exceeded by chance once in hundreds of millions of times.
		if i > 0 && (letters != 62 || chi > 150) {
			t.Errorf("position %d: %d different characters, chi-squared %.0f", i, letters, chi)
		}
	}
	if bits < 250 {
		t.Errorf("a token carries %.1f bits, want about 256", bits)
	}
	// What comes over the wire is of the same make.
	at := attacked(t, "sqlite", nil)
	for range 50 {
		if _, err := seal.ParseCredential(oauth.TokenPrefix, at.Token(t, at.Credentials)); err != nil {
			t.Error(err)
		}
	}
}

// Row 14: secrets and tokens are in no file, no table, no backup and no dump, while the server runs and
// after it stopped. (Every other test looks too, at its end.)
func TestSecurityStoredOnlyHashed(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		for range 3 {
			cred := at.NewApp(t, oauth.Scopes()...)
			token := at.Token(t, cred)
			at.send(t, sent{path: at.person(at.Owner), bearer: token})
			next, err := at.OAuth().Rotate(t.Context(), at.Account.ID, cred.Client.ID, time.Hour, storetest.By())
			if err != nil {
				t.Fatal(err)
			}
			at.Secrets.Learn(next.Secret.Reveal())
			s := asks(next, map[string][]string{"token": {token}})
			s.path = revokePath
			at.send(t, s)
		}
		if at.Place.Kind == "sqlite" { // a backup, as an operator makes one; it lands in the folder that is searched
			if _, err := at.Store().Jobs().SQL.ExecContext(t.Context(), "VACUUM INTO $1", filepath.Join(at.Place.Dir, "backup.db")); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(filepath.Join(at.Place.Dir, "holdfast.db-wal")); err != nil || info.Size() == 0 {
				t.Errorf("there is no write-ahead log to search: %v", err)
			}
		} else if dump := pgDump(t, at.Place.Database); dump != "" {
			found, err := at.Secrets.Find("pg_dump", strings.NewReader(dump))
			if err != nil || len(found) > 0 || !strings.Contains(dump, at.Credentials.Client.ID) {
				t.Errorf("%q %v; the dump has %d bytes", found, err, len(dump))
			}
		}
		for _, f := range at.Leaks(t) {
			t.Error(f)
		}
		at.Stop(t)
		for _, f := range at.Leaks(t) {
			t.Errorf("after it stopped: %s", f)
		}
	})
}

// pgDump is what pg_dump writes, or nothing where it is not installed.
func pgDump(t *testing.T, database string) string {
	t.Helper()
	program, err := exec.LookPath("pg_dump")
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump") // the pattern is well formed
		if len(found) == 0 {
			t.Log("pg_dump is not here; the tables are searched row by row only")
			return ""
		}
		program = found[len(found)-1]
	}
	out, err := exec.CommandContext(t.Context(), program, "--inserts", "--dbname", database).Output()
	if err != nil {
		t.Fatalf("pg_dump: %v", err)
	}
	return string(out)
}

// Row 15: after it was shown once, no answer and no record of an application has the secret.
func TestSecurityShownOnce(t *testing.T) {
	at := attacked(t, "sqlite", nil)
	cred := at.Credentials
	token := at.Token(t, cred)
	var all strings.Builder
	for path := range at.paths() {
		for _, method := range []string{"GET", "POST"} {
			for _, s := range []sent{{method: method, path: path, bearer: token}, {method: method, path: path, basic: [2]string{cred.Client.ID, cred.Secret.Reveal()}}} {
				if strings.HasSuffix(path, "/token") {
					continue // gives a new token, once
				}
				all.WriteString(at.send(t, s).Body)
			}
		}
	}
	one, err := at.Store().Client(t.Context(), at.Account.ID, cred.Client.ID)
	if err != nil {
		t.Fatal(err)
	}
	list, err := at.Store().Clients(t.Context(), at.Account.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{one, list, cred} { // the credentials themselves do not print either
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	found, err := at.Secrets.Find("an answer", strings.NewReader(all.String()))
	if err != nil || len(found) > 0 {
		t.Errorf("%q %v", found, err)
	}
	if !strings.Contains(all.String(), cred.Client.ID) {
		t.Error("nothing about the application was read at all")
	}
}

// TestSecuritySecretInTheWrongPlace: a credential that is put where it does not belong is in no log, no
// audit entry and no error either.
func TestSecuritySecretInTheWrongPlace(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		secret, token := at.Credentials.Secret.Reveal(), at.Token(t, at.Credentials)
		for i, s := range []sent{
			{path: tokenPath, form: grant(), basic: [2]string{secret, at.Credentials.Client.ID}},
			{path: tokenPath, form: map[string][]string{"client_id": {secret}, "client_secret": {secret}, "grant_type": {"client_credentials"}}},
			asks(at.Credentials, map[string][]string{"grant_type": {secret}}),
			asks(at.Credentials, map[string][]string{"grant_type": {"client_credentials"}, "scope": {token}}),
			asks(at.Credentials, map[string][]string{secret: {"1"}}),
			{path: "/v1/accounts/" + token + "/users", bearer: token},
			{path: at.UsersURL() + "/" + token, bearer: token},
			{path: at.UsersURL() + "?filter=" + token, bearer: token},
			{path: at.UsersURL() + "?page_token=" + token, bearer: token},
			{path: at.UsersURL() + "?max_page_size=" + token, bearer: token},
			{path: "/" + token, bearer: token},
			{method: "POST", path: at.person(at.Owner) + ":" + token, bearer: token},
			{path: at.person(at.Owner), bearer: secret},
			{path: at.person(at.Owner), basic: [2]string{at.Credentials.Client.ID, token}},
		} {
			s.from = address(i)
			if a := at.send(t, s); a.Status < 400 || a.Status >= 500 {
				t.Errorf("request %d: %d %s", i, a.Status, a.Body)
			}
			for _, f := range at.Leaks(t) {
				t.Errorf("after request %d: %s", i, f)
			}
		}
	})
}

// TestSecurityRotationOverlap: in the overlap both secrets work, after it only the new one, and a third
// is not possible.
func TestSecurityRotationOverlap(t *testing.T) {
	at := attacked(t, "sqlite", nil)
	old := at.Credentials
	rotate := func(overlap time.Duration) (oauth.Credentials, error) {
		c, err := at.OAuth().Rotate(t.Context(), at.Account.ID, old.Client.ID, overlap, storetest.By())
		at.Secrets.Learn(c.Secret.Reveal())
		return c, err
	}
	next, err := rotate(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rotate(time.Hour); err == nil {
		t.Error("three secrets are alive")
	}
	status := func(c oauth.Credentials) int { return at.send(t, asks(c, grant())).Status }
	if a, b := status(old), status(next); a != 200 || b != 200 {
		t.Errorf("in the overlap: old %d, new %d", a, b)
	}
	at.clock.Forward(time.Hour + time.Second)
	if a, b := status(old), status(next); a != 401 || b != 200 {
		t.Errorf("after the overlap: old %d, new %d", a, b)
	}
}
