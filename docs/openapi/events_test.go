package openapi_test

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/libopenapi"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"holdfast/docs/openapi"
)

func loadEvents(t *testing.T) (libopenapi.Document, *v3.Document) {
	t.Helper()
	return parse(t, openapi.Events())
}

// TestEventsOperations is the whole contract at a glance: what exists, and what it may answer.
func TestEventsOperations(t *testing.T) {
	const statuses = ": 200 400 401 403 405 413 429 500 503"
	want := map[string]string{
		"GET /.well-known/jwks.json": "getEventsKeys: 200 400 403 405 413 429 500 503",

		"GET /api/auth/introspect":    "introspectEventsTokenV1" + statuses,
		"GET /api/v2/auth/introspect": "introspectEventsToken" + statuses,
		"POST /api/v1/signinattempts": "listSignInAttemptsV1" + statuses,
		"POST /api/v2/signinattempts": "listSignInAttempts" + statuses,
		"POST /api/v1/itemusages":     "listItemUsagesV1" + statuses,
		"POST /api/v2/itemusages":     "listItemUsages" + statuses,
		"POST /api/v1/auditevents":    "listAuditEventsV1" + statuses,
		"POST /api/v2/auditevents":    "listAuditEvents" + statuses,
		"GET /api/v3/auditevents":     "listAuditEventsV3" + statuses,
	}
	_, model := loadEvents(t)
	wantOperations(t, model, want)
}

// TestEventsObjectsAreClosed: what the server sends has no undeclared member; what it reads may have any.
func TestEventsObjectsAreClosed(t *testing.T) {
	_, model := loadEvents(t)
	wantClosed(t, model, 20)
}

// TestEventsExamples validates every example of the document against the schema beside it.
func TestEventsExamples(t *testing.T) {
	_, model := loadEvents(t)
	w := &walker{t: t, check: schema_validation.NewSchemaValidatorWithLogger(slog.New(slog.DiscardHandler), config.WithFormatAssertions())}
	w.document(model)
	if w.seen < 80 {
		t.Errorf("checked %d examples, want at least 80: is the walk broken?", w.seen)
	}
	attempt := model.Components.Schemas.GetOrZero("SignInAttempt").Schema()
	if ok, _ := w.check.ValidateSchemaObject(attempt, map[string]any{"uuid": "R2YFJ6WQHD5NVZTAX3MLKBPCSE"}); ok {
		t.Error("a sign-in attempt with nothing but an ID passes: the check checks nothing")
	}
}

// TestEventsGenerations: version 2 has all that version 1 has, and what it adds is known.
func TestEventsGenerations(t *testing.T) {
	_, model := loadEvents(t)
	schema := func(name string) *base.Schema {
		p := model.Components.Schemas.GetOrZero(name)
		if p == nil {
			t.Fatalf("no schema %s", name)
		}
		return p.Schema()
	}
	properties := func(s *base.Schema) []string { return slices.Collect(s.Properties.KeysFromOldest()) }
	values := func(s *base.Schema) (all []string) {
		for _, n := range s.Enum {
			all = append(all, n.Value)
		}
		return all
	}
	for _, tt := range []struct {
		name  string
		of    func(*base.Schema) []string
		gone  []string
		added []string
	}{
		{"SignInAttempt", properties, nil, []string{"account_uuid"}},
		{"ItemUsage", properties, nil, []string{"account_uuid"}},
		{"AuditEvent", properties, nil, []string{"account_uuid", "actor_account_uuid", "actor_type"}},
		{"Type", values, []string{"u2f_timout"}, []string{"federated", "u2f_timeout"}},
		{"Action", values, nil, []string{"expire", "launchi", "unlink"}},
		{"ObjectType", values, nil, []string{"cred", "mngdacc"}},
		{"ItemAction", values, nil, []string{"other"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first, second := tt.of(schema(tt.name+"V1")), tt.of(schema(tt.name))
			if diff := cmp.Diff(tt.gone, without(first, second)); diff != "" {
				t.Errorf("what version 2 has not (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.added, without(second, first)); diff != "" {
				t.Errorf("what version 2 adds (-want +got):\n%s", diff)
			}
		})
	}
}

// without is what is in all and not in some, sorted; nil if there is nothing.
func without(all, some []string) (left []string) {
	for _, s := range all {
		if !slices.Contains(some, s) {
			left = append(left, s)
		}
	}
	slices.Sort(left)
	return left
}
