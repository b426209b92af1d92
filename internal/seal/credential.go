package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"
)

// A credential is prefix, "_", 43 characters that carry 256 random bits, and 6 characters of a
// checksum, in the alphabet 0-9 A-Z a-z. By the prefix a scanner finds one that has leaked; by the
// checksum we refuse a mistyped or made-up one without asking the database.
const (
	alphabet    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	randomBytes = 32
	bodyLen     = 43 // 62^43 > 2^256
	sumLen      = 6  // 62^6 > 2^32
)

// Hash is what is stored of a credential: SHA-256 of its text. A slow hash is for passwords, which can
// be guessed from a dictionary; 256 random bits cannot, however fast the guesser, and the server
// has to check one with each request.
type Hash [sha256.Size]byte

// Equal compares in constant time.
func (h Hash) Equal(o Hash) bool { return subtle.ConstantTimeCompare(h[:], o[:]) == 1 }

// NewCredential makes a credential and the hash to store.
func NewCredential(prefix string) (Secret, Hash) {
	var b [randomBytes]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	text := prefix + "_" + base62(new(big.Int).SetBytes(b[:]), bodyLen)
	text += checksum(text)
	return Secret{text}, sha256.Sum256([]byte(text))
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
	case strings.ContainsFunc(rest, foreign):
		return Hash{}, errors.New("it has characters other than letters and digits")
	}
	if body := text[:len(text)-sumLen]; checksum(body) != text[len(body):] {
		return Hash{}, errors.New("its checksum is wrong: it was mistyped or cut")
	}
	return sha256.Sum256([]byte(text)), nil
}

func checksum(text string) string {
	return base62(new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(text)))), sumLen)
}

// base62 writes n with leading zeros.
func base62(n *big.Int, width int) string {
	out := make([]byte, width)
	base, digit := big.NewInt(int64(len(alphabet))), new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		out[i] = alphabet[digit.Int64()]
	}
	return string(out)
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

func foreign(r rune) bool { return !strings.ContainsRune(alphabet, r) }
