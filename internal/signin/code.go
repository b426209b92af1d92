package signin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"holdfast/internal/seal"
)

// One-time codes are those of RFC 6238: six digits, SHA-1, 30 seconds, which every authenticator knows.
const (
	totpPeriod    = 30
	totpDigits    = 6
	totpSeed      = 20 // bytes, RFC 4226 §4 R6
	totpSkew      = 1  // steps before and after, for clocks that differ
	recoveryCodes = 10
	recoveryLen   = 10 // characters of base32, 50 bits
)

// readCode checks a code as somebody typed it: a one-time code, or a recovery code. bad is empty if it is
// right as far as can be seen without using it up.
func (s *Service) readCode(p Person, m Methods, typed string) (used Used, method Method, bad Type, err error) {
	code := plainCode(typed)
	if m.TOTP == nil {
		return used, ByPasswordCode, MFAMissing, nil
	}
	seed, err := s.Keys.Open(m.TOTP, sealTOTP, p.AccountID, p.UserID)
	if err != nil {
		return used, ByPasswordCode, TOTPBad, err
	}
	switch {
	case code == "":
		return used, ByPasswordCode, MFAMissing, nil
	case isRecovery(code):
		used.RecoveryCode = recoveryHash(seed, code)
		if m.RecoveryCodes == 0 {
			return used, ByRecoveryCode, CodeBad, nil
		}
		return used, ByRecoveryCode, "", nil
	}
	step, ok, err := totpStep(seed, code, s.Now(), m.TOTPStep)
	if err != nil || !ok {
		return used, ByPasswordCode, TOTPBad, err
	}
	used.TOTPStep = step
	return used, ByPasswordCode, "", nil
}

// sealTOTP is the purpose for which the seed of one-time codes is sealed.
const sealTOTP = "totp"

// plainCode is a code without what people and programs put between its characters, in capitals.
func plainCode(typed string) string {
	if len(typed) > 100 {
		return "?"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '\t' || r == '\u00a0' || r == '\u2011' || r == '\u2013':
			return -1
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, strings.TrimSpace(typed))
}

// isRecovery reports whether a plain code has the form of a recovery code.
func isRecovery(code string) bool {
	return len(code) == recoveryLen && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// totpStep returns the time step of the code, if it is one of those that count now and is later than the
// last one that was accepted (RFC 6238 §5.2: a code is good once).
func totpStep(seed []byte, code string, now time.Time, last int64) (step int64, ok bool, err error) {
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(seed)
	opts := totp.ValidateOpts{Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}
	at := now.Unix() / totpPeriod
	for n := at - totpSkew; n <= at+totpSkew; n++ {
		want, err := totp.GenerateCodeCustom(secret, time.Unix(n*totpPeriod, 0), opts)
		if err != nil {
			return 0, false, fmt.Errorf("compute one-time code: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && n > last {
			step, ok = n, true
		}
	}
	return step, ok, nil
}

// recoveryHash is what is stored of a recovery code. The code has 50 bits, which could be searched through
// if it was only hashed; so it is marked with the seed of the one-time codes, which is stored sealed.
func recoveryHash(seed []byte, code string) (h seal.Hash) {
	mac := hmac.New(sha256.New, seed)
	mac.Write([]byte("holdfast recovery code "))
	mac.Write([]byte(code))
	mac.Sum(h[:0])
	return h
}

// newRecoveryCodes makes codes to print and what to store of them.
func newRecoveryCodes(seed []byte) (codes []seal.Secret, hashes []seal.Hash) {
	for range recoveryCodes {
		code := rand.Text()[:recoveryLen]
		codes = append(codes, seal.NewSecret(code[:recoveryLen/2]+"-"+code[recoveryLen/2:]))
		hashes = append(hashes, recoveryHash(seed, code))
	}
	return codes, hashes
}

// badFor and lateFor are the types of a failed attempt.
func badFor(m Method) Type {
	if m == ByRecoveryCode {
		return CodeBad
	}
	return TOTPBad
}

func lateFor(code string) Type {
	if isRecovery(plainCode(code)) {
		return CodeTimeout
	}
	return TOTPTimeout
}
