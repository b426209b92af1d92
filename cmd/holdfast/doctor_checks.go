package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"holdfast/internal/config"
	"holdfast/internal/store"
)

// source says where the configuration comes from; file is empty if from none.
func (d *doctor) source() (words, file string) {
	file = cmp.Or(d.g.Config, variable(d.std.env, "HOLDFAST_CONFIG"))
	variables := 0
	for _, kv := range d.std.env {
		if strings.HasPrefix(kv, "HOLDFAST_") && !strings.HasPrefix(kv, "HOLDFAST_CONFIG=") && !strings.HasPrefix(kv, "HOLDFAST_TEST_") {
			variables++
		}
	}
	return cmp.Or(file, "no file") + ", " + plural(variables, "variable", "variables"), file
}

func (d *doctor) passwordInFile() bool {
	u, err := url.Parse(d.cfg.Database)
	if err != nil || u.User == nil || variable(d.std.env, "HOLDFAST_DATABASE") != "" {
		return false
	}
	_, has := u.User.Password()
	return has
}

// folder looks at the data folder and what is in it.
func (d *doctor) folder() {
	there, err := store.Exists(d.options())
	if err != nil {
		d.say("data folder", broken, err.Error(), "run this as the user who runs the server")
		return
	}
	d.there = there
	info, err := os.Stat(d.cfg.Data)
	switch {
	case errors.Is(err, os.ErrNotExist):
		d.say("data folder", notThere, d.cfg.Data+" is made at the first start", "")
		return
	case err != nil:
		d.say("data folder", broken, err.Error(), "")
		return
	case !info.IsDir():
		d.say("data folder", broken, d.cfg.Data+" is a file", "name a folder with --data, or data in the configuration")
		return
	}
	if open := openToOthers(info); open != "" {
		d.say("data folder", warning, d.cfg.Data+" has "+open, "chmod 700 "+d.cfg.Data)
		return
	}
	if file := filepath.Join(d.cfg.Data, "holdfast.db"); there && d.cfg.Database == "sqlite" {
		if info, err := os.Stat(file); err == nil && openToOthers(info) != "" {
			d.say("data folder", warning, file+" has "+openToOthers(info), "chmod 600 "+file)
			return
		}
	}
	d.say("data folder", well, fmt.Sprintf("%s, mode %04o", d.cfg.Data, info.Mode().Perm()), "")
}

// openToOthers says so if anybody but the owner may look.
func openToOthers(info os.FileInfo) string {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Sprintf("the mode %04o, so others can look at it", mode)
	}
	return ""
}

func (d *doctor) databaseSize() string {
	if d.cfg.Database != "sqlite" {
		return ""
	}
	info, err := os.Stat(filepath.Join(d.cfg.Data, "holdfast.db"))
	if err != nil {
		return ""
	}
	return ", " + megabytes(uint64(info.Size()))
}

func megabytes(n uint64) string {
	if n < 10<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.0f GiB", float64(n)/(1<<30))
}

func (d *doctor) integrity(ctx context.Context) {
	if d.db.Kind() != "sqlite" {
		return
	}
	damage, err := d.db.QuickCheck(ctx)
	switch {
	case err != nil:
		d.say("integrity", broken, err.Error(), "restore a backup")
	case len(damage) > 0:
		d.say("integrity", broken, strings.Join(damage, "; "), "stop the server, keep the file, and restore a backup")
	default:
		d.say("integrity", well, "the database file is whole", "")
	}
}

func (d *doctor) accounts(ctx context.Context) {
	accounts, err := d.db.Accounts(ctx)
	switch {
	case err != nil:
		d.say("accounts", broken, err.Error(), "")
	case len(accounts) == 0:
		d.say("accounts", notThere, "none yet", "holdfast account create --name N --owner-email E --owner-name O")
	default:
		d.say("accounts", well, plural(len(accounts), "account", "accounts"), "")
	}
}

func (d *doctor) audit(ctx context.Context) {
	chains, err := d.db.AuditChains(ctx)
	if err != nil {
		d.say("audit log", broken, err.Error(), "")
		return
	}
	good := int64(0)
	for _, id := range chains {
		var n int64
		if d.deep {
			n, err = d.db.VerifyAudit(ctx, id)
		} else {
			_, err = d.db.LastLink(ctx, id)
		}
		if err != nil {
			d.say("audit log", broken, err.Error(), "somebody or something wrote to the database past Holdfast; keep a copy of it, and compare with your exports")
			return
		}
		good += n
	}
	if d.deep {
		d.say("audit log", well, fmt.Sprintf("%s, %s, every one verified", plural(len(chains), "chain", "chains"), plural(int(good), "entry", "entries")), "")
		return
	}
	d.say("audit log", well, plural(len(chains), "chain", "chains")+", the newest entry of each verified", "")
}

func (d *doctor) jobs(ctx context.Context) {
	n, err := d.db.CountJobs(ctx)
	switch {
	case err != nil:
		d.say("jobs", broken, err.Error(), "")
	case n.Overdue > 0:
		d.say("jobs", warning, plural(int(n.Overdue), "job", "jobs")+" should have been started by now", "they run when a server runs: holdfast serve")
	case n.GivenUp > 0:
		d.say("jobs", warning, plural(int(n.GivenUp), "job", "jobs")+" failed for good", "look for errors in the log of the server")
	default:
		d.say("jobs", well, plural(int(n.Waiting), "job waits", "jobs wait"), "")
	}
}

// A clock that is off by more makes tokens and timed holds end at the wrong time.
const clockMayDiffer = 5 * time.Second

// earliest is before this program was written: a clock that shows less was never set.
func earliest() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func (d *doctor) clock(ctx context.Context) {
	now := d.now().UTC()
	const advice = "set the clock, and keep it right with NTP"
	if now.Before(earliest()) {
		d.say("clock", broken, "it says "+now.Format(time.RFC3339), advice)
		return
	}
	if d.usable {
		server, err := d.db.Clock(ctx)
		if err != nil {
			d.say("clock", broken, err.Error(), "")
			return
		}
		if off := now.Sub(server).Abs(); off > clockMayDiffer {
			d.say("clock", warning, fmt.Sprintf("this machine and the database differ by %s", off.Round(time.Millisecond)), advice)
			return
		}
		if newest, err := d.newestEntry(ctx); err == nil && newest.Sub(now) > clockMayDiffer {
			d.say("clock", warning, fmt.Sprintf("the newest audit entry is %s in the future", newest.Sub(now).Round(time.Second)), "the clock was set back, or was wrong when the entry was written; "+advice)
			return
		}
	}
	d.say("clock", well, now.Format(time.RFC3339), "")
}

func (d *doctor) newestEntry(ctx context.Context) (newest time.Time, err error) {
	chains, err := d.db.AuditChains(ctx)
	for _, id := range chains {
		if l, err := d.db.LastLink(ctx, id); err == nil && l.Time.After(newest) {
			newest = l.Time
		}
	}
	return newest, err
}

// The free space below which something should be done, and below which something must.
const (
	spaceWarning = 1 << 30
	spaceBroken  = 100 << 20
)

func (d *doctor) disk() {
	dir := d.cfg.Data
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir) // it is not made yet; its disk is that of the nearest folder above
	}
	free, err := freeSpace(dir)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		d.say("disk", skipped, "free space cannot be asked for on this system", "")
	case err != nil:
		d.say("disk", warning, err.Error(), "")
	case free < spaceBroken:
		d.say("disk", broken, megabytes(free)+" free in "+dir, "make space: a change that does not fit is refused")
	case free < spaceWarning:
		d.say("disk", warning, megabytes(free)+" free in "+dir, "make space soon")
	default:
		d.say("disk", well, megabytes(free)+" free", "")
	}
}

// soon is how long before its end a certificate is worth a warning.
const soon = 14 * 24 * time.Hour

func (d *doctor) certificate() {
	if !d.cfg.TLS.On() {
		return
	}
	pair, err := tls.LoadX509KeyPair(d.cfg.TLS.CertFile, d.cfg.TLS.KeyFile)
	if err != nil {
		d.say("certificate", broken, err.Error(), "name the certificate with its chain in tls.cert_file, and its key in tls.key_file")
		return
	}
	left := pair.Leaf.NotAfter.Sub(d.now())
	found := fmt.Sprintf("%s, until %s", strings.Join(pair.Leaf.DNSNames, ", "), pair.Leaf.NotAfter.UTC().Format(time.DateOnly))
	switch {
	case left <= 0:
		d.say("certificate", broken, found, "it has ended; renew it and restart the server")
	case left < soon:
		d.say("certificate", warning, found, "renew it and restart the server")
	default:
		d.say("certificate", well, found, "")
	}
}

// addresses looks whether the server could listen, or does.
func (d *doctor) addresses(ctx context.Context) {
	d.address(ctx, "api address", d.cfg.Listen.API, d.cfg.TLS, broken)
	if !d.cfg.Listen.OpsOff() {
		taken := broken
		if !d.cfg.Given("listen.ops") {
			taken = warning // the server starts without it
		}
		d.address(ctx, "ops address", d.cfg.Listen.Ops, config.TLS{}, taken)
	}
}

func (d *doctor) address(ctx context.Context, name, address string, t config.TLS, taken status) {
	if _, port, err := net.SplitHostPort(address); err == nil && port == "0" {
		d.say(name, well, "a free one is taken at the start", "")
		return
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		_ = l.Close()
		d.say(name, well, address+" is free: no server is running there", "")
	case !errors.Is(err, syscall.EADDRINUSE):
		d.say(name, broken, err.Error(), "choose another address: listen.api and listen.ops")
	default:
		found, ours := askReady(ctx, address, t)
		switch {
		case ours == http.StatusOK:
			d.say(name, well, address+" is served by Holdfast, which is ready", "")
		case ours != 0:
			d.say(name, warning, address+" is served by Holdfast, which answers "+strconv.Itoa(ours)+" to /readyz: "+found, "look at the log of the server")
		default:
			d.say(name, taken, address+" is taken by something that is not Holdfast", "stop it, or choose another address: listen.api and listen.ops")
		}
	}
}

// askReady asks who listens whether it is ready. The status is 0 if it is not Holdfast.
func askReady(ctx context.Context, address string, t config.TLS) (answer string, status int) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	u := url.URL{Scheme: "http", Host: address, Path: "/readyz"}
	tr := &http.Transport{DisableKeepAlives: true}
	if t.On() {
		u.Scheme = "https"
		// Only asked whether it is there: nothing is sent that must be kept, and nothing is believed.
		tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", 0
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return "", 0
	}
	defer resp.Body.Close()
	var body struct {
		Status string `json:"status"`
		Detail string `json:"detail"`
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil || resp.Header.Get("Request-Id") == "" || json.Unmarshal(text, &body) != nil {
		return "", 0
	}
	return body.Detail, resp.StatusCode
}
