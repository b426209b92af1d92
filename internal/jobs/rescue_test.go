package jobs_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/internal/jobs"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// dyingChild turns this test binary into a process that takes a job and dies at it.
const dyingChild = "HOLDFAST_TEST_JOBS_CHILD"

// where is a place, as it is told to the process.
type where struct{ Kind, Dir, Database string }

// TestDyingChild is no test: it is the process that TestRescue kills.
func TestDyingChild(t *testing.T) {
	spec := os.Getenv(dyingChild)
	if spec == "" {
		return
	}
	var w where
	if err := json.Unmarshal([]byte(spec), &w); err != nil || w.Dir == "" {
		t.Fatalf("%s is %q: %v", dyingChild, spec, err)
	}
	p := storetest.Place{Kind: w.Kind, Dir: w.Dir, Database: w.Database, Now: time.Now}
	db, err := store.Open(t.Context(), p.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	workers := jobs.NewWorkers()
	jobs.Handle(workers, func(ctx context.Context, _ note) error {
		fmt.Println("taken")
		<-ctx.Done()
		return ctx.Err()
	})
	r, err := jobs.NewRunner(t.Context(), db.Jobs(), workers, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed, or its parent is gone
}

// TestRescue kills a process at a job. The job is not lost: after a while another process takes it over.
func TestRescue(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		t.Parallel() // it waits for a retry and the scheduler
		b := open(t, p)
		b.enqueue(t, (*sql.Tx).Commit, jobs.Job{Args: note{"survivor"}})
		die(t, p)
		if got := b.state(t, note{}); got != "running after 1" {
			t.Fatalf("after its process died the job is %s", got)
		}
		// An hour passes: by the database's clock the job, and the dead process's lead, are that old.
		old := "NOW() - INTERVAL '1 hour'"
		if p.Kind == "sqlite" {
			old = "datetime('now', '-1 hour', 'subsec')"
		}
		for _, q := range []string{"UPDATE river_job SET attempted_at = " + old, "UPDATE river_leader SET expires_at = " + old} {
			if _, err := b.SQL.ExecContext(t.Context(), q); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
		}
		w := jobs.NewWorkers()
		var ran atomic.Int32
		jobs.Handle(w, func(_ context.Context, n note) error {
			if n.Text == "survivor" {
				ran.Add(1)
			}
			return nil
		})
		b.run(t, w)
		within(t, patience, "the job is taken over", func() bool { return b.state(t, note{}) == "completed after 2" })
		if got := ran.Load(); got != 1 {
			t.Errorf("it ran %d times", got)
		}
	})
}

// die starts a process, waits until it has taken a job, and kills it.
func die(t *testing.T, p *storetest.Place) {
	t.Helper()
	spec, err := json.Marshal(where{p.Kind, p.Dir, p.Database})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestDyingChild$", "-test.v")
	cmd.Env = append(os.Environ(), dyingChild+"="+string(spec))
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	taken := false
	for !taken && lines.Scan() {
		taken = lines.Text() == "taken"
	}
	killErr := cmd.Process.Kill()
	_ = cmd.Wait() // "signal: killed"
	if !taken || killErr != nil {
		t.Fatalf("the process did not take the job (%v), or could not be killed (%v)", lines.Err(), killErr)
	}
}
