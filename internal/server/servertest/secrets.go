package servertest

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"
	"sync"

	"holdfast/internal/oauth"
)

// Secrets are the credentials that were issued while a test ran, to be searched for where none may be.
// It keeps pieces of them, as they stand, in hexadecimal and in base64, so that it also finds one that
// was cut short, dumped as bytes, or is still in its Basic header. Safe for concurrent use.
type Secrets struct {
	mu     sync.RWMutex
	known  map[string]bool
	pieces map[uint64][]piece // by their last eight bytes
	filter [1 << 14]uint64    // a bit for each piece: most of a text is sorted out here
}

// piece is part of a credential in one spelling; every piece has the same length.
type piece struct {
	text [pieceLen]byte
	what string // such as "an access token in base64"; never the text
}

const pieceLen = 20 // bytes; as base64 it carries 15 characters of a credential, which are 89 random bits

// Learn remembers a credential. Anything that does not look like one of ours is ignored.
func (s *Secrets) Learn(credential string) {
	what, random := secretOf(credential)
	if what == "" || len(random) < pieceLen+1 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[credential] {
		return
	}
	if s.known == nil {
		s.known, s.pieces = map[string]bool{}, map[uint64][]piece{}
	}
	s.known[credential] = true
	random = random[1:] // the first character carries less than the others
	s.add(random, what)
	s.add(hex.EncodeToString([]byte(random)), what+" in hexadecimal")
	s.add(strings.ToUpper(hex.EncodeToString([]byte(random))), what+" in hexadecimal")
	for phase := range 3 { // base64 depends on where the text begins
		s.add(base64.StdEncoding.EncodeToString([]byte(random[phase:phase+15])), what+" in base64")
	}
}

// secretOf says what a credential is, and which part of it nobody can guess; "" for what is none of ours. Of an
// events token that is the signature: the rest of it says nothing that is secret.
func secretOf(credential string) (what, random string) {
	if strings.HasPrefix(credential, "eyJ") && strings.Count(credential, ".") == 2 {
		return "an events token", credential[strings.LastIndexByte(credential, '.')+1:]
	}
	prefix, random, _ := strings.Cut(credential, "_")
	switch prefix {
	case oauth.SecretPrefix:
		return "a client secret", random
	case oauth.TokenPrefix:
		return "an access token", random
	}
	return "", ""
}

func (s *Secrets) add(text, what string) {
	p := piece{what: what}
	copy(p.text[:], text)
	key := binary.BigEndian.Uint64(p.text[pieceLen-8:])
	s.pieces[key] = append(s.pieces[key], p)
	word, bit := spread(key)
	s.filter[word] |= bit
}

// spread maps eight bytes to a bit of the filter.
func spread(key uint64) (word int, bit uint64) {
	h, _ := bits.Mul64(key, 0x9e3779b97f4a7c15)
	h ^= key * 0xff51afd7ed558ccd
	h >>= 44
	return int(h >> 6), 1 << (h & 63)
}

// Find reads the text and returns what it found, each kind of thing once, with its place.
func (s *Secrets) Find(where string, text io.Reader) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.pieces) == 0 {
		return nil, nil
	}
	var found []string
	seen := map[string]bool{}
	var key uint64 // the last eight bytes
	buf := make([]byte, 64<<10)
	kept, before := 0, 0 // bytes kept of the portion before, and read before them
	for {
		n, err := text.Read(buf[kept:])
		end := kept + n
		for i := kept; i < end; i++ {
			key = key<<8 | uint64(buf[i])
			word, bit := spread(key)
			if s.filter[word]&bit == 0 || i+1 < pieceLen {
				continue
			}
			window := [pieceLen]byte(buf[i+1-pieceLen : i+1])
			for _, p := range s.pieces[key] {
				if p.text == window && !seen[p.what] {
					seen[p.what] = true
					found = append(found, fmt.Sprintf("%s: %s, at byte %d", where, p.what, before+i+1-pieceLen))
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return found, fmt.Errorf("search %s: %w", where, err)
		}
		keep := min(end, pieceLen-1)
		copy(buf, buf[end-keep:end])
		before, kept = before+end-keep, keep
	}
}
