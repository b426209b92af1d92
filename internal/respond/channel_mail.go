package respond

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/textproto"
	"strings"

	"github.com/wneessen/go-mail"
)

// sendMail sends a message to the people of the channel, or to the one that it is for.
func sendMail(ctx context.Context, out outgoing) *SendError {
	to := out.config.To
	if out.m.To != "" {
		to = []string{out.m.To}
	}
	if len(to) == 0 {
		return permanent("it has no recipients; give it some")
	}
	msg, err := letter(out, to)
	if err != nil {
		return permanent("the message cannot be written: %s", err.Error())
	}
	client, err := mailClient(ctx, out)
	if err != nil {
		return permanent("the mail server cannot be used as it is set up: %s", err.Error())
	}
	return mailError(ctx, client.DialAndSendWithContext(ctx, msg))
}

// letter is the message as mail: text, and the same as HTML.
func letter(out outgoing, to []string) (*mail.Msg, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	from, err := address("from", out.config.From)
	if err != nil {
		return nil, err
	}
	msg.FromMailAddress(from)
	for _, text := range to {
		a, err := address("to", text)
		if err != nil {
			return nil, err
		}
		msg.AddToMailAddress(a)
	}
	page, err := template.ParseFS(templates, "templates/mail.html")
	if err != nil {
		return nil, err
	}
	var html bytes.Buffer
	if err := page.Execute(&html, out.n); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	msg.Subject(out.n.Title)
	msg.SetMessageIDWithValue(headerID(out.m.ID) + "@" + domain)
	msg.SetDateWithValue(out.m.At)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday notes in return
	if out.m.CaseID != "" {
		msg.SetGenHeader(mail.HeaderReferences, "<case-"+headerID(out.m.CaseID)+"@"+domain+">") // one thread for each case
	}
	msg.SetBodyString(mail.TypeTextPlain, out.n.text())
	msg.AddAlternativeString(mail.TypeTextHTML, html.String())
	return msg, nil
}

// headerID is an id as a header may carry it.
func headerID(id string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return -1
	}, id)
}

func mailClient(ctx context.Context, out outgoing) (*mail.Client, error) {
	c := out.config
	trust, err := trusting(c.CA)
	if err != nil {
		return nil, err
	}
	trust.ServerName = c.Host
	connect := func(dialing context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(dialing, network, address)
		if err != nil {
			return nil, err
		}
		return &briefConn{conn, mostHeard, context.AfterFunc(ctx, func() {
			_ = conn.Close() // whoever uses it hears of that
		})}, nil
	}
	options := []mail.Option{mail.WithPort(c.Port), mail.WithTimeout(oneCall), mail.WithTLSConfig(trust), mail.WithoutNoop()}
	switch c.TLS {
	case MailAlways:
		options = append(options, mail.WithSSL())
		open := connect
		connect = func(dialing context.Context, network, address string) (net.Conn, error) {
			conn, err := open(dialing, network, address)
			if err != nil {
				return nil, err
			}
			secure := tls.Client(conn, trust)
			if err := secure.HandshakeContext(dialing); err != nil {
				return nil, errors.Join(err, conn.Close())
			}
			return secure, nil
		}
	case MailPlain:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if c.Username != "" {
		options = append(options, mail.WithUsername(c.Username), mail.WithPassword(out.secret.Reveal()), mail.WithOpportunisticSMTPAuth(
			mail.SMTPAuthSCRAMSHA256PLUS, mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin,
		))
	}
	options = append(options, mail.WithDialContextFunc(connect))
	return mail.NewClient(c.Host, options...)
}

// mostHeard is how many bytes are read of a mail server that is sent one message.
const mostHeard = 256 << 10

// briefConn is a connection to a server that has said all it may after mostHeard bytes, and which the end of a
// context ends.
type briefConn struct {
	net.Conn
	left int
	stop func() bool
}

func (c *briefConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("the server says more than any mail server has to say")
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

func (c *briefConn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// mailError says what went wrong in our words. What the server says beside its code is not repeated: it may contain
// what it was sent.
func mailError(ctx context.Context, err error) *SendError {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return &SendError{Detail: "the time was over before the mail server had taken the message", Err: ctx.Err()}
	}
	if e, ok := errors.AsType[*mail.SendError](err); ok && e.ErrorCode() != 0 {
		code := fmt.Sprint(e.ErrorCode())
		if e.EnhancedStatusCode() != "" {
			code += " (" + e.EnhancedStatusCode() + ")"
		}
		step := map[mail.SendErrReason]string{
			mail.ErrSMTPMailFrom: "the sender", mail.ErrSMTPRcptTo: "a recipient", mail.ErrSMTPData: "the message", mail.ErrSMTPDataClose: "the message",
		}[e.Reason]
		if step == "" {
			step = "the delivery"
		}
		return &SendError{Permanent: e.ErrorCode() >= 500, Detail: "the mail server answers " + plain(code, 40) + " to " + step}
	}
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		if e.Code == 534 || e.Code == 535 || e.Code == 530 {
			return permanent("the mail server does not accept user name and password (%d)", e.Code)
		}
		return &SendError{Permanent: e.Code >= 500, Detail: fmt.Sprintf("the mail server answers %d", e.Code)}
	}
	switch {
	case strings.Contains(err.Error(), "does not support STARTTLS"):
		return permanent("the mail server offers no STARTTLS, so nothing was sent; use another port or tls")
	case errors.Is(err, mail.ErrNoSupportedAuthDiscovered), strings.Contains(err.Error(), "does not support SMTP AUTH"):
		return permanent("the mail server offers no way of signing in that is safe on this connection")
	}
	return lost(err)
}

// lost is a connection that was not made, or ended early.
func lost(err error) *SendError {
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return temporary("the certificate of the server is not trusted: %s", e.Err.Error())
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return temporary("the certificate of the server is for another name: %s", e.Error())
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return temporary("the name of the server is not known: %s", e.Err)
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return temporary("the server did not answer within %s", oneCall)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return temporary("the connection was not made, or broke: %s %s", e.Op, e.Err.Error())
	}
	return temporary("the server ended the connection early, or answered what was not understood")
}
