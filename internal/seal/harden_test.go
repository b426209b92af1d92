package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"holdfast/internal/seal"
)

// verbs are those that fmt treats in ways of its own, and two that do not exist.
var verbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%t", "%e", "%p", "%T", "%z", "%!"}

// TestUnasked prints values in the ways in which fmt asks none of their methods.
func TestUnasked(t *testing.T) {
	const text = "correct horse"
	s := seal.NewSecret(text)
	type closed struct {
		s seal.Secret
		m map[string]seal.Secret
		l []seal.Secret
	}
	v := closed{s, map[string]seal.Secret{"k": s}, []seal.Secret{s}}
	for _, verb := range verbs {
		out := fmt.Sprintf(verb+verb+verb+verb, s, &s, v, &v)
		for _, form := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text), fmt.Sprint([]byte(text)), "99 111 114"} {
			if strings.Contains(out, form) {
				t.Errorf("%s prints %s", verb, out)
			}
		}
	}
}

func TestMasterNeverPrints(t *testing.T) {
	dir := t.TempDir()
	m, err := seal.OpenMaster("file", dir, true)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(dir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(file))
	key, err := base64.StdEncoding.DecodeString(words[len(words)-1])
	if err != nil {
		t.Fatal(err)
	}
	k, _, err := seal.NewKeyring(m)
	if err != nil {
		t.Fatal(err)
	}
	type nest struct {
		M  seal.Master
		p  *seal.Master
		v  seal.Master
		k  *seal.Keyring
		an any
	}
	v := nest{*m, m, *m, k, *m}
	var out bytes.Buffer
	for _, verb := range verbs {
		fmt.Fprintf(&out, verb+verb+verb+verb, m, *m, v, k)
	}
	for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(h).Info("m", "p", m, "m", *m, "v", v, "k", k)
	}
	if err := json.NewEncoder(&out).Encode(v); err != nil {
		t.Fatal(err)
	}
	list := func(b []byte) string { return strings.Trim(fmt.Sprint(b), "[]") }
	for _, form := range []string{string(key[:8]), fmt.Sprintf("%x", key[:8]), fmt.Sprintf("%X", key[:8]), list(key[:8]), words[len(words)-1][:10]} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the key is printed, as %q", form)
		}
	}
	if !strings.Contains(out.String(), m.ID()) {
		t.Error("the ID is not printed")
	}
}

// TestEveryTypo refuses each wrong character at each place, and each two characters swapped.
func TestEveryTypo(t *testing.T) {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
	s, _ := seal.NewCredential("hfs")
	text := s.Reveal()
	refused := func(b []byte) {
		t.Helper()
		if _, err := seal.ParseCredential("hfs", string(b)); err == nil && string(b) != text {
			t.Errorf("accepted %s for %s", b, text)
		}
	}
	for i := range text {
		for _, c := range []byte(alphabet) {
			b := []byte(text)
			b[i] = c
			refused(b)
		}
		for j := i + 1; j < len(text); j++ {
			b := []byte(text)
			b[i], b[j] = b[j], b[i]
			refused(b)
		}
	}
}

// TestProcessesAtOnce starts processes that all want to make the master key: they end with one.
func TestProcessesAtOnce(t *testing.T) {
	const variable = "HOLDFAST_TEST_MASTER_IN"
	if dir := os.Getenv(variable); dir != "" {
		m, err := seal.OpenMaster("file", dir, true)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("key:" + m.ID() + ";")
		return
	}
	for range 5 {
		dir := filepath.Join(t.TempDir(), "a", "b")
		outputs := make([]bytes.Buffer, 6)
		var all []*exec.Cmd
		for i := range outputs {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessesAtOnce$", "-test.v")
			cmd.Env = append(os.Environ(), variable+"="+dir)
			cmd.Stdout = &outputs[i]
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			all = append(all, cmd)
		}
		ids := map[string]int{}
		for i, cmd := range all {
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v: %s", err, &outputs[i])
			}
			_, rest, _ := strings.Cut(outputs[i].String(), "key:")
			id, _, _ := strings.Cut(rest, ";")
			ids[id]++
		}
		if len(ids) != 1 || ids[""] != 0 {
			t.Errorf("keys %v, want one", ids)
		}
		files, err := os.ReadDir(dir)
		if err != nil || len(files) != 1 {
			t.Errorf("%d files in the folder, want the key alone: %v", len(files), err)
		}
	}
}

func TestMasterSpec(t *testing.T) {
	const pasted = "cGFzdGVkIGtleSB0ZXh0IHRoYXQgbXVzdCBub3QgcHJpbnQ="
	for _, spec := range []string{pasted, "key:" + pasted, "file:", "env:", ":", "kms"} {
		_, err := seal.OpenMaster(spec, t.TempDir(), true)
		if err == nil || strings.Contains(err.Error(), pasted) || !strings.Contains(err.Error(), "env:NAME") {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

// TestMasterFileKinds refuses at once what is no regular file. A pipe would otherwise wait for ever.
func TestMasterFileKinds(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"folder": t.TempDir(), "pipe": pipe} {
		if _, err := seal.OpenMaster("file:"+path, "", true); err == nil || !strings.Contains(err.Error(), "regular") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A path somebody named whose folder is missing is a mistake, not a place to make a key.
	missing := filepath.Join(t.TempDir(), "not-mounted", "key")
	if _, err := seal.OpenMaster("file:"+missing, "", true); err == nil {
		t.Error("a key was made in a folder that did not exist")
	}
	if _, err := os.Stat(filepath.Dir(missing)); err == nil {
		t.Error("the folder was made")
	}
}
