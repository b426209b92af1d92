package seal

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Keyring seals values and marks texts. It is safe for concurrent use.
type Keyring struct {
	sealing *keyset.Handle // AES-256-GCM
	marking *keyset.Handle // HMAC-SHA256, as a pseudo-random function: its output carries no key ID
	aead    tink.AEAD
	prf     *prf.Set
}

// stored is a keyring as the database keeps it.
type stored struct {
	Version int    `json:"version"`
	Master  string `json:"master"` // ID of the master key that wraps it
	Sealing []byte `json:"sealing"`
	Marking []byte `json:"marking"`
}

// NewKeyring makes a keyring, and what to store of it.
func NewKeyring(m *Master) (*Keyring, []byte, error) {
	k := &Keyring{}
	var err error
	if k.sealing, err = keyset.NewHandle(aead.AES256GCMKeyTemplate()); err != nil {
		return nil, nil, fmt.Errorf("make sealing key: %w", err)
	}
	if k.marking, err = keyset.NewHandle(prf.HMACSHA256PRFKeyTemplate()); err != nil {
		return nil, nil, fmt.Errorf("make marking key: %w", err)
	}
	if err := k.ready(); err != nil {
		return nil, nil, err
	}
	blob, err := k.Wrap(m)
	return k, blob, err
}

// OpenKeyring opens what NewKeyring or Wrap gave to store. A keyring of another master key is refused,
// naming both.
func OpenKeyring(m *Master, blob []byte) (*Keyring, error) {
	var s stored
	if err := json.Unmarshal(blob, &s); err != nil || s.Version != 1 {
		return nil, errors.New("the stored keyring is not of a form that this version knows")
	}
	if s.Master != m.id {
		return nil, fmt.Errorf("the database was made with the master key %s, but this is %s; give the server the master key that belongs to this database", s.Master, m.id)
	}
	k := &Keyring{}
	var err error
	if k.sealing, err = unwrap(m.wrap, s.Sealing, "sealing"); err != nil {
		return nil, err
	}
	if k.marking, err = unwrap(m.wrap, s.Marking, "marking"); err != nil {
		return nil, err
	}
	if err := k.ready(); err != nil {
		return nil, err
	}
	return k, nil
}

// Wrap is what to store of the keyring, wrapped by the master key. With another master key than before
// it rewraps: the keys stay, the old master key opens the old text only.
func (k *Keyring) Wrap(m *Master) ([]byte, error) {
	s := stored{Version: 1, Master: m.id}
	for _, part := range []struct {
		name string
		keys *keyset.Handle
		to   *[]byte
	}{{"sealing", k.sealing, &s.Sealing}, {"marking", k.marking, &s.Marking}} {
		var buf bytes.Buffer
		if err := part.keys.WriteWithAssociatedData(keyset.NewBinaryWriter(&buf), m.wrap, wrapData(part.name)); err != nil {
			return nil, fmt.Errorf("wrap %s keys: %w", part.name, err)
		}
		*part.to = buf.Bytes()
	}
	return json.Marshal(s)
}

func unwrap(wrap tink.AEAD, b []byte, name string) (*keyset.Handle, error) {
	h, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(b)), wrap, wrapData(name))
	if err != nil {
		return nil, fmt.Errorf("the stored %s keys do not open with the master key; they were changed: %w", name, err)
	}
	return h, nil
}

func wrapData(name string) []byte { return []byte("holdfast keyring 1 " + name) }

func (k *Keyring) ready() error {
	var err error
	if k.aead, err = aead.New(k.sealing); err != nil {
		return fmt.Errorf("use sealing keys: %w", err)
	}
	if k.prf, err = prf.NewPRFSet(k.marking); err != nil {
		return fmt.Errorf("use marking keys: %w", err)
	}
	return nil
}

// Rotate returns a keyring that seals and marks with new keys, and still opens and verifies with the
// old ones. It is worth nothing until what Wrap gives is stored.
func (k *Keyring) Rotate() (*Keyring, error) {
	next := &Keyring{}
	var err error
	for _, part := range []struct {
		from *keyset.Handle
		to   **keyset.Handle
		kind func() *tinkpb.KeyTemplate
	}{{k.sealing, &next.sealing, aead.AES256GCMKeyTemplate}, {k.marking, &next.marking, prf.HMACSHA256PRFKeyTemplate}} {
		m := keyset.NewManagerFromHandle(part.from)
		id, err := m.Add(part.kind())
		if err != nil {
			return nil, fmt.Errorf("add key: %w", err)
		}
		if err := m.SetPrimary(id); err != nil {
			return nil, fmt.Errorf("use new key: %w", err)
		}
		if *part.to, err = m.Handle(); err != nil {
			return nil, fmt.Errorf("use new key: %w", err)
		}
	}
	if err = next.ready(); err != nil {
		return nil, err
	}
	return next, nil
}

// Seal encrypts the value for one identity, such as "vault item field" and the item's ID: it opens for
// no other.
func (k *Keyring) Seal(value []byte, purpose string, identity ...string) ([]byte, error) {
	sealed, err := k.aead.Encrypt(value, identify(purpose, identity))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", purpose, err)
	}
	return sealed, nil
}

// Open decrypts what Seal gave for the same identity.
func (k *Keyring) Open(sealed []byte, purpose string, identity ...string) ([]byte, error) {
	value, err := k.aead.Decrypt(sealed, identify(purpose, identity))
	if err != nil {
		return nil, fmt.Errorf("open %s: it was changed, moved, or sealed by another installation: %w", purpose, err)
	}
	return value, nil
}

func identify(purpose string, identity []string) []byte {
	parts := make([][]byte, len(identity))
	for i, s := range identity {
		parts[i] = []byte(s)
	}
	return encode(purpose, parts)
}

const markLen = 32

// MAC marks the parts for a purpose: 32 bytes that nobody without the keyring can make. The same parts
// cut differently, or for another purpose, have another mark.
func (k *Keyring) MAC(purpose string, parts ...[]byte) []byte {
	mark, err := k.prf.ComputePrimaryPRF(encode(purpose, parts), markLen)
	if err != nil { // only for lengths over 32
		return nil
	}
	return mark
}

// VerifyMAC reports whether a key of the ring, the newest or an older one, made the mark, or the mark of
// which it is the beginning (at least 16 bytes).
func (k *Keyring) VerifyMAC(mark []byte, purpose string, parts ...[]byte) bool {
	if len(mark) < 16 || len(mark) > markLen {
		return false
	}
	text := encode(purpose, parts)
	for _, p := range k.prf.PRFs {
		if want, err := p.ComputePRF(text, markLen); err == nil && hmac.Equal(mark, want[:len(mark)]) {
			return true
		}
	}
	return false
}

// encode puts each part behind its length, so that no two lists of parts look alike.
func encode(purpose string, parts [][]byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(purpose)))
	b = append(b, purpose...)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}
