package respond

import (
	"embed"
	"fmt"
	"path"
	"strconv"
	"strings"
	"text/template"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
)

// MessageKind says what a message is for. Media show it: PagerDuty opens an incident for a page and ends it with a
// release.
type MessageKind string

// The kinds of messages.
const (
	MessagePage     MessageKind = "page" // somebody must look now
	MessageInfo     MessageKind = "info"
	MessageApproval MessageKind = "approval"
	MessageRelease  MessageKind = "release"
)

// Names of templates.
const (
	TemplateSuspended        = "suspended"
	TemplateHeld             = "held" // a guard rail holds the run back, and a person has to decide
	TemplateApprovalNeeded   = "approval_needed"
	TemplateApprovalAnswered = "approval_answered"
	TemplateReleased         = "released"
	TemplatePage             = "page"
	TemplateAskPerson        = "ask_person"
	TemplateTest             = "test"
)

// MessageTemplates lists the names of the templates. A playbook may name all but test.
func MessageTemplates() []string {
	return []string{
		TemplateSuspended, TemplateHeld, TemplateApprovalNeeded, TemplateApprovalAnswered, TemplateReleased,
		TemplatePage, TemplateAskPerson, TemplateTest,
	}
}

// languages are those that each template is there in.
func languages() []string { return []string{"en", "de"} }

// Message is what is said about a case. Its texts may come from events: whatever is in them, they are shown as text.
type Message struct {
	ID       string // of this message, the same with each try; receivers know a repetition by it
	Kind     MessageKind
	Template string
	Language string // en or de; empty: the channel's
	At       time.Time

	Account    string // name of the account
	AccountID  string
	CaseID     string
	CaseNumber int64
	Title      string // of the case
	Level      detect.Level
	Person     string // whom it is about, as people call them
	What       string // happened
	Why        string
	Until      time.Time // when it ends by itself; zero: it does not
	Done       string    // what was done
	Asked      string    // what is asked of the reader

	CaseURL   string // page of the case
	AnswerURL string // one-time link to answer an approval or a question; secret
	DedupKey  string // messages with the same one are about the same thing; usually of the case

	To string // e-mail address of the reader instead of those of the channel; for ask_person, which needs one
}

// view is what templates see: texts that were made harmless, and nothing that can be called.
type view struct {
	Account, Case, Title, Level, Person, What, Why, Until, Done, Asked string
}

// notice is a message in words, before a medium shows it.
type notice struct {
	Language string
	Title    string
	Texts    []string
	Facts    []fact
	Links    []link
}

type fact struct{ Label, Value string }

type link struct{ Label, URL string }

// lengths in characters.
const (
	mostTitle = 120
	mostName  = 80
	mostText  = 600
)

//go:embed templates
var templates embed.FS

// notice puts the message into words.
//
// A template is a text of lines. The first one is the title; one that begins with "- " is a fact, label and value; one
// that begins with "[case] " or "[answer] " is a link with its label; others are paragraphs. Each line is a template of
// its own, so that what a line is follows from the file alone, whatever the texts in it are.
func (m Message) notice(language string) (notice, error) {
	n := notice{Language: language}
	file := path.Join("templates", language, m.Template+".txt")
	text, err := templates.ReadFile(file)
	if err != nil {
		return n, problem.InField("template", "there is no template %q; there are %s", plain(m.Template, 60), strings.Join(MessageTemplates(), ", "))
	}
	v := m.view(language)
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		put := func(source string) string {
			var b strings.Builder
			t, e := template.New(file).Option("missingkey=error").Parse(source)
			if e == nil {
				e = t.Execute(&b, v)
			}
			if e != nil && err == nil {
				err = fmt.Errorf("template %s, line %d: %w", file, i+1, e)
			}
			return strings.TrimSpace(b.String())
		}
		switch rest, isFact := strings.CutPrefix(line, "- "); {
		case i == 0:
			n.Title = put(line)
		case isFact:
			label, value, _ := strings.Cut(rest, ": ")
			if text := put(value); text != "" {
				n.Facts = append(n.Facts, fact{label, text})
			}
		case strings.HasPrefix(line, "[case] "):
			n.addLink(strings.TrimPrefix(line, "[case] "), m.CaseURL)
		case strings.HasPrefix(line, "[answer] "):
			n.addLink(strings.TrimPrefix(line, "[answer] "), m.AnswerURL)
		default:
			if text := put(line); text != "" {
				n.Texts = append(n.Texts, text)
			}
		}
	}
	for _, l := range n.Links {
		if _, bad := checkURL("link", l.URL, true); bad != nil && err == nil {
			err = fmt.Errorf("link %q of a message: %w", l.Label, bad)
		}
	}
	return n, err
}

func (n *notice) addLink(label, url string) {
	if url != "" {
		n.Links = append(n.Links, link{label, url})
	}
}

func (m Message) view(language string) view {
	v := view{
		Account: inline(m.Account, mostName), Title: inline(m.Title, mostTitle), Person: inline(m.Person, mostName),
		What: inline(m.What, mostText), Why: inline(m.Why, mostText), Done: inline(m.Done, mostText), Asked: inline(m.Asked, mostText),
		Level: levelName(m.Level, language),
	}
	if m.CaseNumber > 0 {
		v.Case = strconv.FormatInt(m.CaseNumber, 10)
	}
	if !m.Until.IsZero() {
		v.Until = m.Until.UTC().Format("2006-01-02 15:04 UTC")
	}
	return v
}

// text is the notice as plain text, for media that show nothing else.
func (n notice) text() string {
	var b strings.Builder
	b.WriteString(n.Title + "\n")
	for _, t := range n.Texts {
		b.WriteString("\n" + t + "\n")
	}
	if len(n.Facts) > 0 {
		b.WriteString("\n")
	}
	for _, f := range n.Facts {
		b.WriteString(f.Label + ": " + f.Value + "\n")
	}
	for _, l := range n.Links {
		b.WriteString("\n" + l.Label + ":\n" + l.URL + "\n")
	}
	return b.String()
}
