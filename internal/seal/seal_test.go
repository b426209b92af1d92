package seal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"holdfast/internal/seal"
)

func TestSecretNeverPrints(t *testing.T) {
	const text = "correct horse battery"
	s := seal.NewSecret(text)
	type nest struct {
		S seal.Secret
		P *seal.Secret
		M map[string]seal.Secret
	}
	v := nest{S: s, P: &s, M: map[string]seal.Secret{"k": s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&out, verb+verb+verb, s, &s, v)
	}
	for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(h).Info("m", "s", s, "v", v, slog.Group("g", "s", s))
	}
	if err := json.NewEncoder(&out).Encode(v); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(&out, fmt.Errorf("wrap: %v", s))
	for _, form := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text), "correct"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the output holds %q:\n%s", form, &out)
		}
	}
	if s.Reveal() != text || !s.Equal(seal.NewSecret(text)) || s.Equal(seal.NewSecret("x")) {
		t.Error("the secret is not itself")
	}
}

func TestCredentials(t *testing.T) {
	form := regexp.MustCompile(`^hft_[0-9A-Za-z]{49}$`)
	seen := map[string]bool{}
	first := map[byte]int{}
	for range 100_000 {
		s, hash := seal.NewCredential("hft")
		text := s.Reveal()
		if !form.MatchString(text) || seen[text] {
			t.Fatalf("%q is not of the form, or came before", text)
		}
		seen[text] = true
		first[text[20]]++
		if len(seen) <= 1000 {
			if got, err := seal.ParseCredential("hft", text); err != nil || !got.Equal(hash) {
				t.Fatalf("parse: %v", err)
			}
		}
	}
	if len(first) != 62 {
		t.Errorf("in one place %d characters occur, want all 62", len(first))
	}
	for c, n := range first { // 1613 expected, standard deviation 40
		if n < 1300 || n > 1950 {
			t.Errorf("%c occurs %d times of 100000, far from 1613", c, n)
		}
	}
}

func TestParseCredentialRefuses(t *testing.T) {
	s, _ := seal.NewCredential("hft")
	text := s.Reveal()
	swapped := []byte(text)
	for i := 5; i < 40; i++ {
		if swapped[i] != swapped[i+1] {
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			break
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "other_prefix": "hfs" + text[3:], "short": text[:52], "long": text + "0", "swapped": string(swapped),
		"space": " " + text[1:], "not_ascii": text[:51] + "é", "upper": strings.ToUpper(text),
	} {
		if _, err := seal.ParseCredential("hft", bad); err == nil {
			t.Errorf("%s: accepted", name)
		} else if len(bad) > 10 && strings.Contains(err.Error(), bad[4:20]) {
			t.Errorf("%s: the error repeats the credential: %v", name, err)
		}
	}
	for i := 4; i < len(text); i++ {
		typo := []byte(text)
		typo[i] = "ab"[btoi(typo[i] == 'a')]
		if _, err := seal.ParseCredential("hft", string(typo)); err == nil {
			t.Errorf("a typo at %d is accepted", i)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestIDs(t *testing.T) {
	for range 1000 {
		if id := seal.NewID(); !seal.ValidID(id) {
			t.Fatalf("%q", id)
		}
	}
	for _, bad := range []string{"", "K7QWZP3M5XNB2RTYDHCVFAEJ4", "K7QWZP3M5XNB2RTYDHCVFAEJ4UU", "k7qwzp3m5xnb2rtydhcvfaej4u", "K7QWZP3M5XNB2RTYDHCVFAEJ41", "K7QWZP3M5XNB2RTYDHCVFAEJ4\x00"} {
		if seal.ValidID(bad) {
			t.Errorf("%q is valid", bad)
		}
	}
}

func TestMasterFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(dir, "master.key")
	if _, err := seal.OpenMaster("file", dir, false); !errors.Is(err, seal.ErrNoMaster) {
		t.Fatalf("without create: %v", err)
	}
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids { // as when servers start at once
		wg.Go(func() {
			m, err := seal.OpenMaster("file", dir, true)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = m.ID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] || id == "" {
			t.Fatalf("keys differ: %v", ids)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files in the folder, want the key alone", len(files))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := seal.OpenMaster("env:KEY", "", false, "KEY="+string(text)); err != nil || m.ID() != ids[0] {
		t.Errorf("from a variable: %v", err)
	}
	if m, err := seal.OpenMaster("env:KEY", "", false, "KEY="+strings.ReplaceAll(string(text), "\n", " ")); err != nil || m.ID() != ids[0] {
		t.Errorf("from a variable on one line: %v", err)
	}
	words := strings.Fields(string(text))
	key := words[len(words)-1]
	for name, change := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"readable_by_group": {string(text), 0o640, "chmod 600"},
		"readable_by_all":   {string(text), 0o604, "0604"},
		"empty":             {"", 0o600, "does not begin"},
		"cut":               {string(text[:len(text)-9]), 0o600, "32 bytes"},
		"other_key":         {strings.Replace(string(text), key[:4], "AAAA", 1), 0o600, "ID does not belong"},
		"something_else":    {"-----BEGIN PRIVATE KEY-----\n", 0o600, "does not begin"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(change.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, change.mode); err != nil {
				t.Fatal(err)
			}
			_, err := seal.OpenMaster("file", dir, true)
			if err == nil || !strings.Contains(err.Error(), change.want) || strings.Contains(err.Error(), key[:8]) {
				t.Errorf("error is %v, want one with %q and without the key", err, change.want)
			}
		})
	}
}

func master(t testing.TB) *seal.Master {
	t.Helper()
	m, err := seal.OpenMaster("file", t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestKeyring(t *testing.T) {
	m := master(t)
	k, blob, err := seal.NewKeyring(m)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := k.Seal([]byte("value"), "item", "A", "1")
	if err != nil {
		t.Fatal(err)
	}
	mark := k.MAC("page", []byte("ab"), []byte("c"))
	again, err := seal.OpenKeyring(m, blob)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := again.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	blob2, err := rotated.Wrap(m)
	if err != nil {
		t.Fatal(err)
	}
	reopened, err := seal.OpenKeyring(m, blob2)
	if err != nil {
		t.Fatal(err)
	}
	for name, ring := range map[string]*seal.Keyring{"made": k, "opened": again, "rotated": rotated, "rotated_and_opened": reopened} {
		t.Run(name, func(t *testing.T) {
			if v, err := ring.Open(sealed, "item", "A", "1"); err != nil || string(v) != "value" {
				t.Errorf("open: %v", err)
			}
			for _, other := range [][]string{{"A", "2"}, {"A1"}, {"", "A", "1"}} {
				if _, err := ring.Open(sealed, "item", other...); err == nil {
					t.Errorf("opens for %q", other)
				}
			}
			if _, err := ring.Open(sealed, "other", "A", "1"); err == nil {
				t.Error("opens for another purpose")
			}
			if !ring.VerifyMAC(mark, "page", []byte("ab"), []byte("c")) || !ring.VerifyMAC(mark[:16], "page", []byte("ab"), []byte("c")) {
				t.Error("the mark is not good")
			}
			for _, parts := range [][][]byte{{[]byte("a"), []byte("bc")}, {[]byte("abc")}, {[]byte("ab"), []byte("c"), nil}} {
				if ring.VerifyMAC(mark, "page", parts...) {
					t.Errorf("the mark is good for %q", parts)
				}
			}
			if ring.VerifyMAC(mark[:8], "page", []byte("ab"), []byte("c")) || ring.VerifyMAC(nil, "page", []byte("ab"), []byte("c")) {
				t.Error("a stub of a mark is good")
			}
		})
	}
	if bytes.Equal(rotated.MAC("page", []byte("ab"), []byte("c")), mark) {
		t.Error("after rotating the old key marks")
	}
	if _, err := seal.OpenKeyring(master(t), blob); err == nil || !strings.Contains(err.Error(), m.ID()) {
		t.Errorf("another master key opens it, or is not told which: %v", err)
	}
	for i := range blob {
		bad := bytes.Clone(blob)
		bad[i] ^= 1
		if _, err := seal.OpenKeyring(m, bad); err == nil && !sameContent(bad, blob) {
			t.Errorf("the keyring opens with byte %d changed", i)
		}
	}
}

// sameContent reports whether two keyrings differ in nothing but spelling, such as the unused bits at
// the end of base64.
func sameContent(a, b []byte) bool {
	type content struct{ Sealing, Marking []byte }
	var x, y content
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && bytes.Equal(x.Sealing, y.Sealing) && bytes.Equal(x.Marking, y.Marking)
}

func FuzzParseCredential(f *testing.F) {
	s, _ := seal.NewCredential("hfs")
	f.Add(s.Reveal())
	f.Add("hfs_")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := seal.ParseCredential("hfs", text); err == nil && len(text) != 53 {
			t.Errorf("accepted %q", text)
		}
	})
}

func BenchmarkMAC(b *testing.B) {
	k, _, err := seal.NewKeyring(master(b))
	if err != nil {
		b.Fatal(err)
	}
	part := bytes.Repeat([]byte("x"), 64)
	for b.Loop() {
		k.MAC("audit head", part)
	}
}

func BenchmarkParseCredential(b *testing.B) {
	s, _ := seal.NewCredential("hfs")
	for b.Loop() {
		if _, err := seal.ParseCredential("hfs", s.Reveal()); err != nil {
			b.Fatal(err)
		}
	}
}
