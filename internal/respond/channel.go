package respond

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// ChannelKind says what a channel is. It is stored, so it never changes its meaning.
type ChannelKind string

// The kinds of channels.
const (
	ChannelEmail     ChannelKind = "email"
	ChannelSlack     ChannelKind = "slack"     // an incoming webhook of Slack, or of what takes the same
	ChannelTeams     ChannelKind = "teams"     // a webhook of Teams that takes Adaptive Cards
	ChannelWebhook   ChannelKind = "webhook"   // JSON, signed as Standard Webhooks has it
	ChannelPagerDuty ChannelKind = "pagerduty" // events in the form of PagerDuty's Events API v2
)

// ChannelKinds lists the kinds.
func ChannelKinds() []ChannelKind {
	return []ChannelKind{ChannelEmail, ChannelSlack, ChannelTeams, ChannelWebhook, ChannelPagerDuty}
}

// Channel is a way to tell people. Playbooks call it by its name.
type Channel struct {
	AccountID, ID, Name string
	Kind                ChannelKind
	Pages               bool   // hears when somebody must look now
	Config              []byte // JSON of [ChannelConfig], without secrets
	Secret              []byte // sealed; nil: it needs none
	Revision            int64
	LastError           string
	CreatedAt           time.Time
	CreatedBy           string
}

// Settings is the channel's configuration.
func (c Channel) Settings() (ChannelConfig, error) {
	var s ChannelConfig
	err := json.Unmarshal(c.Config, &s)
	return s, err
}

// ChannelConfig is how a channel is set up, apart from its secret: the password of the mail server (none without a
// user name), the whole address of a Slack or Teams webhook, what a webhook is signed with, PagerDuty's integration key.
type ChannelConfig struct {
	Language string `json:"language,omitempty"` // en (the default), de
	CA       string `json:"ca,omitempty"`       // certificates in PEM that are trusted there, and no others

	URL string `json:"url,omitempty"` // of a webhook; of PagerDuty only where it is not the usual one

	Host     string   `json:"host,omitempty"` // of the mail server
	Port     int      `json:"port,omitempty"` // 0: 587 with starttls, 465 with tls, 25 without
	TLS      MailTLS  `json:"tls,omitempty"`
	Username string   `json:"username,omitempty"`
	From     string   `json:"from,omitempty"`
	To       []string `json:"to,omitempty"` // may be empty where people are only asked about themselves
}

// MailTLS says how a connection to a mail server is kept private.
type MailTLS string

// The ways.
const (
	MailStartTLS MailTLS = "starttls" // the default: encrypted before anything is said, or not sent at all
	MailAlways   MailTLS = "tls"      // encrypted from the first byte
	MailPlain    MailTLS = "none"     // for a mail server on the loopback address
)

const (
	pagerDutyURL  = "https://events.pagerduty.com/v2/enqueue"
	maxRecipients = 20
	maxName       = 40 // characters of the name of a target or channel
)

// complete fills in what was left out.
func (c *ChannelConfig) complete(kind ChannelKind) {
	c.Language = cmp.Or(c.Language, languages()[0])
	c.Host = strings.TrimSpace(c.Host)
	switch kind {
	case ChannelEmail:
		c.TLS = cmp.Or(c.TLS, MailStartTLS)
		c.Port = cmp.Or(c.Port, usualPort(c.TLS))
	case ChannelPagerDuty:
		c.URL = cmp.Or(c.URL, pagerDutyURL)
	}
}

// usualPort is 0 for what is no way of keeping a connection private.
func usualPort(t MailTLS) int {
	return map[MailTLS]int{MailStartTLS: 587, MailAlways: 465, MailPlain: 25}[t]
}

// place is where the secret goes, and how. A webhook's never leaves, and the address of Slack and Teams is the secret.
func (c ChannelConfig) place() string {
	return strings.Join([]string{c.Host, strconv.Itoa(c.Port), string(c.TLS), c.Username, c.URL, c.CA}, "\x00")
}

// check completes the configuration, and refuses one that cannot work, naming the field.
func (c *ChannelConfig) check(kind ChannelKind, secret seal.Secret) error {
	c.complete(kind)
	if !slices.Contains(languages(), c.Language) {
		return problem.InField("language", "the language is %q; there are %s", c.Language, strings.Join(languages(), ", "))
	}
	if _, err := trusting(c.CA); err != nil {
		return err
	}
	if kind == ChannelEmail {
		return c.checkMail(secret)
	}
	if c.Host != "" || c.Port != 0 || c.TLS != "" || c.Username != "" || c.From != "" || len(c.To) > 0 {
		return problem.InField("host", "host, port, tls, user name, from and to belong to a channel of the kind %s", ChannelEmail)
	}
	switch kind {
	case ChannelSlack, ChannelTeams:
		if c.URL != "" {
			return problem.InField("url", "the address of the webhook lets whoever has it send; give it as the secret, so that it is sealed")
		}
		_, err := checkURL("secret", secret.Reveal(), true)
		return err
	case ChannelWebhook:
		if _, err := checkURL("url", c.URL, false); err != nil {
			return err
		}
		return seal.CheckWebhookSecret("secret", secret)
	case ChannelPagerDuty:
		if _, err := checkURL("url", c.URL, false); err != nil {
			return err
		}
		if key := secret.Reveal(); key == "" || len(key) > 100 || !visible(key) {
			return problem.InField("secret", "the channel needs the integration key of a PagerDuty service, which has 32 letters and digits")
		}
		return nil
	}
	return problem.InField("kind", "%q is no kind of channel; there are %s", kind, kindNames())
}

func kindNames() string {
	var names []string
	for _, k := range ChannelKinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

func (c *ChannelConfig) checkMail(secret seal.Secret) error {
	if c.URL != "" {
		return problem.InField("url", "a channel of the kind %s has no URL; give host and port", ChannelEmail)
	}
	if c.Host == "" || len(c.Host) > 253 || !visible(c.Host) || strings.ContainsAny(c.Host, "/@") {
		return problem.InField("host", "the host is %q; give the name of the mail server alone, such as smtp.example.org", c.Host)
	}
	if usualPort(c.TLS) == 0 {
		return problem.InField("tls", "tls is %q; there are %s, %s and %s", c.TLS, MailStartTLS, MailAlways, MailPlain)
	}
	if c.TLS == MailPlain && !isLoopback(c.Host) {
		return problem.InField("tls", "without TLS everybody on the way could read the messages and change them; use %s (%s is for the loopback address)", MailStartTLS, MailPlain)
	}
	if c.Port < 1 || c.Port > 65535 {
		return problem.InField("port", "the port is %d; it must be from 1 to 65535", c.Port)
	}
	switch {
	case c.Username != "" && secret.IsZero():
		return problem.InField("secret", "there is a user name without a password")
	case c.Username == "" && !secret.IsZero():
		return problem.InField("username", "there is a password without a user name")
	case strings.ContainsFunc(c.Username+secret.Reveal(), func(r rune) bool { return r < ' ' || r == 0x7f }):
		return problem.InField("username", "the user name or the password holds a control character")
	}
	if _, err := address("from", c.From); err != nil {
		return err
	}
	if len(c.To) > maxRecipients {
		return problem.InField("to", "there are %d recipients; at most %d are possible, so use a list of the mail server", len(c.To), maxRecipients)
	}
	for _, to := range c.To {
		if _, err := address("to", to); err != nil {
			return err
		}
	}
	return nil
}

// address reads an e-mail address, with or without a name before it.
func address(field, text string) (*mail.Address, error) {
	a, err := mail.ParseAddress(text)
	if err != nil || len(text) > 320 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, problem.InField(field, "%q is no e-mail address", plain(text, 100))
	}
	return a, nil
}

// checkCallName refuses a name by which a playbook could not call a target or channel.
func checkCallName(name string) error {
	ok := len(name) > 0 && len(name) <= maxName && name[0] >= 'a' && name[0] <= 'z'
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}
	if !ok {
		return problem.InField("name", "the name is %q; playbooks call it by 1 to %d small letters, digits, - and _, with a letter first", plain(name, 60), maxName)
	}
	return nil
}

// SendError is why a message was not sent. It holds no secret, and no address that is one.
type SendError struct {
	Channel   string // its name
	Permanent bool   // trying again is in vain until somebody changes something
	After     time.Duration
	Detail    string // one sentence
	Err       error  // the context's, if it ended; else nil
}

func (e *SendError) Error() string { return "channel " + e.Channel + ": " + e.Detail }

// Unwrap returns Err.
func (e *SendError) Unwrap() error { return e.Err }

func temporary(format string, args ...any) *SendError {
	return &SendError{Detail: plain(fmt.Sprintf(format, args...), 300)}
}

func permanent(format string, args ...any) *SendError {
	return &SendError{Permanent: true, Detail: plain(fmt.Sprintf(format, args...), 300)}
}

// sender sends one message through a channel of its kind.
type sender func(ctx context.Context, out outgoing) *SendError

// outgoing is a message on its way.
type outgoing struct {
	config ChannelConfig
	secret seal.Secret
	m      Message
	n      notice
	now    time.Time
}

func senderOf(kind ChannelKind) sender {
	switch kind {
	case ChannelEmail:
		return sendMail
	case ChannelSlack:
		return sendSlack
	case ChannelTeams:
		return sendTeams
	case ChannelWebhook:
		return sendWebhook
	case ChannelPagerDuty:
		return sendPagerDuty
	}
	return nil
}
