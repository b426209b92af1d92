package seal

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	masterLen  = 32
	masterName = "master.key"
	masterHead = "holdfast master key 1"
)

// Master is the key-encryption key of an installation. It wraps the keyring and nothing else.
type Master struct {
	id  string
	key [masterLen]byte
}

// ID tells keys apart without telling anything about them.
func (m *Master) ID() string { return m.id }

// String is the ID.
func (m *Master) String() string { return "master key " + m.id }

// GoString is the ID, so that %#v does not print the key.
func (m *Master) GoString() string { return m.String() }

// ErrNoMaster says that there is no master key and that none was to be made.
var ErrNoMaster = errors.New("there is no master key yet")

// OpenMaster opens the master key that spec names:
//
//	file        master.key in the data folder
//	file:PATH   that file
//	env:NAME    the text of such a file, in an environment variable
//
// With create, a missing file is made; a missing variable is always an error.
func OpenMaster(spec, dataDir string, create bool, env ...string) (*Master, error) {
	kind, arg, _ := strings.Cut(spec, ":")
	switch {
	case kind == "file" || kind == "":
		if arg == "" {
			arg = filepath.Join(dataDir, masterName)
		}
		return openMasterFile(arg, create)
	case kind == "env" && arg != "":
		for _, kv := range env {
			if text, ok := strings.CutPrefix(kv, arg+"="); ok {
				m, err := parseMaster(text)
				if err != nil {
					return nil, fmt.Errorf("the variable %s does not hold a master key: %w", arg, err)
				}
				return m, nil
			}
		}
		return nil, fmt.Errorf("the variable %s, which should hold the master key, is not set: %w", arg, ErrNoMaster)
	}
	return nil, fmt.Errorf("master_key is %q; it must be file, file:PATH or env:NAME", spec)
}

func openMasterFile(path string, create bool) (*Master, error) {
	m, err := readMaster(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return m, err
	}
	if !create {
		return nil, fmt.Errorf("%s: %w", path, ErrNoMaster)
	}
	if err := makeMaster(path); err != nil {
		return nil, fmt.Errorf("make master key: %w", err)
	}
	return readMaster(path) // what another process made at the same time, if it was first
}

func readMaster(path string) (*Master, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("the master key %s has the mode %04o, so others can read it; it must be 0600: chmod 600 %s, and if others may have read it, think of its secrets as known", path, mode, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := parseMaster(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s is not a master key: %w; restore it from your copy", path, err)
	}
	return m, nil
}

// parseMaster reads "holdfast master key 1", an ID, and the key in base64, each on a line of its own;
// in a variable they may be separated by spaces.
func parseMaster(text string) (*Master, error) {
	text = strings.TrimSpace(text)
	rest, ok := strings.CutPrefix(text, masterHead)
	if !ok {
		return nil, fmt.Errorf("it does not begin with %q", masterHead)
	}
	fields := strings.Fields(rest)
	if len(fields) != 2 {
		return nil, fmt.Errorf("it has %d parts after the first line, not an ID and a key", len(fields))
	}
	key, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil || len(key) != masterLen {
		return nil, fmt.Errorf("its key is not %d bytes in base64", masterLen)
	}
	m := &Master{key: [masterLen]byte(key)}
	m.id = masterID(m.key)
	if m.id != fields[0] {
		return nil, errors.New("its ID does not belong to its key: it was changed or cut")
	}
	return m, nil
}

func masterID(key [masterLen]byte) string {
	sum := sha256.Sum256(append([]byte("holdfast master key id "), key[:]...))
	return hex.EncodeToString(sum[:6])
}

// makeMaster writes a new key beside its place and links it there, so that a crash leaves no half key
// and of two processes one wins.
func makeMaster(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var key [masterLen]byte
	_, _ = rand.Read(key[:])                  // never fails, says its documentation
	f, err := os.CreateTemp(dir, ".master-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	w := bufio.NewWriter(f)
	fmt.Fprintf(w, "%s\n%s\n%s\n", masterHead, masterID(key), base64.StdEncoding.EncodeToString(key[:]))
	if err := errors.Join(w.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
