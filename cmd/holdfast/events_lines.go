package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"holdfast/internal/audit"
	"holdfast/internal/feed"
	"holdfast/internal/origin"
)

// eventLine is an event for people, in columns.
type eventLine struct {
	colour string // of the result
	result string // what came of it, or what was done
	who    string
	what   string // more closely, or to what it was done
	from   string // place and address
	with   string // program
}

// The widths of the columns; what is longer is cut, the last one at the end of the terminal.
const (
	resultWidth = 22
	whoWidth    = 22
	whatWidth   = 24
	fromWidth   = 34
)

// eventLines prints events, as lines or as JSON.
type eventLines struct {
	w     io.Writer
	json  bool
	now   func() time.Time
	width int // of the terminal; 0 if there is none
	paint func(colour, text string) string
}

func newEventLines(std stdio, asJSON bool) *eventLines {
	l := &eventLines{w: std.out, json: asJSON, now: time.Now, paint: painter(std.out, std.env)}
	if isTerminal(std.out) {
		if width, _, err := term.GetSize(int(std.out.(*os.File).Fd())); err == nil {
			l.width = width
		}
	}
	return l
}

func (l *eventLines) print(e tailEvent) error {
	if l.json {
		line, err := jsonLine(e)
		if err == nil {
			_, err = l.w.Write(line)
		}
		return err
	}
	at := e.At.Local()
	stamp := at.Format("15:04:05")
	if now := l.now(); at.YearDay() != now.YearDay() || at.Year() != now.Year() {
		stamp = at.Format("2006-01-02 15:04:05")
	}
	rest := column(e.line.who, whoWidth) + "  " + column(e.line.what, whatWidth) + "  " + column(e.line.from, fromWidth) + "  " + shown(e.line.with)
	rest = strings.TrimRight(rest, " ")
	if room := l.width - utf8.RuneCountInString(stamp) - resultWidth - 4; l.width > 0 {
		rest = cut(rest, room)
	}
	_, err := fmt.Fprintf(l.w, "%s  %s  %s\n", l.paint(grey, stamp), l.paint(e.line.colour, column(e.line.result, resultWidth)), rest)
	return err
}

// column is the text in a column of the width.
func column(text string, width int) string {
	text = cut(shown(text), width)
	return text + strings.Repeat(" ", width-utf8.RuneCountInString(text))
}

// cut shortens a text that is too long.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(0, width-1)]) + "…"
}

// shown is a text without what would command the terminal: names and programs are what strangers choose.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, text)
}

func attemptLine(a feed.Attempt) eventLine {
	line := eventLine{
		colour: yellow, result: strings.ReplaceAll(a.Category, "_", " "), who: name(a.User, "unknown address"), what: a.Type,
		from: whereabouts(a.Location, a.Client.Address), with: programOf(a.Client),
	}
	switch a.Category {
	case "success":
		line.colour, line.result = green, "signed in"
	case "firewall_reported_success":
		line.result = "signed in, reported"
	case "firewall_failed":
		line.colour, line.result = red, "refused"
	}
	if a.Details != "" {
		line.what += " " + a.Details
	}
	return line
}

func usageLine(u feed.Usage) eventLine {
	return eventLine{
		colour: cyan, result: "item " + u.Action, who: name(u.User, u.User.ID), what: u.ItemID,
		from: whereabouts(u.Location, u.Client.Address), with: programOf(u.Client),
	}
}

func auditedLine(a feed.Audited) eventLine {
	line := eventLine{colour: cyan, result: string(a.Entry.Action), who: name(a.Actor, cmp.Or(a.Entry.Actor, "Holdfast")), what: name(a.Target, a.Entry.Target), from: a.Entry.Address}
	switch a.Entry.Action {
	case audit.UserSuspend, audit.UserRemove, audit.AppRevoke:
		line.colour = red
	case audit.UserReactivate:
		line.colour = green
	}
	return line
}

// name is what somebody is called.
func name(p feed.Party, otherwise string) string { return cmp.Or(p.Name, p.Email, otherwise) }

// whereabouts is a place and an address.
func whereabouts(l origin.Location, address string) string {
	var parts []string
	for _, part := range []string{l.City, l.Country} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.TrimSpace(strings.Join(parts, ", ") + "  " + address)
}

// programOf is "Chrome 129, Windows", as far as it is known.
func programOf(from origin.Client) string {
	if from.Platform == "" {
		return from.App
	}
	name := from.Platform
	if major, _, _ := strings.Cut(from.PlatformVersion, "."); major != "" {
		name += " " + major
	}
	if from.OS != "" {
		name += ", " + from.OS
	}
	return name
}
