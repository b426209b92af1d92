package bench

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/signals"
	"holdfast/internal/store"
	"holdfast/internal/synth"
)

// line is the event as the Events API has it.
func line(e synth.Event, n int) []byte {
	out := floorEvent{
		UUID: fmt.Sprintf("%026d", n), Session: e.Session, Timestamp: e.At, Category: e.Category, Type: e.Type, Country: e.Location.Country,
		User: floorParty{Email: e.Email, Name: e.Email},
		Client: floorClient{
			App: e.Client.App, AppVersion: e.Client.AppVersion, Platform: e.Client.Platform, PlatformVersion: e.Client.PlatformVersion,
			OS: e.Client.OS, OSVersion: e.Client.OSVersion, Address: e.Client.Address,
		},
		Location: &floorLocation{Country: e.Location.Country, Region: e.Location.Region, City: e.Location.City},
	}
	if e.Location.Radius > 0 {
		out.Location.Latitude, out.Location.Longitude = &e.Location.Latitude, &e.Location.Longitude
	}
	text, _ := json.Marshal(out) // texts and numbers only, which cannot fail
	return text
}

// pathBench takes events from their lines to what follows from them.
type pathBench struct {
	o        Options
	db       *store.DB
	account  string
	decoder  signals.Decoder
	lines    [][]byte
	forms    [][]byte   // in which they are stored, for the floor
	done     int        // events stored
	taken    chan int64 // number of the last event that detection is finished with
	floor    *sql.DB
	inserted int
	last     tail // of what detection logs
}

const pathBatch = 1000 // events of an answer of a source, and of a transaction of the floor

// path measures both sides in turns, each with the same number of events, which are the next ones.
func (o Options) path(ctx context.Context, dir string) (rows []Row, err error) {
	b := pathBench{o: o, taken: make(chan int64, 1)}
	if b.decoder, err = signals.NewDecoder(signals.OnePassword); err != nil {
		return nil, err
	}
	for e := range synth.Generate(o.history(o.People)) {
		if len(b.lines) == o.Events {
			break
		}
		l := line(e, len(b.lines))
		event, err := b.decoder.Decode(l)
		if err != nil {
			return nil, err
		}
		form, err := signals.EncodeOCSF(&event)
		if err != nil {
			return nil, err
		}
		b.lines, b.forms = append(b.lines, l), append(b.forms, form)
	}
	if len(b.lines) < o.Events {
		return nil, fmt.Errorf("%d people do only %d things in a year; want %d events", o.People, len(b.lines), o.Events)
	}
	ours, err := o.newPlace(ctx, filepath.Join(dir, "path"))
	defer func() { err = errors.Join(err, o.drop(ctx, ours)) }()
	if err != nil {
		return nil, err
	}
	bare, err := o.newPlace(ctx, filepath.Join(dir, "insert"))
	defer func() { err = errors.Join(err, o.drop(ctx, bare)) }()
	if err != nil {
		return nil, err
	}
	if b.db, err = o.open(ctx, ours); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.db.Close()) }()
	made, _, err := b.db.CreateAccount(ctx, directory.NewAccount{Name: "Benchmark", OwnerEmail: "owner@" + emailDomain, OwnerName: "Olga Owner"}, audit.Entry{Actor: "operator:bench"})
	if err != nil {
		return nil, err
	}
	b.account = made.ID
	close, err := b.openFloor(ctx, bare)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, close()) }()
	stop, err := b.detect(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	part := o.Events / (o.Rounds + 1) // the first turn does not count
	rounds, err := turns(o.Rounds, func(i int) (result, error) {
		return b.round(ctx, part, []func(context.Context, int) error{b.ours, b.bare}[i])
	}, func(done float64) { o.Progress(rowPath, done) })
	if err != nil {
		return nil, err
	}
	return []Row{
		newRow(rowPath, eventsPerSecond, rounds, result.perSecond),
		newRow(rowPathWork, eventsOfCore, rounds, func(r result) float64 { return float64(r.Requests) / r.work }),
	}, nil
}

func (b *pathBench) round(ctx context.Context, n int, do func(context.Context, int) error) (result, error) {
	work, err := processorTime()
	if err != nil {
		return result{}, err
	}
	began := b.o.Now()
	if err := do(ctx, n); err != nil {
		return result{}, err
	}
	took := b.o.Now().Sub(began).Seconds()
	now, err := processorTime()
	return result{Requests: n, Seconds: took, work: (now - work).Seconds()}, err
}

// ours stores the next events as a source that is asked does, and waits until detection is finished with them.
func (b *pathBench) ours(ctx context.Context, n int) error {
	for part := range slices.Chunk(b.lines[b.done:b.done+n], pathBatch) {
		rows, err := b.rows(ctx, part)
		if err != nil {
			return err
		}
		added, err := b.db.AddSignals(ctx, signals.Addition{AccountID: b.account, SourceID: signals.LocalID, Rows: rows})
		if err == nil && added.Accepted != len(part) {
			err = fmt.Errorf("of %d events %d were stored", len(part), added.Accepted)
		}
		if err != nil {
			return err
		}
		b.done += len(part)
	}
	limited, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	for {
		select {
		case <-limited.Done():
			return fmt.Errorf("detection is not finished with %d events: %w%s", n, limited.Err(), &b.last)
		case seq := <-b.taken:
			if seq >= int64(b.done) {
				return nil
			}
		}
	}
}

// rows decodes lines, recognises people and brings the events into the form in which they are stored.
func (b *pathBench) rows(ctx context.Context, lines [][]byte) ([]signals.Row, error) {
	now := b.o.Now().UTC()
	events := make([]signals.Event, len(lines))
	var emails []string
	for i, l := range lines {
		var err error
		if events[i], err = b.decoder.Decode(l); err != nil {
			return nil, err
		}
		events[i].AccountID, events[i].ReceivedAt, events[i].Raw = b.account, now, string(l)
		emails = append(emails, events[i].User.Email)
	}
	people, err := b.db.FindPeople(ctx, b.account, signals.OnePassword, nil, emails, nil)
	if err != nil {
		return nil, err
	}
	rows := make([]signals.Row, len(events))
	for i := range events {
		e := &events[i]
		text, err := signals.EncodeOCSF(e)
		if err != nil {
			return nil, err
		}
		rows[i] = signals.Row{
			SourceEventID: e.SourceID, At: e.When(), ReceivedAt: e.ReceivedAt, Match: signals.Identify(e, &e.User, people), Event: text, Raw: e.Raw,
		}
	}
	return rows, nil
}

// detect runs detection with the rules that come with Holdfast, until stop is called.
func (b *pathBench) detect(ctx context.Context) (stop func(), err error) {
	set, err := shipped()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		detect.NewLive(detect.LiveConfig{Store: &watched{b.db, b.taken}, Rules: sameRules{set}, Log: slog.New(slog.NewTextHandler(&b.last, nil)), Now: b.o.Now}).Run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}, nil
}

// sameRules are those of all accounts, for ever.
type sameRules struct{ set *detect.Set }

func (r sameRules) Rules(context.Context, string) (*detect.Set, int64, error) { return r.set, 1, nil }

// watched tells when detection waits for the event after a number: then all until there is taken, and what it led
// to is on the disk.
type watched struct {
	detect.Progress

	taken chan int64
}

func (w *watched) WaitSignals(ctx context.Context, account string, after int64) error {
	select { // what was told before is not of interest any more
	case <-w.taken:
	default:
	}
	w.taken <- after
	return w.Progress.WaitSignals(ctx, account, after)
}

// The floor has the columns and indexes of the stored events.
const floorSignals = `CREATE TABLE floor_signals (account_id TEXT NOT NULL, seq BIGINT NOT NULL, source_id TEXT NOT NULL, source_event_id TEXT NOT NULL,
	at BIGINT NOT NULL, received_at BIGINT NOT NULL, person_id TEXT NOT NULL, matched_by TEXT NOT NULL, event %[1]s NOT NULL, raw %[1]s NOT NULL);
	CREATE UNIQUE INDEX floor_signals_seq ON floor_signals (account_id, seq);
	CREATE UNIQUE INDEX floor_signals_source ON floor_signals (account_id, source_id, source_event_id);
	CREATE INDEX floor_signals_at ON floor_signals (account_id, at, seq);
	CREATE INDEX floor_signals_person ON floor_signals (account_id, person_id, at, seq)`

func (b *pathBench) openFloor(ctx context.Context, p place) (close func() error, err error) {
	read, write, err := store.Pools(ctx, store.Options{Database: p.Database, Dir: p.Dir, MmapSize: b.o.MmapSize})
	if err != nil {
		return nil, fmt.Errorf("open database for the floor: %w", err)
	}
	close = func() error { return errors.Join(read.Close(), write.Close()) }
	b.floor = write
	kind := "BLOB"
	if b.o.postgres() {
		kind = "BYTEA"
	}
	for statement := range strings.SplitSeq(fmt.Sprintf(floorSignals, kind), ";") {
		if _, err := write.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(fmt.Errorf("make the floor's table: %w", err), close())
		}
	}
	return close, nil
}

const floorColumns, floorAtOnce = 10, 20 // values of a row, rows of a statement

// bare inserts the same rows, ready made.
func (b *pathBench) bare(ctx context.Context, n int) error {
	for end := b.inserted + n; b.inserted < end; {
		tx, err := b.floor.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := b.insert(ctx, tx, min(end, b.inserted+pathBatch)); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}

func (b *pathBench) insert(ctx context.Context, tx *sql.Tx, end int) error {
	for b.inserted < end {
		n := min(floorAtOnce, end-b.inserted)
		var query strings.Builder
		query.WriteString("INSERT INTO floor_signals VALUES ")
		args := make([]any, 0, n*floorColumns)
		for i := range n {
			query.WriteString([]string{"(", ", ("}[min(i, 1)])
			for c := range floorColumns {
				query.WriteString([]string{"$", ", $"}[min(c, 1)] + strconv.Itoa(i*floorColumns+c+1))
			}
			query.WriteString(")")
			at, k := b.o.Now().UnixMicro(), b.inserted
			args = append(args, b.account, k+1, signals.LocalID, fmt.Sprintf("%026d", k), at, at, fmt.Sprintf("PERSON%020d", k%b.o.People), "", b.forms[k], b.lines[k])
			b.inserted++
		}
		if _, err := tx.ExecContext(ctx, query.String(), args...); err != nil {
			return fmt.Errorf("insert: %w", err)
		}
	}
	return nil
}
