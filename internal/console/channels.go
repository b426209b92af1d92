package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/web"
)

// Channels sets up where messages go; *[respond.Channels] does.
type Channels interface {
	List(ctx context.Context, accountID string) ([]respond.Channel, error)
	Get(ctx context.Context, accountID, name string) (respond.Channel, error)
	Add(ctx context.Context, accountID string, n respond.NewChannel, by audit.Entry) (respond.MadeChannel, error)
	Update(ctx context.Context, accountID, name string, change respond.ChannelChange, by audit.Entry) (respond.Channel, error)
	Remove(ctx context.Context, accountID, name string, by audit.Entry) error
	Test(ctx context.Context, accountID, accountName, name, person string) error
}

func (c *Console) channelRoutes() []web.Route {
	read, manage := web.SignedIn(web.Integrations), web.SignedIn(web.People)
	fresh := manage.Fresh()
	return []web.Route{
		{Pattern: "GET /channels", Access: read, Handle: c.channels},
		{Pattern: "GET /channels/new", Access: manage, Handle: c.newChannel},
		{Pattern: "POST /channels", Access: fresh, Handle: c.addChannel},
		{Pattern: "GET /channels/{channel}/edit", Access: manage, Handle: c.editChannel},
		{Pattern: "POST /channels/{channel}/edit", Access: fresh, Handle: c.updateChannel},
		{Pattern: "POST /channels/{channel}/test", Access: manage, Handle: c.testChannel},
		{Pattern: "GET /channels/{channel}/remove", Access: manage, Handle: c.removeChannelForm},
		{Pattern: "POST /channels/{channel}/remove", Access: fresh, Handle: c.removeChannel},
	}
}

// channelsPage is the data of pages/channels.html.
type channelsPage struct {
	Rows   []channelRow
	Tested *tested // nil: nothing was
	Pages  bool    // there is a channel that hears when somebody must look now
}

type channelRow struct {
	respond.Channel
	Where string // what can be shown of where messages go; empty: that is the secret
	By    party
}

// whereTo is what can be shown of where messages of the channel go.
func whereTo(ch respond.Channel, config respond.ChannelConfig) string {
	switch ch.Kind {
	case respond.ChannelEmail:
		return strings.Join(config.To, ", ")
	case respond.ChannelWebhook, respond.ChannelPagerDuty:
		return config.URL
	}
	return ""
}

func (c *Console) showChannels(w http.ResponseWriter, r *http.Request, result *tested) error {
	all, err := c.Channels.List(r.Context(), me(r).AccountID)
	if err != nil {
		return err
	}
	d, who := channelsPage{Tested: result}, c.parties(r)
	for _, ch := range all {
		config, err := ch.Settings()
		if err != nil {
			return err
		}
		row := channelRow{Channel: ch, Where: whereTo(ch, config)}
		if row.By, err = who.of(r.Context(), ch.CreatedBy); err != nil {
			return err
		}
		d.Pages = d.Pages || ch.Pages
		d.Rows = append(d.Rows, row)
	}
	return c.render(w, r, page{name: "channels", title: c.tr(r, "channels.title"), data: d})
}

func (c *Console) channels(w http.ResponseWriter, r *http.Request) error {
	return c.showChannels(w, r, nil)
}

// theChannel is the channel of the path.
func (c *Console) theChannel(r *http.Request) (respond.Channel, error) {
	return c.Channels.Get(r.Context(), me(r).AccountID, r.PathValue("channel"))
}

func (c *Console) testChannel(w http.ResponseWriter, r *http.Request) error {
	ch, err := c.theChannel(r)
	if err != nil {
		return err
	}
	who := me(r)
	err = c.Channels.Test(r.Context(), who.AccountID, who.Account, ch.Name, who.Name)
	if bad, ok := errors.AsType[*respond.SendError](err); ok {
		return c.showChannels(w, r, &tested{ch.Name, false, sentence(bad.Detail)})
	}
	result, err := testedOf(ch.Name, c.tr(r, "channels.sent"), err)
	if err != nil {
		return err
	}
	return c.showChannels(w, r, result)
}

// channelFormPage is the data of pages/channel-form.html.
type channelFormPage struct{ setupForm }

// Kinds are the kinds to choose from.
func (channelFormPage) Kinds() []respond.ChannelKind { return respond.ChannelKinds() }

// Ways are how a connection to a mail server is kept private.
func (channelFormPage) Ways() []respond.MailTLS {
	return []respond.MailTLS{respond.MailStartTLS, respond.MailAlways, respond.MailPlain}
}

// Languages are those of messages.
func (channelFormPage) Languages() []string {
	var all []string
	for _, tag := range languages {
		all = append(all, tag.String())
	}
	return all
}

// channelConfigOf reads what the form has for the kind.
func channelConfigOf(kind respond.ChannelKind, f url.Values) (respond.ChannelConfig, error) {
	config := respond.ChannelConfig{Language: f.Get("language"), CA: strings.TrimSpace(f.Get("ca"))}
	switch kind {
	case respond.ChannelWebhook, respond.ChannelPagerDuty:
		config.URL = strings.TrimSpace(f.Get("url"))
	case respond.ChannelEmail:
		config.Host, config.TLS = strings.TrimSpace(f.Get("host")), respond.MailTLS(f.Get("tls"))
		config.Username, config.From = strings.TrimSpace(f.Get("username")), strings.TrimSpace(f.Get("mail_from"))
		for line := range strings.FieldsFuncSeq(f.Get("mail_to"), func(r rune) bool { return r == '\n' || r == '\r' || r == ',' }) {
			if line = strings.TrimSpace(line); line != "" {
				config.To = append(config.To, line)
			}
		}
		if text := strings.TrimSpace(f.Get("port")); text != "" {
			port, err := strconv.Atoi(text)
			if err != nil || port < 1 {
				return config, problem.InField("port", "the port is %q; it must be a number from 1 to 65535", text)
			}
			config.Port = port
		}
	}
	return config, nil
}

// atMail says of an error about sender or recipients which field of the form it is about: fields of other forms are
// called from and to.
func atMail(err error) error {
	if p := problem.Public(err); p.Field == "from" || p.Field == "to" {
		moved := *p
		moved.Field = "mail_" + p.Field
		return &moved
	}
	return err
}

// channelValues is the form of a channel.
func channelValues(ch respond.Channel, config respond.ChannelConfig) url.Values {
	f := url.Values{
		"kind": {string(ch.Kind)}, "language": {config.Language}, "ca": {config.CA}, "url": {config.URL}, "host": {config.Host},
		"tls": {string(config.TLS)}, "username": {config.Username}, "mail_from": {config.From}, "mail_to": {strings.Join(config.To, "\n")},
	}
	if config.Port > 0 {
		f.Set("port", strconv.Itoa(config.Port))
	}
	if ch.Pages {
		f.Set("pages", "on")
	}
	return f
}

func (c *Console) showChannelForm(w http.ResponseWriter, r *http.Request, d setupForm, f url.Values, failed error) error {
	p := page{name: "channel-form", title: c.tr(r, "channel_form.new"), data: channelFormPage{d}, form: f}
	if d.Name != "" {
		p.title = c.tr(r, "channel_form.edit", "Name", d.Name)
	}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

// newChannel asks for the kind first: what else is asked for depends on it.
func (c *Console) newChannel(w http.ResponseWriter, r *http.Request) error {
	kind := r.URL.Query().Get("kind")
	if !slices.Contains(respond.ChannelKinds(), respond.ChannelKind(kind)) {
		kind = ""
	}
	f := url.Values{"kind": {kind}, "language": {c.catalogue.languageOf(r)}, "tls": {string(respond.MailStartTLS)}}
	return c.showChannelForm(w, r, setupForm{Kind: kind, Action: "/channels"}, f, nil)
}

// channelSecret is the data of pages/channel-secret.html: what a webhook's messages are signed with, this once.
type channelSecret struct{ Name, Secret string }

func (c *Console) addChannel(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	kind := respond.ChannelKind(f.Get("kind"))
	if !slices.Contains(respond.ChannelKinds(), kind) {
		return c.showChannelForm(w, r, setupForm{Action: "/channels"}, f, problem.InField("kind", "no kind is chosen; choose one of the list"))
	}
	config, err := channelConfigOf(kind, f)
	var made respond.MadeChannel
	if err == nil {
		n := respond.NewChannel{Name: strings.TrimSpace(f.Get("call_name")), Kind: kind, Pages: f.Get("pages") == "on", Config: config, Secret: respond.NewSecret(f.Get("secret"))}
		made, err = c.Channels.Add(r.Context(), me(r).AccountID, n, audit.By(r, audit.ChannelAdd, ""))
	}
	if err != nil {
		return c.showChannelForm(w, r, setupForm{Kind: string(kind), Action: "/channels"}, f, atMail(atCallName(err)))
	}
	if !made.Secret.IsZero() {
		return c.render(w, r, page{name: "channel-secret", title: c.tr(r, "channel_secret.title"), data: channelSecret{made.Channel.Name, made.Secret.Reveal()}})
	}
	return redirect(w, r, "/channels?done=channel_added")
}

// channelForm is the form of the channel of the path.
func channelForm(ch respond.Channel) setupForm {
	return setupForm{Name: ch.Name, Kind: string(ch.Kind), Action: "/channels/" + url.PathEscape(ch.Name) + "/edit"}
}

func (c *Console) editChannel(w http.ResponseWriter, r *http.Request) error {
	ch, err := c.theChannel(r)
	if err != nil {
		return err
	}
	config, err := ch.Settings()
	if err != nil {
		return err
	}
	return c.showChannelForm(w, r, channelForm(ch), channelValues(ch, config), nil)
}

func (c *Console) updateChannel(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	ch, err := c.theChannel(r)
	if err != nil {
		return err
	}
	config, err := channelConfigOf(ch.Kind, f)
	if err == nil {
		change := respond.ChannelChange{Pages: f.Get("pages") == "on", Config: config, Secret: respond.NewSecret(f.Get("secret"))}
		_, err = c.Channels.Update(r.Context(), ch.AccountID, ch.Name, change, audit.By(r, audit.ChannelUpdate, ""))
	}
	if err != nil {
		return c.showChannelForm(w, r, channelForm(ch), f, atMail(err))
	}
	return redirect(w, r, "/channels?done=channel_changed")
}

func (c *Console) removeChannelForm(w http.ResponseWriter, r *http.Request) error {
	ch, err := c.theChannel(r)
	if err != nil {
		return err
	}
	d := setupRemove{Kind: "channel", Name: ch.Name, Back: "/channels"}
	if d.Used, err = c.usedBy(r, ch.Name, func(s respond.Step) []string { return s.To }); err != nil {
		return err
	}
	return c.render(w, r, page{name: "setup-remove", title: c.tr(r, "setup_remove.channel.title", "Name", ch.Name), data: d})
}

func (c *Console) removeChannel(w http.ResponseWriter, r *http.Request) error {
	ch, err := c.theChannel(r)
	if err != nil {
		return err
	}
	if err := c.Channels.Remove(r.Context(), ch.AccountID, ch.Name, audit.By(r, audit.ChannelRemove, "")); err != nil {
		return err
	}
	return redirect(w, r, "/channels?done=channel_removed")
}
