package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite" // the driver "sqlite", for the command sql

	"holdfast/internal/store/storetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"holdfast": main})
}

// TestScripts runs the scripts of testdata against the program, in a process of its own each time.
// Besides what testscript knows they can use:
//
//	exits CODE COMMAND…      the command ends with this exit code
//	object KEY…              the last output is one JSON object with these keys and no others; its
//	                         texts are in variables of the same names from then on
//	field NAME KEY           the text of one key, in a variable
//	pick NAME N KEY          the text of a key of the Nth of its results, in a variable
//	freeport NAME            an address on which nobody listens, in a variable
//	ready URL                waits until a server answers /readyz
//	fetch STATUS METHOD URL [TOKEN]   asks with a bearer token, or with CLIENT:SECRET for a token
//	sql FILE QUERY           changes a SQLite database past Holdfast
//	mode FILE MODE           the file has this mode
//	people N FILE            writes a file of people to import
//
// and the condition [postgres].
func TestScripts(t *testing.T) {
	testscript.Run(t, params(testscript.Params{Dir: "testdata"}, nil))
}

// TestScriptsPostgres runs the scripts that do not look into the SQLite file, on PostgreSQL.
func TestScriptsPostgres(t *testing.T) {
	for _, name := range []string{"account", "app", "user", "group", "firewall", "source", "import", "audit_export", "rule_account", "guard", "playbook", "target"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := storetest.Postgres(t)
			testscript.Run(t, params(testscript.Params{Files: []string{"testdata/" + name + ".txtar"}}, []string{"HOLDFAST_DATABASE=" + database}))
		})
	}
}

func params(p testscript.Params, environ []string) testscript.Params {
	p.RequireExplicitExec = true
	p.Condition = func(cond string) (bool, error) {
		if cond != "postgres" {
			return false, fmt.Errorf("there is no condition %q", cond)
		}
		return len(environ) > 0, nil
	}
	p.RequireUniqueNames = true
	p.Setup = func(env *testscript.Env) error {
		// Of what the scripts inherit nothing is left, and so they would not have this from scripts/test.sh.
		env.Vars = append(append(env.Vars, "USER=tester", "TERM=dumb", "GORACE="+os.Getenv("GORACE")), environ...)
		return nil
	}
	p.Cmds = map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"exits": scriptExits, "object": scriptObject, "field": scriptField, "pick": scriptPick, "freeport": scriptFreePort,
		"ready": scriptReady, "fetch": scriptFetch, "sql": scriptSQL, "mode": scriptMode, "people": scriptPeople,
	}
	return p
}

func usage(ts *testscript.TestScript, ok bool, text string) {
	if !ok {
		ts.Fatalf("usage: %s", text)
	}
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 2, "exits CODE COMMAND…")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// lastObject is the last output, which must be one JSON object on one line and nothing else.
func lastObject(ts *testscript.TestScript) map[string]any {
	text := ts.ReadFile("stdout")
	var m map[string]any
	dec := json.NewDecoder(strings.NewReader(text))
	ts.Check(dec.Decode(&m))
	if rest, err := io.ReadAll(io.MultiReader(dec.Buffered())); err != nil || strings.TrimSpace(string(rest)) != "" || strings.Count(text, "\n") != 1 {
		ts.Fatalf("the output is not one JSON object on one line:\n%s", text)
	}
	return m
}

func scriptObject(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) > 0, "object KEY…")
	m := lastObject(ts)
	got, want := slices.Sorted(maps.Keys(m)), slices.Sorted(slices.Values(args))
	if !slices.Equal(got, want) {
		ts.Fatalf("the object has the keys %v, want %v", got, want)
	}
	for k, v := range m {
		if s, ok := v.(string); ok {
			ts.Setenv(k, s)
		}
	}
}

func scriptField(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "field NAME KEY")
	s, ok := lastObject(ts)[args[1]].(string)
	if !ok {
		ts.Fatalf("the object has no text %q", args[1])
	}
	ts.Setenv(args[0], s)
}

func scriptPick(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 3, "pick NAME N KEY")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	list, _ := lastObject(ts)["results"].([]any)
	if n < 1 || n > len(list) {
		ts.Fatalf("there are %d results, not %d", len(list), n)
	}
	m, _ := list[n-1].(map[string]any)
	s, ok := m[args[2]].(string)
	if !ok {
		ts.Fatalf("result %d has no text %q: %v", n, args[2], m)
	}
	ts.Setenv(args[0], s)
}

func scriptFreePort(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "freeport NAME")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	ts.Check(l.Close())
}

func scriptReady(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "ready URL")
	for range 600 {
		resp, err := http.Get(args[0] + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s does not become ready", args[0])
}

func scriptFetch(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && (len(args) == 3 || len(args) == 4), "fetch STATUS METHOD URL [TOKEN]")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var body io.Reader
	if len(args) == 4 && strings.Contains(args[3], ":") {
		body = strings.NewReader("grant_type=client_credentials")
	}
	req, err := http.NewRequestWithContext(ctx, args[1], args[2], body)
	ts.Check(err)
	if len(args) == 4 {
		if id, secret, ok := strings.Cut(args[3], ":"); ok {
			req.SetBasicAuth(id, secret)
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		} else {
			req.Header.Set("Authorization", "Bearer "+args[3])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	_, err = ts.Stdout().Write(text)
	ts.Check(err)
	if resp.StatusCode != want {
		ts.Fatalf("%d %s, want %d", resp.StatusCode, text, want)
	}
	if json.Valid(text) && bytes.Contains(text, []byte(`"access_token"`)) {
		var t struct {
			AccessToken string `json:"access_token"`
		}
		ts.Check(json.Unmarshal(text, &t))
		ts.Setenv("token", t.AccessToken)
	}
}

func scriptSQL(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "sql FILE QUERY")
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = db.Exec(args[1])
	ts.Check(errors.Join(err, db.Close()))
}

func scriptMode(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "mode FILE MODE")
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has the mode %s, want %s", args[0], got, args[1])
	}
}

func scriptPeople(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "people N FILE")
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var b bytes.Buffer
	b.WriteString("email,name,groups\n")
	for i := range n {
		fmt.Fprintf(&b, "p%d@example.org,Person %d,%s\n", i, i, map[bool]string{true: "Security"}[i%100 == 0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b.Bytes(), 0o600))
}

// TestScriptsListed holds that the scripts for PostgreSQL are there.
func TestScriptsListed(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 12 {
		t.Errorf("%d scripts, %v", len(files), err)
	}
}
