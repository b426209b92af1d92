package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/bench"
	"holdfast/internal/config"
	"holdfast/internal/store/storetest"
)

// TestMain is also the program that the benchmark runs itself with.
func TestMain(m *testing.M) {
	// A child must never get as far as the tests, whatever it was told: it would start children itself.
	if len(os.Args) > 1 && os.Args[1] == "bench-child" {
		if err := child(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// With -race each child would sleep for a second before it ends.
	if err := os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func child(args []string) error {
	ctx := context.Background()
	switch command := strings.Join(args, " "); command {
	case "serve-holdfast":
		return bench.ServeHoldfast(ctx, os.Stdin, os.Stdout, func(ctx context.Context, cfg config.Config, log io.Writer) (bench.Server, error) {
			return buildEvents(ctx, cfg, log)
		})
	case "serve-floor":
		return bench.ServeFloor(ctx, os.Stdin, os.Stdout, time.Now)
	case "load":
		return bench.Load(ctx, os.Stdin, os.Stdout, time.Now)
	default:
		return fmt.Errorf("no command %q", command)
	}
}

// options measure next to nothing.
func options(t *testing.T) bench.Options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return bench.Options{
		Self: []string{self, "bench-child"}, Version: "test", Now: time.Now, Database: "sqlite", MmapSize: 1 << 28, Dir: t.TempDir(),
		People: 200, Duration: 60 * time.Millisecond, Rounds: 2, Progress: func(string, float64) {},
	}
}

func TestAPI(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			o := options(t)
			if kind == "postgres" {
				o.Database = os.Getenv("TEST_POSTGRES")
				storetest.Require(t, "postgres", o.Database != "", "TEST_POSTGRES is not set; run: scripts/with-postgres.sh go test ./internal/bench")
			}
			phases := map[string]bool{}
			o.Progress = func(what string, done float64) {
				phases[what] = true
				if done < 0 || done > 1 {
					t.Errorf("%s: %v of it is done", what, done)
				}
			}
			r, err := bench.API(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"get", "list", "token", "suspend"}, names(r)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			for _, row := range r.Rows {
				if row.Unit != "requests/s" || row.Value <= 0 || row.Floor <= 0 || row.Ratio != row.Value/row.Floor || row.P99 <= 0 {
					t.Errorf("row is %+v", row)
				}
				if !phases[row.Name] {
					t.Errorf("of %s no progress was told", row.Name)
				}
			}
			if r.Machine.Database != kind || r.Machine.People != 200 || r.Machine.Conns != 16 || r.Machine.Cores < 1 {
				t.Errorf("machine is %+v", r.Machine)
			}
			checkJSON(t, r)
			empty(t, o.Dir)
		})
	}
}

// checkJSON holds a report against the form that is promised to machines.
func checkJSON(t *testing.T, r bench.Report) {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Machine map[string]any
		Rows    []struct {
			Name, Unit          *string
			Value, Floor, Ratio *float64
			P99                 *float64 `json:"p99_ms"`
		}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	for _, row := range got.Rows {
		if row.Name == nil || row.Unit == nil || row.Value == nil || row.Floor == nil || row.Ratio == nil || row.P99 == nil {
			t.Errorf("a field is missing: %s", text)
		}
	}
	if got.Machine["go"] == "" || got.Machine["cores"] == 0.0 {
		t.Errorf("machine is %v", got.Machine)
	}
}

func names(r bench.Report) (names []string) {
	for _, row := range r.Rows {
		names = append(names, row.Name)
	}
	return names
}

// empty reports what the benchmark left behind.
func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.People, o.Duration, o.Rounds = 2000, 20*time.Millisecond, 1
	r, err := bench.Pages(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"first page", "middle page", "last page", "few suspended", "any page"}
	if r.Machine.OS == "linux" {
		want = append(want, "memory")
	}
	if diff := cmp.Diff(want, names(r)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	var text strings.Builder
	if err := r.WriteText(&text, "2,000 people", "1,000 people"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2,000 people", "any page", "ratio", "µs/page: first page"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text does not hold %q:\n%s", want, text.String())
		}
	}
	empty(t, o.Dir)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(o *bench.Options)
		want string
	}{
		{"row", func(o *bench.Options) { o.Only = []string{"put"} }, `no row "put"`},
		{"people", func(o *bench.Options) { o.People = 150 }, "multiple of 100"},
		{"rounds", func(o *bench.Options) { o.Rounds = 0 }, "at least one round"},
		{"duration", func(o *bench.Options) { o.Duration = 0 }, "longer than 0"},
		{"folder", func(o *bench.Options) { o.Dir += "/nowhere" }, "no such file"},
		{"database", func(o *bench.Options) { o.Database = "postgres://u:geheim@[" }, "cannot be read"},
		{"child", func(o *bench.Options) { o.Self = []string{os.Args[0], "bench-child", "too", "many"} }, "serve-holdfast"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t)
			tt.do(&o)
			_, err := bench.API(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "geheim") {
				t.Errorf("error is %v, want one about %q", err, tt.want)
			}
		})
	}
}

// TestPagesRefused: pages of 1,000 are listed, too, and each must be full.
func TestPagesRefused(t *testing.T) {
	o := options(t)
	o.People = 1200
	if _, err := bench.Pages(t.Context(), o); err == nil || !strings.Contains(err.Error(), "pages of 1000") {
		t.Errorf("error is %v, want one about pages of 1000", err)
	}
	empty(t, o.Dir)
}
