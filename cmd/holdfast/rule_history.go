package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/signals"
	"holdfast/internal/synth"
)

// truth is what is known about an event of a history: member truth of its line. An event without one, or
// without a kind, is benign.
type truth struct {
	Kind     string `json:"kind,omitempty"`     // of attack
	Attack   int    `json:"attack,omitempty"`   // its number, to tell attacks of one kind apart
	Takeover bool   `json:"takeover,omitempty"` // with this event the attacker gets in
	Note     string `json:"note,omitempty"`     // what is unusual about a benign one
}

// labelled is an event with what is known about it.
type labelled struct {
	event signals.Event
	truth truth
}

// networkJSON is what a location database says: member network of a line, beside the form of 1Password.
type networkJSON struct {
	ASN       int64  `json:"asn,omitempty"`
	Name      string `json:"name,omitempty"`
	Anonymous bool   `json:"anonymous"`
	Radius    int    `json:"radius_km,omitempty"`
}

// labelReader reads histories: NDJSON in the form of 1Password with the members truth and network. Both
// are taken out before anything else sees the event.
type labelReader struct {
	decoder signals.Decoder
}

func (l labelReader) read(line []byte) (labelled, error) {
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(line, &whole); err != nil {
		return labelled{}, fmt.Errorf("not a JSON object: %w", err)
	}
	var out labelled
	var network *networkJSON
	for name, to := range map[string]any{"truth": &out.truth, "network": &network} {
		if raw, ok := whole[name]; ok {
			if err := json.Unmarshal(raw, to); err != nil {
				return labelled{}, fmt.Errorf("%s is not as expected: %w", name, err)
			}
			delete(whole, name)
		}
	}
	plain, err := json.Marshal(whole)
	if err != nil {
		return labelled{}, err
	}
	if out.event, err = l.decoder.Decode(plain); err != nil {
		return labelled{}, err
	}
	if network != nil {
		at := &out.event.Src.Location
		at.ASN, at.Network, at.Anonymous, at.AnonymousKnown = network.ASN, network.Name, network.Anonymous, true
		if network.Radius > 0 && at.HasPoint() {
			at.Radius = network.Radius
		}
	}
	return out, nil
}

// history is a labelled history, in order of time.
type history struct {
	events  iter.Seq[labelled]
	people  int     // 0: as many as there are in the events
	days    float64 // 0: from the first event to the last
	steps   int64   // for a bar; -1: unknown
	refused int
	err     error // why it ended early
}

// lines reads a history from a file.
func (h *history) lines(in io.Reader, name string, std stdio, decoder signals.Decoder) {
	h.steps = -1
	h.events = func(yield func(labelled) bool) {
		r := labelReader{decoder}
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, 1<<20)
		var last time.Time
		for n := 1; lines.Scan(); n++ {
			line := bytes.TrimSpace(lines.Bytes())
			if len(line) == 0 {
				continue
			}
			e, err := r.read(line)
			if err != nil {
				if h.refused++; h.refused <= shownErrors {
					fmt.Fprintf(std.err, "%s:%d: %v\n", name, n, err)
				}
				continue
			}
			if e.event.When().Before(last) {
				h.err = fmt.Errorf("%s:%d: the event is earlier than the one before it; sort the file by time", name, n)
				return
			}
			last = e.event.When()
			if !yield(e) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			h.err = fmt.Errorf("%s: %w", name, err)
		}
	}
}

const synthScheme = "synth:"

// synthetic makes a history up, by synth:SEED[:PEOPLE[:DAYS]]. There are ten attacks of each kind in a
// year of 1,000 people, and three at least.
func synthetic(what string, decoder signals.Decoder) (*history, error) {
	numbers := []uint64{0, 500, 120}
	parts := strings.Split(strings.TrimPrefix(what, synthScheme), ":")
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil || i > 2 || i > 0 && (n < 1 || n > 1_000_000) {
			return nil, problem.New(problem.Invalid, "--accuracy %s: write synth:SEED, synth:SEED:PEOPLE or synth:SEED:PEOPLE:DAYS, with whole numbers", what)
		}
		numbers[i] = n
	}
	c := synth.Config{
		Seed: numbers[0], Start: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), Days: int(numbers[2]), Invent: int(numbers[1]), Awkward: true,
	}
	c.Attacks = synth.Each(max(3, c.Days*c.Invent/36_500))
	h := &history{people: c.Invent, days: float64(c.Days), steps: int64(c.Days)}
	h.events = func(yield func(labelled) bool) {
		w := synthWriter{roster: c.Roster(), decoder: decoder}
		for e := range synth.Generate(c) {
			l, err := w.event(&e)
			if err != nil {
				h.err = err
				return
			}
			if !yield(l) {
				return
			}
		}
	}
	return h, nil
}

// synthWriter gives made-up events the way that those of a source come: as text that is decoded.
type synthWriter struct {
	roster  []synth.Person
	decoder signals.Decoder
	number  int
}

type attemptJSON struct {
	UUID      string         `json:"uuid"`
	Session   string         `json:"session_uuid"`
	Timestamp time.Time      `json:"timestamp"`
	Category  string         `json:"category"`
	Type      string         `json:"type"`
	Country   string         `json:"country,omitempty"`
	User      map[string]any `json:"target_user"`
	Client    map[string]any `json:"client"`
	Location  map[string]any `json:"location"`
}

func (w *synthWriter) event(e *synth.Event) (labelled, error) {
	w.number++
	c, at := &e.Client, &e.Location
	v := attemptJSON{
		UUID: "E" + strconv.Itoa(w.number), Session: e.Session, Timestamp: e.At, Category: e.Category, Type: e.Type, Country: at.Country,
		User: map[string]any{"email": e.Email},
		Client: map[string]any{
			"app_name": c.App, "app_version": c.AppVersion, "platform_name": c.Platform, "platform_version": c.PlatformVersion,
			"os_name": c.OS, "os_version": c.OSVersion, "ip_address": c.Address,
		},
		Location: map[string]any{"country": at.Country, "region": at.Region, "city": at.City, "latitude": at.Latitude, "longitude": at.Longitude},
	}
	if e.Person >= 0 {
		v.User["name"] = w.roster[e.Person].Name
	}
	line, err := json.Marshal(v)
	if err != nil {
		return labelled{}, fmt.Errorf("make an event up: %w", err)
	}
	out := labelled{truth: truth{e.Truth, e.Attack, e.Takeover, e.Note}}
	if out.event, err = w.decoder.Decode(line); err != nil {
		return labelled{}, fmt.Errorf("make an event up: %w", err)
	}
	out.event.Src.Location = *at // as a location database knows it
	return out, nil
}

// openHistory opens a file or makes a history up.
func (c *ruleTestCmd) openHistory(in *counted, std stdio) (*history, error) {
	decoder, err := signals.NewDecoder(c.Format)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(c.Accuracy, synthScheme) {
		return synthetic(c.Accuracy, decoder)
	}
	if in == nil {
		return nil, errors.New("there is no file")
	}
	h := &history{}
	h.lines(in, inputName(c.Accuracy), std, decoder)
	return h, nil
}
