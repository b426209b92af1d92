package seal

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

const (
	masterLen  = 32
	masterName = "master.key"
	masterHead = "holdfast master key 1"
	masterNote = "# Whoever has this key can open and forge what the database seals. Keep a copy apart from the database's."
)

// Master is the key-encryption key of an installation. It wraps the keyring and nothing else.
type Master struct {
	id   string
	wrap tink.AEAD // AES-256-GCM
}

// ID tells keys apart without telling anything about them.
func (m Master) ID() string { return m.id }

// String is the ID.
func (m Master) String() string { return "master key " + m.id }

// GoString is the ID, so that %#v does not print the key.
func (m Master) GoString() string { return m.String() }

// Format is the ID, whatever the verb.
func (m Master) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, m.String()) }

// LogValue is the ID.
func (m Master) LogValue() slog.Value { return slog.StringValue(m.String()) }

// ErrNoMaster says that there is no master key and that none was to be made.
var ErrNoMaster = errors.New("there is no master key yet")

// OpenMaster opens the master key that spec names:
//
//	file        master.key in the data folder
//	file:PATH   that file
//	env:NAME    the text of such a file, in the variable NAME of env, which is as os.Environ
//
// With create, a missing file is made, and with "file" a missing data folder too; otherwise a missing
// file is ErrNoMaster. A missing variable always is: nobody could keep what was made.
//
// A file that its group or others may use is refused, as is one that is cut, changed, or of something
// else. No error repeats what was read, nor a spec that is none of these: it may be the key itself.
func OpenMaster(spec, dataDir string, create bool, env ...string) (*Master, error) {
	kind, arg, _ := strings.Cut(spec, ":")
	switch {
	case spec == "file" || spec == "":
		return openMasterFile(filepath.Join(dataDir, masterName), create, true)
	case kind == "file" && arg != "":
		return openMasterFile(arg, create, false)
	case kind == "env" && arg != "":
		return masterFromVariable(arg, env)
	}
	return nil, errors.New("master_key is something else; it must be file, file:PATH or env:NAME")
}

func masterFromVariable(name string, env []string) (*Master, error) {
	for _, kv := range env {
		text, ok := strings.CutPrefix(kv, name+"=")
		if !ok {
			continue
		}
		m, err := parseMaster(text)
		if err != nil {
			return nil, fmt.Errorf("the variable %s does not hold a master key: %w; set it to the text of a %s file", name, err, masterName)
		}
		return m, nil
	}
	return nil, fmt.Errorf("the variable %s, which should hold the text of a %s file, is not set: %w", name, masterName, ErrNoMaster)
}

// parseMaster reads lines that begin with #, then masterHead, the ID and the key in base64, each on a
// line of its own. In a variable all may be on one line.
func parseMaster(text string) (*Master, error) {
	before, rest, ok := strings.Cut(text, masterHead)
	if before = strings.TrimSpace(before); !ok || before != "" && before[0] != '#' {
		return nil, fmt.Errorf("it does not begin with %q", masterHead)
	}
	fields := strings.Fields(rest)
	if len(fields) != 2 {
		return nil, fmt.Errorf("it has %d words after %q, not an ID and a key: it was cut or changed", len(fields), masterHead)
	}
	key, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil || len(key) != masterLen {
		return nil, fmt.Errorf("its key is not %d bytes in base64: it was cut or changed", masterLen)
	}
	id := masterID(key)
	if id != fields[0] {
		return nil, errors.New("its ID does not belong to its key: it was changed")
	}
	wrap, err := subtle.NewAESGCM(key)
	if err != nil {
		return nil, fmt.Errorf("use the key: %w", err)
	}
	return &Master{id: id, wrap: wrap}, nil
}

// masterText is what parseMaster reads.
func masterText(key []byte) string {
	return strings.Join([]string{masterNote, masterHead, masterID(key), base64.StdEncoding.EncodeToString(key), ""}, "\n")
}

// masterID is made of the key, so that it also shows whether the key is whole.
func masterID(key []byte) string {
	sum := sha256.Sum256(append([]byte("holdfast master key id "), key...))
	return hex.EncodeToString(sum[:6])
}
