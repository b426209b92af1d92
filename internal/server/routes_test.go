package server_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/libopenapi"

	"holdfast/docs/openapi"
	"holdfast/internal/server/servertest"
)

// TestRouteTable is every route for programs with its access; those for people are in console_access_test.go. A route that is added, lost, or opened up shows here.
func TestRouteTable(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	got := map[string]string{}
	for _, r := range in.APIRoutes() {
		got[r.Pattern] = r.Access.String()
	}
	want := map[string]string{
		"GET /healthz":            "public: the process answers; tells nothing else",
		"GET /readyz":             "public: whether requests can be served; tells nothing else",
		"GET /openapi/users.yaml": "public: the contract is public",
		"GET /.well-known/oauth-authorization-server": "public: metadata for clients, RFC 8414 §3",
	}
	for _, base := range []string{"/v1/oauth", "/v1beta1/users/oauth2"} {
		for _, op := range []string{"/token", "/revoke", "/introspect"} {
			want["POST "+base+op] = "public: the client authenticates itself, RFC 6749 §2.3"
		}
	}
	want["GET /openapi/events.yaml"] = "public: the contract is public"
	want["GET /.well-known/jwks.json"] = "public: public keys, by which anybody can check an events token"
	want["GET /api/auth/introspect"] = "any events token"
	want["GET /api/v2/auth/introspect"] = "any events token"
	want["GET /api/v3/auditevents"] = "events token with auditevents"
	for _, stream := range []string{"signinattempts", "itemusages", "auditevents"} {
		want["POST /api/v1/"+stream] = "events token with " + stream
		want["POST /api/v2/"+stream] = "events token with " + stream
	}
	want["POST /v1/accounts/{account}/signals/{source}"] = "public: the sender signs each delivery, by Standard Webhooks, or knows the secret of an event hook"
	want["GET /v1/accounts/{account}/signals/{source}"] = "public: Okta asks once whether an event hook is ours; only what it sent is answered"
	for _, version := range []string{"v1", "v1beta1"} {
		users := "/" + version + "/accounts/{account}/users"
		want["GET "+users] = "scope list_users"
		want["GET "+users+"/{user}"] = "scope get_user"
		want["POST "+users+"/{user}:suspend"] = "scope suspend_users"
		want["POST "+users+"/{user}:reactivate"] = "scope reactivate_users"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

// TestRoutesAreDocumented compares the table with the OpenAPI documents, both ways.
func TestRoutesAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, text := range [][]byte{openapi.Users(), openapi.Events()} {
		doc, err := libopenapi.NewDocument(text)
		if err != nil {
			t.Fatal(err)
		}
		model, err := doc.BuildV3Model()
		if err != nil {
			t.Fatal(err)
		}
		for path, item := range model.Model.Paths.PathItems.FromOldest() {
			for method := range item.GetOperations().FromOldest() {
				documented[strings.ToUpper(method)+" "+path] = true
			}
		}
	}
	operational := []string{"GET /healthz", "GET /readyz", "GET /openapi/users.yaml", "GET /openapi/events.yaml"}
	// Described in docs/events/intake.md: their bodies are those of other systems.
	operational = append(operational, "GET /v1/accounts/{account}/signals/{source}", "POST /v1/accounts/{account}/signals/{source}")
	served := map[string]bool{}
	for _, r := range servertest.Start(t, "sqlite").APIRoutes() {
		if !slices.Contains(operational, r.Pattern) {
			served[r.Pattern] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(served))); diff != "" {
		t.Errorf("operations (-documented +served):\n%s", diff)
	}
}

func TestContractIsServed(t *testing.T) {
	a := servertest.Start(t, "sqlite").Call(t, "GET", "/openapi/users.yaml", "")
	if a.Status != 200 || a.Body != string(openapi.Users()) || a.Header.Get("Content-Type") != "application/yaml" {
		t.Errorf("%d %s, %d bytes", a.Status, a.Header.Get("Content-Type"), len(a.Body))
	}
}

func TestMetadata(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	a := in.Call(t, "GET", "/.well-known/oauth-authorization-server", "")
	for name, want := range map[string]string{
		"issuer": in.URL, "token_endpoint": in.URL + "/v1/oauth/token", "revocation_endpoint": in.URL + "/v1/oauth/revoke",
		"introspection_endpoint": in.URL + "/v1/oauth/introspect",
	} {
		if got := a.Field(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if a.Status != 200 {
		t.Error(fmt.Sprint(a.Status))
	}
}
