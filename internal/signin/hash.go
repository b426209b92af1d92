package signin

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/text/unicode/norm"

	"holdfast/internal/problem"
)

// maxPassword is the longest password, in bytes, after normalisation.
const maxPassword = 256

// maxQueue is how many may wait for their turn to hash. Who comes after them is sent away: she would wait
// longer than browsers do.
const maxQueue = 64

// hashing is what OWASP asks for at least: 19 MiB, two passes, one lane. Hashes that there are keep the
// parameters that they carry.
func hashing() *argon2id.Params {
	return &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

// nobody is a hash, made with the same parameters, that is compared where there is no password to
// compare, so that this takes as long. What the comparison says is thrown away.
func nobody() string {
	p := hashing()
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", p.Memory, p.Iterations, p.Parallelism,
		"aG9sZGZhc3Qgbm9ib2R5IQ", "dGhpcyBpcyBub3QgdGhlIGhhc2ggb2YgYSBwYXNzd28")
}

// hasher computes password hashes, as many at once as there are processors: each takes 19 MiB, and a
// flood of sign-ins must not take all the memory. The zero hasher is ready.
type hasher struct {
	once    sync.Once
	slots   chan struct{}
	waiting atomic.Int32
	done    atomic.Int64 // hashes so far
}

func errBusy() *problem.Error {
	p := problem.Coded(problem.Unavailable, "busy", "too many people sign in at this moment; try again in a few seconds")
	p.RetryAfter = 5 * time.Second
	return p
}

func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	h.once.Do(func() { h.slots = make(chan struct{}, runtime.GOMAXPROCS(0)) })
	leave = func() { <-h.slots }
	select {
	case h.slots <- struct{}{}:
		h.done.Add(1)
		return leave, nil
	default:
	}
	if h.waiting.Add(1) > maxQueue {
		h.waiting.Add(-1)
		return nil, errBusy()
	}
	defer h.waiting.Add(-1)
	select {
	case h.slots <- struct{}{}:
		h.done.Add(1)
		return leave, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// matches compares the password with the hash, or with nobody's if it is empty. It takes the same time
// whatever the outcome.
func (h *hasher) matches(ctx context.Context, password, hash string) (bool, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	password = norm.NFC.String(password)
	real := hash != "" && len(password) <= maxPassword
	if !real {
		hash, password = nobody(), ""
	}
	ok, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return false, fmt.Errorf("the stored hash of a password cannot be read: %w", err)
	}
	return ok && real, nil
}

// hash is what to store of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return argon2id.CreateHash(norm.NFC.String(password), hashing())
}
