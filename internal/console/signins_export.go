package console

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/signin"
	"holdfast/internal/web"
)

// mostExported is how many events one file has, newest first. For more there is the Events API.
const mostExported = 100_000

// exportRead is how many events are read at a time.
const exportRead = 1000

// backToSignIns is what is at the address of the export when it is opened as a page.
func (c *Console) backToSignIns(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, changed(url.URL{Path: "/sign-ins", RawQuery: r.URL.RawQuery}))
}

// exportSignIns answers with the events that the filter leaves as CSV (RFC 4180), in English, since programs
// read it. That it was asked for is in the audit log.
func (c *Console) exportSignIns(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	f.Del("before")
	s, err := c.signInQuery(r, f)
	if err != nil {
		return err
	}
	by := audit.By(r, audit.SignInExport, "")
	by.Reason = filterText(f)
	if err := c.Audit.AppendAudit(r.Context(), s.AccountID, by); err != nil {
		return err
	}
	web.RecordOf(r.Context()).Target = "sign_ins"
	s.Limit = exportRead
	found, err := c.SignIn.FindAttempts(r.Context(), s.AttemptQuery)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="holdfast-sign-ins-`+s.AccountID+"-"+c.Now().UTC().Format(time.DateOnly)+`.csv"`)
	out := &export{w: w, now: c.Now, lines: make([]byte, 0, exportPart)}
	table := csv.NewWriter(out)
	table.UseCRLF = true
	if err := table.Write(exportHead()); err != nil {
		return err
	}
	for n := 0; ; {
		for _, a := range found.Attempts {
			if n++; n > mostExported {
				break
			}
			if err := table.Write(exportLine(a)); err != nil {
				return err
			}
		}
		if table.Flush(); table.Error() != nil {
			return table.Error()
		}
		if !found.More || n >= mostExported {
			return out.flush()
		}
		s.Before, s.BeforeID = found.Next, found.NextID
		if found, err = c.SignIn.FindAttempts(r.Context(), s.AttemptQuery); err != nil {
			// What is sent cannot be taken back, and its end would look like the end of the events.
			_ = table.Write([]string{"the export ended early; export again"}) // there is nobody left to tell
			table.Flush()
			_ = out.flush() // the error below is the one to report
			return err
		}
	}
}

// filterText is the filter for the audit log: which events were taken away.
func filterText(f url.Values) string {
	kept := url.Values{}
	for _, name := range signInFields() {
		if value := f.Get(name); value != "" {
			kept.Set(name, value)
		}
	}
	return kept.Encode()
}

func exportHead() []string {
	return []string{
		"time", "event_id", "category", "type", "details", "person_id", "person_name", "person_email", "method", "session_id",
		"address", "country", "region", "city", "latitude", "longitude", "radius_km", "asn", "network", "anonymous",
		"app", "app_version", "platform", "platform_version", "os", "os_version", "user_agent",
	}
}

func exportLine(a signin.Attempt) []string {
	l, from := a.Location, a.Client
	var latitude, longitude, radius, asn, anonymous string
	if l.HasPoint() {
		latitude, longitude = strconv.FormatFloat(l.Latitude, 'f', -1, 64), strconv.FormatFloat(l.Longitude, 'f', -1, 64)
		radius = strconv.Itoa(l.Radius)
	}
	if l.ASN > 0 {
		asn = strconv.FormatInt(l.ASN, 10)
	}
	if l.AnonymousKnown {
		anonymous = strconv.FormatBool(l.Anonymous)
	}
	line := []string{
		a.At.UTC().Format(time.RFC3339Nano), a.ID, string(a.Category), string(a.Type), a.Details, a.UserID, a.Name, a.Email, string(a.Method), a.SessionID,
		from.Address, l.Country, l.Region, l.City, latitude, longitude, radius, asn, l.Network, anonymous,
		from.App, from.AppVersion, from.Platform, from.PlatformVersion, from.OS, from.OSVersion, from.UserAgent,
	}
	for i, cell := range line {
		line[i] = inert(cell)
	}
	return line
}

// inert keeps a spreadsheet from taking a text that strangers chose for a formula. A number stays one.
func inert(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r\n|%", rune(cell[0])) {
		return cell
	}
	if _, err := strconv.ParseFloat(cell, 64); err == nil {
		return cell
	}
	return "'" + cell
}
