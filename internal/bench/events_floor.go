package bench

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// floorEventsQuery reads what the floor's pages hold.
const floorEventsQuery = `SELECT seq, at, id, category, type, details, session_id, user_id, name, email, address, app, app_version, platform, platform_version,
	os, os_version, country, region, city, latitude, longitude, radius FROM signin_attempts WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`

// The page has the fields of the contract, second generation.
type floorEvents struct {
	Cursor string       `json:"cursor"`
	More   bool         `json:"has_more"`
	Items  []floorEvent `json:"items"`
}

type floorEvent struct {
	UUID      string         `json:"uuid"`
	Session   string         `json:"session_uuid,omitempty"`
	Timestamp time.Time      `json:"timestamp"`
	Category  string         `json:"category"`
	Type      string         `json:"type"`
	Country   string         `json:"country,omitempty"`
	Details   *floorDetails  `json:"details"`
	User      floorParty     `json:"target_user"`
	Client    floorClient    `json:"client"`
	Location  *floorLocation `json:"location,omitempty"`
	Account   string         `json:"account_uuid,omitempty"`
}

type floorDetails struct {
	Value string `json:"value"`
}

type floorParty struct {
	UUID  string `json:"uuid,omitempty"`
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

type floorClient struct {
	App             string `json:"app_name,omitempty"`
	AppVersion      string `json:"app_version,omitempty"`
	Platform        string `json:"platform_name,omitempty"`
	PlatformVersion string `json:"platform_version,omitempty"`
	OS              string `json:"os_name,omitempty"`
	OSVersion       string `json:"os_version,omitempty"`
	Address         string `json:"ip_address,omitempty"`
}

type floorLocation struct {
	Country   string   `json:"country,omitempty"`
	Region    string   `json:"region,omitempty"`
	City      string   `json:"city,omitempty"`
	Latitude  *float64 `json:"latitude,omitempty"`
	Longitude *float64 `json:"longitude,omitempty"`
}

// floorCursor is the account and the number of the last event that was read.
func floorCursor(account string, after int64) string {
	return account + "." + strconv.FormatInt(after, 10)
}

// events answers with the page after the cursor. It knows no tokens, marks, times or limits, and does not wait.
func (f floor) events(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Cursor string `json:"cursor"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		fail(w, err)
		return
	}
	account, number, _ := strings.Cut(body.Cursor, ".")
	after, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		fail(w, err)
		return
	}
	rows, err := f.sql.prepared[floorEventsQuery].QueryContext(r.Context(), account, after, largestPage+1)
	if err != nil {
		fail(w, err)
		return
	}
	defer rows.Close()
	page := floorEvents{Items: make([]floorEvent, 0, largestPage)}
	for rows.Next() {
		if page.More = len(page.Items) == largestPage; page.More {
			break
		}
		var e floorEvent
		if after, err = e.scan(rows, account); err != nil {
			fail(w, err)
			return
		}
		page.Items = append(page.Items, e)
	}
	if err := rows.Err(); err != nil {
		fail(w, fmt.Errorf("read events: %w", err))
		return
	}
	page.Cursor = floorCursor(account, after)
	answer(w, page)
}

// scan reads the event and returns its number.
func (e *floorEvent) scan(rows *sql.Rows, account string) (seq int64, err error) {
	var at int64
	var details string
	var latitude, longitude float64
	var radius int
	var l floorLocation
	err = rows.Scan(&seq, &at, &e.UUID, &e.Category, &e.Type, &details, &e.Session, &e.User.UUID, &e.User.Name, &e.User.Email, &e.Client.Address,
		&e.Client.App, &e.Client.AppVersion, &e.Client.Platform, &e.Client.PlatformVersion, &e.Client.OS, &e.Client.OSVersion,
		&l.Country, &l.Region, &l.City, &latitude, &longitude, &radius)
	if err != nil {
		return 0, fmt.Errorf("read event: %w", err)
	}
	e.Timestamp, e.Country, e.Account, e.Location = time.UnixMicro(at).UTC(), l.Country, account, &l
	if radius > 0 {
		l.Latitude, l.Longitude = &latitude, &longitude
	}
	if details != "" {
		e.Details = &floorDetails{details}
	}
	return seq, nil
}
