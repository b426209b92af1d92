package feed

import (
	"time"

	"holdfast/internal/origin"
)

// generation is a version of the contract.
type generation int

// The generations.
const (
	v1 generation = 1 + iota
	v2
	v3
)

// What is unknown is left out: an empty text where an address or a time is expected makes some clients give
// up the whole page. So is location; details alone is null where there are none, as in the contract.
type attemptView struct {
	UUID      string        `json:"uuid"`
	Session   string        `json:"session_uuid,omitempty"`
	Timestamp time.Time     `json:"timestamp"`
	Category  string        `json:"category"`
	Type      string        `json:"type"`
	Country   string        `json:"country,omitempty"`
	Details   *detailsView  `json:"details"`
	User      partyView     `json:"target_user"`
	Client    clientView    `json:"client"`
	Location  *locationView `json:"location,omitempty"`
	Account   string        `json:"account_uuid,omitempty"`
}

type detailsView struct {
	Value string `json:"value"`
}

type partyView struct {
	UUID  string `json:"uuid,omitempty"`
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

type clientView struct {
	App             string `json:"app_name,omitempty"`
	AppVersion      string `json:"app_version,omitempty"`
	Platform        string `json:"platform_name,omitempty"`
	PlatformVersion string `json:"platform_version,omitempty"`
	OS              string `json:"os_name,omitempty"`
	OSVersion       string `json:"os_version,omitempty"`
	Address         string `json:"ip_address,omitempty"`
}

type locationView struct {
	Country   string   `json:"country,omitempty"`
	Region    string   `json:"region,omitempty"`
	City      string   `json:"city,omitempty"`
	Latitude  *float64 `json:"latitude,omitempty"`
	Longitude *float64 `json:"longitude,omitempty"`
}

type usageView struct {
	UUID      string        `json:"uuid"`
	Timestamp time.Time     `json:"timestamp"`
	Version   int           `json:"used_version"`
	Vault     string        `json:"vault_uuid"`
	Item      string        `json:"item_uuid"`
	Action    string        `json:"action"`
	User      partyView     `json:"user"`
	Client    clientView    `json:"client"`
	Location  *locationView `json:"location,omitempty"`
	Account   string        `json:"account_uuid,omitempty"`
}

func renderAttempt(a Attempt, accountID string, g generation) attemptView {
	v := attemptView{
		UUID: a.ID, Session: a.SessionID, Timestamp: a.At, Category: a.Category, Type: a.Type, Country: a.Location.Country,
		User: partyOf(a.User), Client: clientOf(a.Client), Location: locationOf(a.Location),
	}
	if a.Details != "" {
		v.Details = &detailsView{a.Details}
	}
	if g == v2 {
		v.Account, v.Type = accountID, newType(a)
	}
	return v
}

// newType is a type in the spelling of the second generation.
func newType(a Attempt) string {
	switch {
	case a.Federated:
		return "federated"
	case a.Type == "u2f_timout": // spelt so in the first one
		return "u2f_timeout"
	}
	return a.Type
}

func renderUsage(u Usage, accountID string, g generation) usageView {
	v := usageView{
		UUID: u.ID, Timestamp: u.At, Version: u.Version, Vault: u.VaultID, Item: u.ItemID, Action: u.Action,
		User: partyOf(u.User), Client: clientOf(u.Client), Location: locationOf(u.Location),
	}
	if g == v2 {
		v.Account = accountID
	}
	return v
}

func partyOf(p Party) partyView { return partyView{UUID: p.ID, Name: p.Name, Email: p.Email} }

func clientOf(c origin.Client) clientView {
	return clientView{c.App, c.AppVersion, c.Platform, c.PlatformVersion, c.OS, c.OSVersion, c.Address}
}

func locationOf(l origin.Location) *locationView {
	if l.Country == "" && l.Region == "" && l.City == "" && !l.HasPoint() {
		return nil
	}
	v := &locationView{Country: l.Country, Region: l.Region, City: l.City}
	if l.HasPoint() {
		v.Latitude, v.Longitude = &l.Latitude, &l.Longitude
	}
	return v
}
