package eventsapi_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast/eventsapi"
)

var (
	mira  = eventsapi.User{UUID: "K7QWZP3M5XNB2RTYDHCVFAEJ4U", Name: "Mira Oduya", Email: "mira.oduya@example.org"}
	tomas = eventsapi.User{UUID: "H6NRWQ2XKZP4TBVDMLCYFAJGES", Name: "Tomas Rehn", Email: "tomas.rehn@example.org"}
)

const (
	miraJSON  = `{"uuid":"K7QWZP3M5XNB2RTYDHCVFAEJ4U","name":"Mira Oduya","email":"mira.oduya@example.org"}`
	tomasJSON = `{"uuid":"H6NRWQ2XKZP4TBVDMLCYFAJGES","name":"Tomas Rehn","email":"tomas.rehn@example.org"}`
	appJSON   = `{"app_name":"1Password Browser Extension","app_version":"20240","platform_name":"Chrome","platform_version":"129.0.0.0","os_name":"Windows","os_version":"10.0","ip_address":"203.0.113.77"}`
)

func TestSignInAttempt(t *testing.T) {
	at := time.Date(2026, 10, 19, 3, 41, 7, 482910663, time.UTC)
	full := eventsapi.SignInAttempt{
		UUID: "R2YFJ6WQHD5NVZTAX3MLKBPCSE", SessionUUID: "D4KHVQ7ZNXW2MBTRPCLYEAFJGS", Timestamp: at,
		Category: eventsapi.CategoryFirewallFailed, Type: eventsapi.TypeCountryBlocked, Country: "BR",
		Details: &eventsapi.Details{Value: "Brazil"}, TargetUser: mira,
		Client: eventsapi.App{AppName: "1Password Browser Extension", AppVersion: "20240", PlatformName: "Chrome", PlatformVersion: "129.0.0.0",
			OSName: "Windows", OSVersion: "10.0", IPAddress: "203.0.113.77"},
		Location:    &eventsapi.Location{Country: "BR", Region: "Bahia", City: "Salvador", Latitude: new(-12.97), Longitude: new(-38.5)},
		AccountUUID: "T4JX9QZL2VNRWB6KMPSDCYGH7E",
	}
	tests := []struct {
		name, json string
		want       eventsapi.SignInAttempt
		err        string
	}{
		{name: "full", want: full, json: `{"uuid":"R2YFJ6WQHD5NVZTAX3MLKBPCSE","session_uuid":"D4KHVQ7ZNXW2MBTRPCLYEAFJGS","timestamp":"2026-10-19T03:41:07.482910663Z",
			"category":"firewall_failed","type":"country_blocked","country":"BR","details":{"value":"Brazil"},"target_user":` + miraJSON + `,"client":` + appJSON + `,
			"location":{"country":"BR","region":"Bahia","city":"Salvador","latitude":-12.97,"longitude":-38.5},"account_uuid":"T4JX9QZL2VNRWB6KMPSDCYGH7E"}`},
		{name: "least", json: `{"uuid":"A","timestamp":"2026-10-19T03:41:07.482910663Z"}`, want: eventsapi.SignInAttempt{UUID: "A", Timestamp: at}},
		{name: "nulls", json: `{"uuid":"A","timestamp":"2026-10-19T03:41:07.482910663Z","details":null,"location":null,"country":null,"target_user":null,"client":null}`,
			want: eventsapi.SignInAttempt{UUID: "A", Timestamp: at}},
		{name: "offset", json: `{"uuid":"A","timestamp":"2026-10-19T00:41:07.482910663-03:00"}`, want: eventsapi.SignInAttempt{UUID: "A", Timestamp: at}},
		{name: "country_name_and_no_coordinates", json: `{"uuid":"A","timestamp":"2026-10-19T03:41:07.482910663Z","country":"Brazil","location":{"country":"Brazil"}}`,
			want: eventsapi.SignInAttempt{UUID: "A", Timestamp: at, Country: "Brazil", Location: &eventsapi.Location{Country: "Brazil"}}},
		{name: "new_words", json: `{"uuid":"A","timestamp":"2026-10-19T03:41:07.482910663Z","category":"passkey_failed","type":"passkey_bad","passkey":{}}`,
			want: eventsapi.SignInAttempt{UUID: "A", Timestamp: at, Category: "passkey_failed", Type: "passkey_bad"}},
		{name: "other_shapes", json: `{"client":"Chrome","details":[1],"target_user":` + miraJSON + `,"type":7,"uuid":"A","timestamp":"2026-10-19T03:41:07.482910663Z","country":"BR"}`,
			want: eventsapi.SignInAttempt{UUID: "A", Timestamp: at, TargetUser: mira, Country: "BR", Details: &eventsapi.Details{}}},
		{name: "no_uuid", json: `{"timestamp":"2026-10-19T03:41:07Z"}`, err: "without uuid"},
		{name: "no_time", json: `{"uuid":"A","timestamp":null}`, err: "without uuid or timestamp"},
		{name: "odd_time", json: `{"uuid":"A","timestamp":1770800400}`, err: "not a JSON string"},
		{name: "null", json: `null`, err: "without uuid"},
		{name: "list", json: `[]`, err: "cannot unmarshal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got eventsapi.SignInAttempt
			err := json.Unmarshal([]byte(tt.json), &got)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("err = %v, want %q in it", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Raw = json.RawMessage(tt.json)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestItemUsage(t *testing.T) {
	text := `{"uuid":"A","timestamp":"2026-10-19T03:42:10.004Z","used_version":3,"vault_uuid":"V","item_uuid":"I","action":"secure-copy",
		"user":` + tomasJSON + `,"client":` + appJSON + `,"location":{"country":"DE"},"account_uuid":"T4JX9QZL2VNRWB6KMPSDCYGH7E"}`
	var got eventsapi.ItemUsage
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := eventsapi.ItemUsage{
		UUID: "A", Timestamp: time.Date(2026, 10, 19, 3, 42, 10, 4e6, time.UTC), UsedVersion: 3, VaultUUID: "V", ItemUUID: "I",
		Action: eventsapi.UsageSecureCopy, User: tomas, Location: &eventsapi.Location{Country: "DE"}, AccountUUID: "T4JX9QZL2VNRWB6KMPSDCYGH7E",
		Raw: json.RawMessage(text),
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(eventsapi.ItemUsage{}, "Client")); diff != "" {
		t.Error(diff)
	}
	if got.Client.IPAddress != "203.0.113.77" {
		t.Errorf("client = %+v", got.Client)
	}
}

func TestAuditEvent(t *testing.T) {
	text := `{"uuid":"Z3MXQ5TVPRD7WKHBLNYCAGJF2S","timestamp":"2026-10-19T03:42:10.004Z","actor_uuid":"H6NRWQ2XKZP4TBVDMLCYFAJGES","actor_details":` + tomasJSON + `,
		"action":"suspend","object_type":"user","object_uuid":"K7QWZP3M5XNB2RTYDHCVFAEJ4U","object_details":` + miraJSON + `,"aux_id":12,"aux_uuid":"X","aux_info":"A",
		"session":{"uuid":"W5CGPZ3QXJH7TNRVKBMLDYAFES","login_time":"2026-10-19T03:40:00Z","device_uuid":"b7qk2mzxw4nrtvhpc3ydlgajfe","ip":"198.51.100.9"},
		"account_uuid":"T4JX9QZL2VNRWB6KMPSDCYGH7E","actor_type":"user"}`
	want := eventsapi.AuditEvent{
		UUID: "Z3MXQ5TVPRD7WKHBLNYCAGJF2S", Timestamp: time.Date(2026, 10, 19, 3, 42, 10, 4e6, time.UTC), ActorUUID: tomas.UUID, ActorType: eventsapi.ActorUser, ActorDetails: &tomas,
		Action: eventsapi.ActionSuspend, ObjectType: "user", ObjectUUID: mira.UUID, ObjectDetails: &mira, AuxID: 12, AuxUUID: "X", AuxInfo: "A",
		Session: &eventsapi.Session{UUID: "W5CGPZ3QXJH7TNRVKBMLDYAFES", LoginTime: time.Date(2026, 10, 19, 3, 40, 0, 0, time.UTC),
			DeviceUUID: "b7qk2mzxw4nrtvhpc3ydlgajfe", IP: "198.51.100.9"},
		AccountUUID: "T4JX9QZL2VNRWB6KMPSDCYGH7E", Raw: json.RawMessage(text),
	}
	var got eventsapi.AuditEvent
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// An odd time inside does not take the event away, and the next event does not show in it.
	second := `{"session":{"uuid":"S","login_time":"never"},"action":"reactive","uuid":"B","timestamp":"2026-10-19T03:43:00Z"}`
	var events []eventsapi.AuditEvent
	if err := json.Unmarshal([]byte("["+second+","+text+"]"), &events); err != nil {
		t.Fatal(err)
	}
	if events[0].UUID != "B" || events[0].Timestamp.IsZero() || string(events[0].Raw) != second || events[1].Action != eventsapi.ActionSuspend {
		t.Errorf("got %+v", events)
	}
}

// FuzzEvent: whatever an event holds, it is read with its uuid and time, or refused; reading what was
// written gives the same.
func FuzzEvent(f *testing.F) {
	f.Add(attempt(0))
	f.Add(`{"uuid":"A","timestamp":"2026-10-19T03:41:07+14:00","client":[],"location":{"latitude":"x"}}`)
	f.Add(`{"uuid":"A","timestamp":"2026-10-19T03:41:07+24:00"}`)
	f.Add(`{"uuid":"A","uuid":7,"timestamp":""}`)
	f.Fuzz(func(t *testing.T, text string) {
		var got, again eventsapi.SignInAttempt
		if json.Unmarshal([]byte(text), &got) != nil {
			return
		}
		if got.UUID == "" || got.Timestamp.IsZero() {
			t.Errorf("read %+v", got)
		}
		written, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(written, &again); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if diff := cmp.Diff(got, again, cmpopts.IgnoreFields(eventsapi.SignInAttempt{}, "Raw")); diff != "" {
			t.Error(diff)
		}
	})
}
