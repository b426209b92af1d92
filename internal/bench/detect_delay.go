package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/config"
	"holdfast/internal/detect"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
	"holdfast/internal/store"
)

// benchRule finds each sign-in of the benchmark, for one finding a person.
const benchRule = `title: Sign-in of the benchmark
name: bench
level: high
logsource: {product: holdfast, category: authentication, service: signin}
taxonomy: ocsf
detection:
  signed_in: {activity_name: Logon, status: Success}
  condition: signed_in
`

// benchPlaybook suspends whom it is about.
const benchPlaybook = `apiVersion: holdfast/v1
kind: Playbook
metadata: {name: bench, owner: bench}
mode: enforce
on: [bench]
do:
  - suspend: {for: 24h, release: always%s}
  - end_sessions: {}
`

// automated is the configuration of a server with the rule, and with the playbook if it has one.
func (o Options) automated(p place, dir, playbook string) (config.Config, error) {
	files := map[string]string{"rules": benchRule, "playbooks": playbook}
	set := map[string]string{
		"data": p.Dir, "database": p.Database, "sqlite.mmap_size": fmt.Sprint(o.MmapSize), "listen.api": "127.0.0.1:0", "listen.ops": "off",
	}
	for key, text := range files {
		if text == "" {
			continue
		}
		set[key] = filepath.Join(dir, key)
		if err := os.MkdirAll(set[key], 0o700); err != nil {
			return config.Config{}, fmt.Errorf("make folder: %w", err)
		}
		if err := os.WriteFile(filepath.Join(set[key], "bench.yml"), []byte(text), 0o600); err != nil {
			return config.Config{}, fmt.Errorf("write %s: %w", key, err)
		}
	}
	return config.Load(config.Options{Overrides: set})
}

// run runs a server until stop is called, which returns what went wrong.
func run(ctx context.Context, s Server) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

// enter stores that the person has signed in, at an address where nobody else does.
func enter(ctx context.Context, db *store.DB, account, person string, i int) error {
	_, hash := seal.NewCredential("bench_")
	a := attempt(0, person)
	a.AccountID, a.Client.Address = account, fmt.Sprintf("2001:db8::%x:%x", i/0xffff+1, i%0xffff+1)
	_, err := db.SignIn(ctx, account, person, signin.NewSession{Hash: hash, Method: a.Method, Client: a.Client}, signin.Used{}, a, audit.Entry{Actor: "operator:bench"})
	return err
}

// finding measures from the call that stores a sign-in to the stored finding. The storing itself is in it.
func (o Options) finding(ctx context.Context, dir string, build func(context.Context, config.Config, io.Writer) (EventsServer, error)) (rows []Row, err error) {
	p, err := o.newPlace(ctx, dir)
	defer func() { err = errors.Join(err, o.drop(ctx, p)) }()
	if err != nil {
		return nil, err
	}
	a, err := o.fill(ctx, p, o.People, true, func(int) {})
	if err != nil {
		return nil, err
	}
	cfg, err := o.automated(p, dir, "")
	if err != nil {
		return nil, err
	}
	last := &tail{}
	s, err := build(ctx, cfg, last)
	if err != nil {
		return nil, err
	}
	stop := run(ctx, s)
	defer func() { err = errors.Join(err, stop()) }()
	took := make([]time.Duration, 0, o.Attempts)
	for i := range o.Attempts + 1 { // the first one waits until everything runs, and does not count
		o.Progress(rowFinding, float64(i)/float64(o.Attempts+1))
		began := o.Now()
		if err := enter(ctx, s.Store(), a.ID, a.People[i], i); err != nil {
			return nil, err
		}
		if err := o.awaitFinding(ctx, s.Store(), a.ID, a.People[i]); err != nil {
			return nil, fmt.Errorf("%w%s", err, last)
		}
		if i > 0 {
			took = append(took, o.Now().Sub(began))
		}
		if err := pause(ctx, time.Duration(5+i%7)*time.Millisecond); err != nil { // idle, and in step with nothing
			return nil, err
		}
	}
	return []Row{{Name: rowFinding, Unit: halfFound, Value: within(took, 50), P99: within(took, 99)}}, nil
}

// longest is how long is waited for what should come at once.
const longest = 30 * time.Second

// awaitFinding returns once there is a finding of the rule about the person.
func (o Options) awaitFinding(ctx context.Context, db *store.DB, account, person string) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	for {
		newest, err := db.FindingList(ctx, detect.FindingQuery{AccountID: account, Limit: 20})
		if err != nil {
			return err
		}
		seq := int64(0)
		for _, f := range newest {
			if f.Rule == "bench" && f.PersonID == person {
				return nil
			}
			seq = max(seq, f.Seq)
		}
		if err := db.WaitFindings(ctx, account, seq); err != nil {
			return fmt.Errorf("wait for a finding: %w", err)
		}
	}
}

// pause waits, or returns the context's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
