package openapi_test

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/go-yaml"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/pb33f/libopenapi/orderedmap"

	"holdfast/docs/openapi"
)

func load(t *testing.T) (libopenapi.Document, *v3.Document) {
	t.Helper()
	return parse(t, openapi.Users())
}

func parse(t *testing.T, text []byte) (libopenapi.Document, *v3.Document) {
	t.Helper()
	doc, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	model, err := doc.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	return doc, &model.Model
}

// TestDocuments holds that each document is valid, and that a caller gets a copy of its own.
func TestDocuments(t *testing.T) {
	for name, text := range map[string]func() []byte{"users": openapi.Users, "events": openapi.Events} {
		t.Run(name, func(t *testing.T) {
			doc, _ := parse(t, text())
			v, errs := validator.NewValidator(doc)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			_, failures := v.ValidateDocument()
			for _, f := range failures {
				t.Errorf("%s: %s", f.Message, f.Reason)
				for _, s := range f.SchemaValidationErrors {
					t.Errorf("  line %d: %s at %s", s.Line, s.Reason, s.KeywordLocation)
				}
			}
			text()[0] = '!'
			if got := text()[0]; got != 'o' {
				t.Errorf("first byte = %q after a caller wrote to its copy, want 'o'", got)
			}
		})
	}
}

// TestOperations is the whole contract at a glance: what exists, and what it may answer.
func TestOperations(t *testing.T) {
	const (
		users = "200 400 401 403 404 405 413 429 500 503"
		oauth = "200 400 401 403 405 413 429 500 503"
	)
	want := map[string]string{
		"GET /.well-known/oauth-authorization-server":         "getAuthorizationServerMetadata: 200 400 403 405 413 429 500 503",
		"POST /v1/oauth/token":                                "issueToken: " + oauth,
		"POST /v1/oauth/revoke":                               "revokeToken: " + oauth,
		"POST /v1/oauth/introspect":                           "introspectToken: " + oauth,
		"POST /v1beta1/users/oauth2/token":                    "issueTokenBeta: " + oauth,
		"POST /v1beta1/users/oauth2/revoke":                   "revokeTokenBeta: " + oauth,
		"POST /v1beta1/users/oauth2/introspect":               "introspectTokenBeta: " + oauth,
		"GET /v1/accounts/{account}/users":                    "listUsers: " + users,
		"GET /v1/accounts/{account}/users/{user}":             "getUser: " + users,
		"POST /v1/accounts/{account}/users/{user}:suspend":    "suspendUser: " + users,
		"POST /v1/accounts/{account}/users/{user}:reactivate": "reactivateUser: " + users,

		"GET /v1beta1/accounts/{account}/users":                    "listUsersBeta: " + users,
		"GET /v1beta1/accounts/{account}/users/{user}":             "getUserBeta: " + users,
		"POST /v1beta1/accounts/{account}/users/{user}:suspend":    "suspendUserBeta: " + users,
		"POST /v1beta1/accounts/{account}/users/{user}:reactivate": "reactivateUserBeta: " + users,
	}
	_, model := load(t)
	wantOperations(t, model, want)
}

// wantOperations compares operations, each "id: statuses", with those of the document, and wants each described.
func wantOperations(t *testing.T, model *v3.Document, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for name, op := range operations(model) {
		codes := slices.Collect(op.Responses.Codes.KeysFromOldest())
		slices.Sort(codes)
		got[name] = op.OperationId + ": " + strings.Join(codes, " ")
		if op.Summary == "" || op.Description == "" || len(op.Tags) != 1 {
			t.Errorf("%s: summary %q, %d bytes of description, tags %q; want all three", name, op.Summary, len(op.Description), op.Tags)
		}
		if op.Responses.Default != nil {
			t.Errorf("%s declares a default response, which would let every status pass", name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

// TestGenerationsAgree: /v1beta1 is the same contract at other addresses.
func TestGenerationsAgree(t *testing.T) {
	_, model := load(t)
	ops := operations(model)
	for name, op := range ops {
		method, path, _ := strings.Cut(name, " ")
		if !strings.HasPrefix(path, "/v1/") {
			continue
		}
		twin := "/v1beta1/" + strings.TrimPrefix(path, "/v1/")
		if rest, ok := strings.CutPrefix(path, "/v1/oauth/"); ok {
			twin = "/v1beta1/users/oauth2/" + rest
		}
		beta := ops[method+" "+twin]
		if beta == nil {
			t.Errorf("%s has no twin %s %s", name, method, twin)
			continue
		}
		if diff := cmp.Diff(shape(t, op), shape(t, beta)); diff != "" {
			t.Errorf("%s and its twin differ (-v1 +v1beta1):\n%s", name, diff)
		}
		if beta.Deprecated == nil || !*beta.Deprecated {
			t.Errorf("%s %s is not marked deprecated", method, twin)
		}
	}
}

// shape is the part of an operation that a client meets: parameters, body and answers.
func shape(t *testing.T, op *v3.Operation) string {
	t.Helper()
	out, err := (&v3.Operation{Parameters: op.Parameters, RequestBody: op.RequestBody, Responses: op.Responses}).Render()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestObjectsAreClosed: what the server sends has no undeclared member. Forms are open, because
// RFC 6749 §3.2 has unknown parameters ignored.
func TestObjectsAreClosed(t *testing.T) {
	_, model := load(t)
	wantClosed(t, model, 7)
}

func wantClosed(t *testing.T, model *v3.Document, atLeast int) {
	t.Helper()
	closed := 0
	for name, proxy := range model.Components.Schemas.FromOldest() {
		s := proxy.Schema()
		if !slices.Contains(s.Type, "object") || strings.HasSuffix(name, "Request") {
			continue
		}
		closed++
		if s.AdditionalProperties == nil || !s.AdditionalProperties.IsB() || s.AdditionalProperties.B {
			t.Errorf("schema %s allows undeclared members", name)
		}
	}
	if closed < atLeast {
		t.Errorf("found %d closed objects, want at least %d: is the walk broken?", closed, atLeast)
	}
}

// TestExamples validates every example of the document against the schema beside it.
func TestExamples(t *testing.T) {
	_, model := load(t)
	w := &walker{t: t, check: schema_validation.NewSchemaValidatorWithLogger(slog.New(slog.DiscardHandler), config.WithFormatAssertions())}
	w.document(model)
	if w.seen < 80 {
		t.Errorf("checked %d examples, want at least 80: is the walk broken?", w.seen)
	}

	user := model.Components.Schemas.GetOrZero("User").Schema()
	if ok, _ := w.check.ValidateSchemaObject(user, map[string]any{"id": "K7QWZP3M5XNB2RTYDHCVFAEJ4U"}); ok {
		t.Error("a User with nothing but an ID passes: the check checks nothing")
	}
}

type walker struct {
	t     *testing.T
	check schema_validation.SchemaValidator
	seen  int
}

// document looks at what the document keeps under components.
func (w *walker) document(model *v3.Document) {
	for name, p := range model.Components.Parameters.FromOldest() {
		w.examples("parameter "+name, p.Schema, p.Example, p.Examples)
	}
	for name, h := range model.Components.Headers.FromOldest() {
		w.examples("header "+name, h.Schema, h.Example, h.Examples)
	}
	for name, b := range model.Components.RequestBodies.FromOldest() {
		w.content("body "+name, b.Content)
	}
	for name, r := range model.Components.Responses.FromOldest() {
		w.content("response "+name, r.Content)
		for header, h := range r.Headers.FromOldest() {
			w.examples("response "+name+" header "+header, h.Schema, h.Example, h.Examples)
		}
	}
	for name, proxy := range model.Components.Schemas.FromOldest() {
		w.schema("schema "+name, proxy)
	}
}

func (w *walker) content(where string, content *orderedmap.Map[string, *v3.MediaType]) {
	for mediaType, m := range content.FromOldest() {
		if m.Example == nil && orderedmap.Len(m.Examples) == 0 {
			w.t.Errorf("%s %s has no example", where, mediaType)
		}
		w.examples(where+" "+mediaType, m.Schema, m.Example, m.Examples)
	}
}

func (w *walker) examples(where string, schema *base.SchemaProxy, single *yaml.Node, many *orderedmap.Map[string, *base.Example]) {
	if single != nil {
		w.value(where, schema.Schema(), single)
	}
	for name, example := range many.FromOldest() {
		w.value(where+" example "+name, schema.Schema(), example.Value)
	}
}

func (w *walker) schema(where string, proxy *base.SchemaProxy) {
	s := proxy.Schema()
	for _, example := range s.Examples {
		w.value(where, s, example)
	}
	for name, property := range s.Properties.FromOldest() {
		w.schema(where+"."+name, property)
	}
}

func (w *walker) value(where string, schema *base.Schema, node *yaml.Node) {
	w.seen++
	var v any
	if err := node.Decode(&v); err != nil {
		w.t.Errorf("%s: %v", where, err)
		return
	}
	text, err := json.Marshal(v)
	if err != nil {
		w.t.Errorf("%s: %v", where, err)
		return
	}
	_, failures := w.check.ValidateSchemaBytes(schema, text)
	for _, f := range failures {
		w.t.Errorf("%s: %s does not fit its schema: %s", where, text, f.Reason)
		for _, s := range f.SchemaValidationErrors {
			w.t.Errorf("  %s: %s", s.FieldPath, s.Reason)
		}
	}
}

// operations is every operation of the document by method and path.
func operations(model *v3.Document) map[string]*v3.Operation {
	out := map[string]*v3.Operation{}
	for path, item := range model.Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			out[strings.ToUpper(method)+" "+path] = op
		}
	}
	return out
}
