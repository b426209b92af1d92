package seal

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"strings"
)

// A credential is prefix, "_", 43 characters that carry 256 random bits, and 6 characters of a
// checksum, in the alphabet 0-9 A-Z a-z. By the prefix a scanner finds one that has leaked; by the
// checksum we refuse a mistyped or made-up one without asking the database.
const (
	alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	base     = uint64(len(alphabet))
	bodyLen  = 43 // 62^43 > 2^256
	sumLen   = 6  // 62^6 > 2^32
)

// Hash is what is stored of a credential: SHA-256 of its text. A slow hash is for passwords, which can
// be guessed from a dictionary; 256 random bits cannot, however fast the guesser, and the server
// has to check one with each request.
type Hash [sha256.Size]byte

// Equal compares in constant time.
func (h Hash) Equal(o Hash) bool { return subtle.ConstantTimeCompare(h[:], o[:]) == 1 }

// NewCredential makes a credential and the hash to store.
func NewCredential(prefix string) (Secret, Hash) {
	var random [4 * 8]byte
	_, _ = rand.Read(random[:]) // never fails, says its documentation
	var n [4]uint64
	for i := range n {
		n[i] = binary.BigEndian.Uint64(random[8*i:])
	}
	text := make([]byte, 0, len(prefix)+1+bodyLen+sumLen)
	text = append(text, prefix...)
	text = append(text, '_')
	text = appendNumber(text, n, bodyLen)
	text = appendSum(text)
	return NewSecret(string(text)), sha256.Sum256(text)
}

// ParseCredential returns the hash of a credential's text. What has another prefix or length, a
// character that is not of the alphabet, or a wrong checksum never was one; the error does not
// repeat it.
func ParseCredential(prefix, text string) (Hash, error) {
	rest, ok := strings.CutPrefix(text, prefix+"_")
	switch {
	case !ok:
		return Hash{}, fmt.Errorf("it does not begin with %s_", prefix)
	case len(rest) != bodyLen+sumLen:
		return Hash{}, fmt.Errorf("it has %d characters after %s_, not %d", len(rest), prefix, bodyLen+sumLen)
	}
	for i := range len(rest) {
		if c := rest[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return Hash{}, errors.New("it has characters other than letters and digits")
		}
	}
	given := []byte(text)
	if right := appendSum([]byte(text[:len(text)-sumLen])); !bytes.Equal(right, given) {
		return Hash{}, errors.New("its checksum is wrong: it was mistyped or cut")
	}
	return sha256.Sum256(given), nil
}

// appendSum appends the checksum of the text to it.
func appendSum(text []byte) []byte {
	return appendNumber(text, [4]uint64{3: uint64(crc32.ChecksumIEEE(text))}, sumLen)
}

// appendNumber appends n, a number of four words, most significant first, in width digits.
func appendNumber(to []byte, n [4]uint64, width int) []byte {
	const digits, power = 10, base * base * base * base * base * base * base * base * base * base // 62^10 < 2^64
	at := len(to) + width
	to = append(to, make([]byte, width)...)
	for left := width; left > 0; left -= digits {
		var ten uint64 // the ten lowest digits of what is left of n
		for i := range n {
			n[i], ten = bits.Div64(ten, n[i], power)
		}
		for range min(digits, left) {
			at--
			to[at] = alphabet[ten%base]
			ten /= base
		}
	}
	return to
}

// idLen is the length of an ID: 26 characters of base32, 130 bits.
const idLen = 26

// NewID makes an ID of an account, person, group and so on: ^[A-Z2-7]{26}$, at least 128 random bits.
func NewID() string { return rand.Text() }

// ValidID reports whether the text has the form of an ID.
func ValidID(s string) bool {
	if len(s) != idLen {
		return false
	}
	for i := range idLen {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// HashOf is the hash of a credential that has a form of its own, such as a signed token.
func HashOf(text string) Hash { return sha256.Sum256([]byte(text)) }
