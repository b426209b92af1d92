package respond

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/seal"
)

// post sends a body: bytes as they are, anything else as JSON.
func post(ctx context.Context, out outgoing, url string, header http.Header, body any) *SendError {
	raw, ok := body.([]byte)
	if !ok {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return permanent("the message cannot be written: %s", err.Error())
		}
	}
	t, err := newTransport(out.config.CA)
	if err != nil {
		return permanent("the certificates cannot be used: %s", err.Error())
	}
	defer t.CloseIdleConnections()
	client := http.Client{Transport: t, Timeout: oneCall, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // it would carry what was sent somewhere else
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(raw))
	if err != nil { // whose text holds the address
		return permanent("the address is no URL")
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Holdfast-respond/1")
	res, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return &SendError{Detail: "the time was over before the receiver had answered", Err: ctx.Err()}
		}
		return lost(err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		said = nil // the status says what counts
	}
	return answered(out, res, said)
}

// refusalCode is what Slack answers beside a status of 400 and more: one word for programs.
func refusalCode() *regexp.Regexp { return regexp.MustCompile(`^[a-z]+(_[a-z]+){1,6}$`) }

// answered says what an answer means. Its body is not repeated, unless it is a word for programs.
func answered(out outgoing, res *http.Response, said []byte) *SendError {
	status := res.StatusCode
	text := "the receiver answers " + strconv.Itoa(status)
	if word := strings.TrimSpace(string(said)); len(word) <= 60 && refusalCode().MatchString(word) && !strings.Contains(out.secret.Reveal(), word) {
		text += " " + word
	}
	switch {
	case status >= 200 && status < 300:
		return nil
	case status >= 300 && status < 400:
		return &SendError{Permanent: true, Detail: text + ", which leads elsewhere; that is not followed, so give the final address"}
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		return &SendError{Detail: text, After: retryAfter(res.Header.Get("Retry-After"), out.now)}
	}
	return &SendError{Permanent: true, Detail: text}
}

// mostAfter is the longest wait that a receiver is granted.
const mostAfter = time.Hour

// retryAfter reads the header of RFC 9110 §10.2.3: seconds or a date. 0: it does not say.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, mostAfter)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), mostAfter)
}

type object = map[string]any

// sendSlack sends rich text, in which Slack looks for no markup, and the same as plain text for notifications and for
// programs that know no blocks.
func sendSlack(ctx context.Context, out outgoing) *SendError {
	return post(ctx, out, out.secret.Reveal(), nil, slackBody(out.n))
}

func slackBody(n notice) object {
	section := func(elements ...object) object { return object{"type": "rich_text_section", "elements": elements} }
	text := func(s string) object { return object{"type": "text", "text": s} }
	bold := func(s string) object { return object{"type": "text", "text": s, "style": object{"bold": true}} }
	parts := []object{section(bold(n.Title + "\n"))}
	for _, t := range n.Texts {
		parts = append(parts, section(text(t+"\n")))
	}
	for _, f := range n.Facts {
		parts = append(parts, section(bold(f.Label+": "), text(f.Value+"\n")))
	}
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(notice{Title: n.Title, Texts: n.Texts, Facts: n.Facts}.text()), "\n") {
		lines = append(lines, slackText(line))
	}
	for _, l := range n.Links {
		parts = append(parts, section(object{"type": "link", "url": l.URL, "text": l.Label}, text("\n")))
		lines = append(lines, "<"+slackText(l.URL)+">")
	}
	return object{
		"text": strings.Join(lines, "\n"), "mrkdwn": false, "parse": "none", "link_names": false, "unfurl_links": false, "unfurl_media": false,
		"blocks": []object{{"type": "rich_text", "elements": parts}},
	}
}

// sendTeams sends an Adaptive Card. Texts stand in text runs, in which no Markdown is looked for.
func sendTeams(ctx context.Context, out outgoing) *SendError {
	return post(ctx, out, out.secret.Reveal(), nil, teamsBody(out.n))
}

func teamsBody(n notice) object {
	run := func(s string, bold bool) object {
		r := object{"type": "TextRun", "text": cardText(s)}
		if bold {
			r["weight"] = "Bolder"
		}
		return r
	}
	block := func(runs ...object) object { return object{"type": "RichTextBlock", "inlines": runs} }
	title := run(n.Title, true)
	title["size"] = "Large"
	body := []object{block(title)}
	for _, t := range n.Texts {
		body = append(body, block(run(t, false)))
	}
	for _, f := range n.Facts {
		body = append(body, block(run(f.Label+": ", true), run(f.Value, false)))
	}
	actions := []object{}
	for _, l := range n.Links {
		actions = append(actions, object{"type": "Action.OpenUrl", "title": l.Label, "url": l.URL})
	}
	return object{"type": "message", "attachments": []object{{
		"contentType": "application/vnd.microsoft.card.adaptive",
		"content": object{
			"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
			"lang": n.Language, "body": body, "actions": actions,
			"fallbackText": "Holdfast has a message that this program cannot show.", // Markdown is looked for in it
		},
	}}}
}

// hookBody is what a webhook gets: type, timestamp and data, as Standard Webhooks recommends.
type hookBody struct {
	Type      string    `json:"type"` // "holdfast." and the name of the template
	Timestamp time.Time `json:"timestamp"`
	Data      hookData  `json:"data"`
}

type hookData struct {
	Kind       MessageKind  `json:"kind"`
	Account    string       `json:"account"`
	AccountID  string       `json:"account_id"`
	CaseID     string       `json:"case_id,omitempty"`
	CaseNumber int64        `json:"case_number,omitempty"`
	Title      string       `json:"title,omitempty"`
	Level      detect.Level `json:"level,omitempty"`
	Person     string       `json:"person,omitempty"`
	What       string       `json:"what,omitempty"`
	Why        string       `json:"why,omitempty"`
	Until      time.Time    `json:"until,omitzero"`
	Done       string       `json:"done,omitempty"`
	Asked      string       `json:"asked,omitempty"`
	CaseURL    string       `json:"case_url,omitempty"`
	AnswerURL  string       `json:"answer_url,omitempty"`
	DedupKey   string       `json:"dedup_key,omitempty"`
	Text       string       `json:"text"` // all of it in words
}

func sendWebhook(ctx context.Context, out outgoing) *SendError {
	m := out.m
	raw, err := json.Marshal(hookBody{"holdfast." + m.Template, m.At.UTC(), hookData{
		Kind: m.Kind, Account: plain(m.Account, mostName), AccountID: m.AccountID, CaseID: m.CaseID, CaseNumber: m.CaseNumber,
		Title: plain(m.Title, mostTitle), Level: m.Level, Person: plain(m.Person, mostName),
		What: plain(m.What, mostText), Why: plain(m.Why, mostText), Until: m.Until.UTC(), Done: plain(m.Done, mostText), Asked: plain(m.Asked, mostText),
		CaseURL: m.CaseURL, AnswerURL: m.AnswerURL, DedupKey: m.DedupKey, Text: out.n.text(),
	}})
	if err != nil {
		return permanent("the message cannot be written: %s", err.Error())
	}
	at := strconv.FormatInt(out.now.Unix(), 10)
	mark := seal.MarkWebhook(out.secret, m.ID, at, raw)
	return post(ctx, out, out.config.URL, http.Header{
		"Webhook-Id": {m.ID}, "Webhook-Timestamp": {at}, "Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mark[:])},
	}, raw)
}

// sendPagerDuty opens an incident, or ends the one of the same key.
func sendPagerDuty(ctx context.Context, out outgoing) *SendError {
	return post(ctx, out, cmp.Or(out.config.URL, pagerDutyURL), nil, pagerDutyBody(out))
}

func pagerDutyBody(out outgoing) object {
	m, n := out.m, out.n
	event := object{"routing_key": out.secret.Reveal(), "event_action": "trigger", "dedup_key": cut(cmp.Or(m.DedupKey, m.ID), 255)}
	if m.Kind == MessageRelease {
		event["event_action"] = "resolve"
		return event
	}
	severity := "info"
	if m.Kind != MessageInfo {
		switch m.Level {
		case detect.Critical:
			severity = "critical"
		case detect.High:
			severity = "error"
		case detect.Medium:
			severity = "warning"
		}
		if m.Kind == MessagePage && severity == "info" {
			severity = "error" // somebody must look now, whatever the findings were
		}
	}
	details := object{}
	for _, f := range n.Facts {
		details[f.Label] = f.Value
	}
	links := []object{}
	for _, l := range n.Links {
		links = append(links, object{"href": l.URL, "text": l.Label})
	}
	event["client"] = "Holdfast"
	event["links"] = links
	event["payload"] = object{
		"summary": cut(n.Title, 1024), "source": cut(cmp.Or(plain(m.Account, mostName), "Holdfast"), 255), "severity": severity,
		"timestamp": m.At.UTC().Format(time.RFC3339), "component": "sign-in", "class": m.Template, "custom_details": details,
	}
	return event
}
