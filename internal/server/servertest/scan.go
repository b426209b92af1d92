package servertest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx", to read what no query of ours reads

	"holdfast/internal/audit"
)

// watch learns the credentials that pass by, issued or presented, and reports errors that repeat one.
func (in *Instance) watch(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { // of a check, since the server itself makes an answer of it
			if v := recover(); v != nil {
				t.Errorf("%s %s: panic: %v\n%s", r.Method, mask(r.URL.Path), v, debug.Stack())
				panic(http.ErrAbortHandler)
			}
		}()
		in.Secrets.Learn(presented(r))
		answer := &writes{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		answer.finish()
		var issued struct {
			AccessToken string `json:"access_token"`
		}
		if answer.status == http.StatusOK {
			if strings.HasSuffix(r.URL.Path, "/token") && json.Unmarshal(answer.copy.Bytes(), &issued) == nil {
				in.Secrets.Learn(issued.AccessToken)
			}
			return
		}
		var all bytes.Buffer
		_ = answer.header.Write(&all) // into memory
		all.Write(answer.copy.Bytes())
		for _, f := range in.find(t, fmt.Sprintf("the answer %d to %s %s", answer.status, r.Method, mask(r.URL.Path)), &all) {
			t.Error(f)
		}
	})
}

// presented is the credential in the request's Authorization header.
func presented(r *http.Request) string {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Basic") {
		return text
	}
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	_, secret, _ := strings.Cut(string(plain), ":")
	if decoded, err := url.QueryUnescape(secret); err == nil { // RFC 6749 §2.3.1
		return decoded
	}
	return secret
}

func (in *Instance) find(t testing.TB, where string, text io.Reader) []string {
	t.Helper()
	found, err := in.Secrets.Find(where, text)
	if err != nil {
		t.Error(err)
	}
	return found
}

// Leaks searches everything that the instance has written so far for the credentials that were issued:
// its log, the audit export, the data folder, and with PostgreSQL all rows of all tables.
func (in *Instance) Leaks(t testing.TB) []string {
	t.Helper()
	found := in.find(t, "the server's log", strings.NewReader(in.Log.String()))
	if !in.stopped.Load() {
		found = append(found, in.find(t, "the audit export", in.auditExport(t))...)
	}
	found = append(found, in.findInFolder(t)...)
	if in.Place.Kind == "postgres" {
		found = append(found, in.findInTables(t)...)
	}
	return found
}

func (in *Instance) auditExport(t testing.TB) io.Reader {
	t.Helper()
	// t.Context has ended when clean-up runs.
	ctx := context.WithoutCancel(t.Context())
	var b bytes.Buffer
	chains, err := in.Store().AuditChains(ctx)
	for _, account := range chains {
		_, exportErr := audit.Export(&b, in.Store().AuditLinks(ctx, account, 0))
		err = errors.Join(err, exportErr)
	}
	if err != nil {
		t.Errorf("export the audit log: %v", err)
	}
	return &b
}

// findInFolder reads the database as the disk has it, write-ahead log included.
func (in *Instance) findInFolder(t testing.TB) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(in.Place.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) { // SQLite removes its log when it is empty
			return nil
		}
		if err != nil {
			return err
		}
		found = append(found, in.find(t, "the file "+d.Name(), f)...)
		return f.Close()
	})
	if err != nil {
		t.Errorf("search the data folder: %v", err)
	}
	return found
}

// findInTables reads every row as PostgreSQL writes it in text: BYTEA in hexadecimal.
func (in *Instance) findInTables(t testing.TB) []string {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	db, err := sql.Open("pgx", in.Place.Database)
	if err != nil {
		t.Errorf("search the tables: %v", err)
		return nil
	}
	defer db.Close()
	tables, err := texts(ctx, db, "SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'")
	if err != nil || len(tables) == 0 {
		t.Errorf("list the tables to search: %d found, %v", len(tables), err)
	}
	var found []string
	for _, table := range tables {
		rows, err := texts(ctx, db, "SELECT CAST(x AS TEXT) FROM "+table+" x")
		if err != nil {
			t.Errorf("search the table %s: %v", table, err)
		}
		found = append(found, in.find(t, "the table "+table, strings.NewReader(strings.Join(rows, "\n")))...)
	}
	return found
}

// texts are the rows of a query for one text column.
func texts(ctx context.Context, db *sql.DB, query string) ([]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}
