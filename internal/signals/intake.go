package signals

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"holdfast/eventsapi"
)

// atOnce is how many events are stored in one transaction. More at once would make others wait for theirs.
const atOnce = 1000

// decode makes events of the lines that were asked for. What a decoder refuses is kept as it came: a source
// that is asked does not send it again.
func (s *Intake) decode(d Decoder, accountID string, lines [][]byte) []Event {
	now := s.Now().UTC()
	events := make([]Event, 0, len(lines))
	for _, line := range lines {
		e, err := d.Decode(line)
		if err != nil {
			e = unread(d.Name(), line, err)
		}
		e.AccountID, e.ReceivedAt = accountID, now
		events = append(events, e)
	}
	return events
}

// unread is an event that could not be read.
func unread(format string, line []byte, err error) Event {
	raw := strings.ToValidUTF8(string(line[:min(len(line), maxEvent)]), "\uFFFD")
	return Event{
		Source: format, SourceID: fingerprint(raw), Raw: raw, Class: ClassBase, StatusID: StatusUnknown,
		Notes: []string{clean("the event cannot be read: " + err.Error())},
	}
}

// rows identifies who the events are about and makes of them what is stored. They are of one account and format.
func (s *Intake) rows(ctx context.Context, accountID, format string, events []Event) ([]Row, error) {
	people, err := s.people(ctx, accountID, format, events)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(events))
	for i := range events {
		e := &events[i]
		r := Row{SourceEventID: e.SourceID, At: e.When(), ReceivedAt: e.ReceivedAt, Match: Identify(e, &e.User, people), Raw: e.Raw}
		short := *e
		short.Raw = ""
		if r.Event, err = EncodeOCSF(&short); err != nil {
			return nil, err
		}
		rows[i] = r
	}
	return rows, nil
}

// people finds everybody who could be meant, in few questions.
func (s *Intake) people(ctx context.Context, accountID, format string, events []Event) (People, error) {
	ids, emails, names := map[string]bool{}, map[string]bool{}, map[string]bool{}
	add := func(to map[string]bool, text string) {
		if text != "" {
			to[text] = true
		}
	}
	for i := range events {
		u := &events[i].User
		add(ids, u.ID)
		add(emails, u.Email)
		add(emails, email(u.Login))
		for _, a := range aliases(u) {
			add(names, a)
			add(emails, email(a))
		}
	}
	sorted := func(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }
	found, err := s.Store.FindPeople(ctx, accountID, format, sorted(ids), sorted(emails), sorted(names))
	return found, err
}

// Found answers for the account and the format for which it was made.
var _ People = Found{}

// ByID implements [People].
func (f Found) ByID(_, id string) (string, bool) {
	p, ok := f.IDs[id]
	return p, ok
}

// ByEmail implements [People].
func (f Found) ByEmail(_, address string) (string, bool) {
	p, ok := f.Emails[address]
	return p, ok
}

// ByAlias implements [People].
func (f Found) ByAlias(_, _, alias string) (string, bool) {
	p, ok := f.Aliases[alias]
	return p, ok
}

// take stores what a source that is asked was answered with.
func (s *Intake) take(ctx context.Context, x Setup, d Decoder, holder string, b Batch) error {
	rows, err := s.rows(ctx, x.AccountID, d.Name(), s.decode(d, x.AccountID, b.Lines))
	if err != nil {
		return err
	}
	_, err = s.Store.AddSignals(ctx, Addition{
		AccountID: x.AccountID, SourceID: x.ID, Holder: holder, Stream: b.Stream, Cursor: b.Cursor, Rows: rows,
	})
	return err
}

// Report is what became of events that were sent.
type Report struct {
	Accepted   int          `json:"accepted"`
	Duplicates int          `json:"duplicates"`
	Refused    []*LineError `json:"refused"`
}

// receive stores events that were sent, batch by batch. It is on the disk when it returns.
func (s *Intake) receive(ctx context.Context, x Setup, format string, events []Event) (Report, error) {
	var r Report
	for batch := range slices.Chunk(events, atOnce) {
		rows, err := s.rows(ctx, x.AccountID, format, batch)
		if err != nil {
			return r, err
		}
		added, err := s.Store.AddSignals(ctx, Addition{AccountID: x.AccountID, SourceID: x.ID, Rows: rows})
		if err != nil {
			return r, err
		}
		r.Accepted += added.Accepted
		r.Duplicates += added.Duplicates
	}
	return r, nil
}

// wait is how long to leave a source alone after so many failures in a row, the last one being err.
func wait(failures int, err error) time.Duration {
	const first, most = time.Second, 5 * time.Minute
	d := min(first<<min(max(failures-1, 0), 12), most)
	if e, ok := errors.AsType[*oktaStatus](err); ok {
		d = max(d, e.wait)
	}
	if e, ok := errors.AsType[*eventsapi.Error](err); ok {
		d = max(d, min(e.RetryAfter, time.Hour))
	}
	return d
}
