package bench_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/bench"
	"holdfast/internal/config"
	"holdfast/internal/server"
	"holdfast/internal/store/storetest"
)

func buildServer(ctx context.Context, cfg config.Config, log io.Writer) (*server.Server, error) {
	return server.New(ctx, cfg, server.Options{Log: slog.New(slog.NewJSONHandler(log, nil))})
}

func detection(ctx context.Context, o bench.Options) (bench.Report, error) {
	return bench.Detect(ctx, o, func(ctx context.Context, cfg config.Config, log io.Writer) (bench.EventsServer, error) {
		return buildServer(ctx, cfg, log)
	})
}

func response(ctx context.Context, o bench.Options) (bench.Report, error) {
	return bench.Respond(ctx, o, func(ctx context.Context, cfg config.Config, log io.Writer) (bench.RespondServer, error) {
		return buildServer(ctx, cfg, log)
	})
}

func TestDetect(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			o := options(t)
			if kind == "postgres" {
				o.Database = os.Getenv("TEST_POSTGRES")
				storetest.Require(t, "postgres", o.Database != "", "TEST_POSTGRES is not set; run: scripts/with-postgres.sh go test ./internal/bench")
			}
			o.Events, o.Attempts, o.Keys = 1650, 2, 500 // turns are no multiple of what is inserted at once
			r, err := detection(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(bench.DetectRows(), names(r)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			beside := map[string]bool{"match 1000 rules": true, "whole path": true, "whole path by processor": true}
			for _, row := range r.Rows {
				// So little memory may not show beside what else is freed meanwhile.
				if row.Value <= 0 && row.Name != "memory" || beside[row.Name] != (row.Floor > 0) || row.Floor > 0 && row.Ratio != row.Value/row.Floor || (row.P99 > 0) != (row.Unit == "ms (p50)") {
					t.Errorf("row is %+v", row)
				}
			}
			if r.Machine.Procs < 1 || !strings.Contains(r.Machine.String(), "GOMAXPROCS") {
				t.Errorf("machine is %+v", r.Machine)
			}
			empty(t, o.Dir)
		})
	}
}

// TestRespond suspends people here and elsewhere; what is elsewhere is as far away as it says.
func TestRespond(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			o := options(t)
			o.People, o.Attempts = 100, 3
			servers := 1
			if kind == "postgres" {
				o.Database, servers = os.Getenv("TEST_POSTGRES"), 3
				storetest.Require(t, "postgres", o.Database != "", "TEST_POSTGRES is not set; run: scripts/with-postgres.sh go test ./internal/bench")
			}
			r, err := response(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(bench.RespondRows(), names(r)); diff != "" {
				t.Fatalf("rows (-want +got):\n%s", diff)
			}
			for i, least := range []time.Duration{0, bench.Latency} {
				if row := r.Rows[i]; row.Unit != "ms (p50)" || row.Value <= least.Seconds()*1000 || row.P99 < row.Value {
					t.Errorf("row is %+v", row)
				}
			}
			if r.Machine.Servers != servers {
				t.Errorf("machine is %+v", r.Machine)
			}
			empty(t, o.Dir)
		})
	}
}

func TestDetectRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		run  func(context.Context, bench.Options) (bench.Report, error)
		do   func(o *bench.Options)
		want string
	}{
		{"row", detection, func(o *bench.Options) { o.Only = []string{"put"} }, `no row "put"`},
		{"events", detection, func(o *bench.Options) { o.Events = 2 }, "2 events"},
		{"attempts", detection, func(o *bench.Options) { o.Attempts = 200 }, "200 attempts"},
		{"keys", detection, func(o *bench.Options) { o.Keys = 0 }, "0 keys"},
		{"rounds", detection, func(o *bench.Options) { o.Rounds = 0 }, "at least one round"},
		{"row of responding", response, func(o *bench.Options) { o.Only = []string{"put"} }, `no row "put"`},
		{"attempts of responding", response, func(o *bench.Options) { o.Attempts = 0 }, "0 attempts"},
		{"people", response, func(o *bench.Options) { o.People = 150 }, "150 people"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t)
			o.Events, o.Attempts, o.Keys = 1000, 1, 100
			tt.do(&o)
			_, err := tt.run(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want one about %q", err, tt.want)
			}
			empty(t, o.Dir)
		})
	}
}
