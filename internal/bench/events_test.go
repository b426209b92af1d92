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

func buildEvents(ctx context.Context, cfg config.Config, log io.Writer) (bench.EventsServer, error) {
	s, err := server.New(ctx, cfg, server.Options{Log: slog.New(slog.NewJSONHandler(log, nil))})
	if err == nil {
		s.Events().Limits = nil
	}
	return s, err
}

func TestEvents(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			o := options(t)
			if kind == "postgres" {
				o.Database = os.Getenv("TEST_POSTGRES")
				storetest.Require(t, "postgres", o.Database != "", "TEST_POSTGRES is not set; run: scripts/with-postgres.sh go test ./internal/bench")
			}
			o.Events, o.Attempts = 12_500, 3 // not a multiple of what is copied at once
			r, err := bench.Events(t.Context(), o, buildEvents)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(bench.EventsRows(), names(r)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			for _, row := range r.Rows {
				waits := row.Unit == "ms (p50)"
				if row.Value <= 0 || row.P99 <= 0 || waits != (row.Floor == 0) || !waits && row.Ratio != row.Value/row.Floor {
					t.Errorf("row is %+v", row)
				}
			}
			if r.Machine.Events != 12_500 || r.Machine.Conns != 1 || r.Machine.Database != kind {
				t.Errorf("machine is %+v", r.Machine)
			}
			if text := r.Machine.String(); !strings.Contains(text, "12,500 events") {
				t.Errorf("the machine says %q, nothing of 12,500 events", text)
			}
			empty(t, o.Dir)
		})
	}
}

// TestEventsOnly: what is not asked for is not measured.
func TestEventsOnly(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Events, o.Attempts, o.Duration, o.Rounds = 10_000, 1, 10*time.Millisecond, 1
	o.Only = []string{"feed"}
	r, err := bench.Events(t.Context(), o, buildEvents)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(o.Only, names(r)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestEventsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(o *bench.Options)
		want string
	}{
		{"row", func(o *bench.Options) { o.Only = []string{"put"} }, `no row "put"`},
		{"events", func(o *bench.Options) { o.Events = 9_999 }, "9999 events"},
		{"attempts", func(o *bench.Options) { o.Attempts = 0 }, "0 attempts"},
		{"rounds", func(o *bench.Options) { o.Rounds = 0 }, "at least one round"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t)
			o.Events, o.Attempts = 10_000, 1
			tt.do(&o)
			_, err := bench.Events(t.Context(), o, buildEvents)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want one about %q", err, tt.want)
			}
			empty(t, o.Dir)
		})
	}
}
