package synth

// outcome is how a try ends: a category and a type of the Events API (contract 4.5).
type outcome uint8

const (
	okCredentials outcome = iota
	okFactor
	badPassword
	noFactor
	badCode
	lateCode
	codesOff
	badPush
	latePush
	badRecovery
	wrongSSO
	oldVersion
	refused
)

// words are the category and the type.
func (o outcome) words() (category, kind string) {
	switch o {
	case okCredentials:
		return "success", "credentials_ok"
	case okFactor:
		return "success", "mfa_ok"
	case noFactor:
		return "mfa_failed", "mfa_missing"
	case badCode:
		return "mfa_failed", "totp_bad"
	case lateCode:
		return "mfa_failed", "totp_timeout"
	case codesOff:
		return "mfa_failed", "totp_disabled"
	case badPush:
		return "mfa_failed", "duo_bad"
	case latePush:
		return "mfa_failed", "duo_timeout"
	case badRecovery:
		return "mfa_failed", "code_bad"
	case wrongSSO:
		return "sso_failed", "sso_user_mismatch"
	case oldVersion:
		return "modern_version_failed", "modern_version_old"
	case refused:
		return "firewall_failed", "all_blocked"
	default:
		return "credentials_failed", "password_secret_bad"
	}
}

// method is a way in, in the words of package signin.
type method uint8

const (
	byPassword method = iota
	byCode            // password, then a one-time code or a push
	byPasskey
	bySSO
	byRecovery
)

func (m method) String() string {
	return [...]string{"password", "password_code", "passkey", "sso", "recovery_code"}[m]
}

// note is what is awkward about a benign event. If several things are, the last one is told.
type note uint8

const (
	plain note = iota
	noteNAT
	noteKiosk
	noteOwl
	noteMoved
	noteJoined
	noteTravel
	noteHoliday
	noteNewPhone
	noteNewLaptop
	noteReturned
	noteCompanyVPN
	noteSplit
	noteVPN
	noteMistyped
	noteLateCode
	noteOutage
	noteTypo
	noteForgotten
	noteWrongSSO
	noteOldClient
	noteLostPhone
	noteLeaver
)

func (n note) String() string {
	return [...]string{
		"", "carrier NAT", "kiosk", "night owl", "moved house", "new employee", "travel", "holiday", "new phone", "new laptop",
		"long leave", "company VPN", "split tunnel", "vpn", "mistyped", "late code", "push outage", "mistyped e-mail", "forgotten password",
		"wrong SSO account", "old client", "lost phone", "leaver",
	}[n]
}
