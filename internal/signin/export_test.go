package signin

// Hashes is how many password hashes the service has computed.
func (s *Service) Hashes() int64 { return s.hashes.done.Load() }

// Parts is how many guessable parts a password has.
func Parts(password string) int { return parts([]rune(password), nil) }

// PlainCode, IsRecovery and Within are what the fuzzers look at.
func PlainCode(typed string) string { return plainCode(typed) }
func IsRecovery(code string) bool   { return isRecovery(code) }
func Within(next string) string     { return within(next) }
