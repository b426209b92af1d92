package servertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	liberrors "github.com/pb33f/libopenapi-validator/errors"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/pb33f/libopenapi/orderedmap"

	"holdfast/docs/openapi"
)

// documents are the compiled documents. Compiling costs as much as checking hundreds of exchanges
// (BenchmarkCompile, BenchmarkContract), so it happens once in a process; the result never changes.
var documents = sync.OnceValues(func() ([]*document, error) {
	var all []*document
	for _, source := range []struct {
		file string
		text []byte
	}{{"users.yaml", openapi.Users()}, {"events.yaml", openapi.Events()}} {
		doc, err := compile(source.file, source.text)
		if err != nil {
			return nil, fmt.Errorf("docs/openapi/%s cannot be used: %w", source.file, err)
		}
		all = append(all, doc)
	}
	return all, nil
})

// document is an OpenAPI document, ready to check exchanges.
type document struct {
	file  string // in docs/openapi
	paths paths
	full  validator.Validator
	heads validator.Validator // for HEAD: everything but the body
}

func compile(file string, text []byte) (*document, error) {
	doc, err := libopenapi.NewDocument(text)
	if err != nil {
		return nil, err
	}
	built, err := doc.BuildV3Model()
	if err != nil {
		return nil, err
	}
	ps, err := newPaths(&built.Model)
	if err != nil {
		return nil, err
	}
	options := []config.Option{
		config.WithPathTree(ps), config.WithFormatAssertions(),
		config.WithURLEncodedBodyValidation(), config.WithAuthenticationFunc(hasCredentials),
	}
	return &document{
		file:  file,
		paths: ps,
		full:  validator.NewValidatorFromV3Model(&built.Model, options...),
		heads: validator.NewValidatorFromV3Model(&built.Model, append(options, config.WithoutResponseBodyValidation())...),
	}, nil
}

// refusals are the statuses with which a method that a path does not have may be turned away. What
// is not 405 is refused before anybody looks at the method.
var refusals = []int{
	http.StatusBadRequest, http.StatusForbidden, http.StatusMethodNotAllowed,
	http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
}

// shortest is false for a path that is no route's, whatever the document says about one like it.
func shortest(p string) bool { return path.Clean(p) == p }

// violations compares an exchange with the document. Nil means that all is well, or that the path is
// not in the document.
func (d *document) violations(ctx context.Context, x exchange) []string {
	path := canonical(x.url.EscapedPath())
	item, template, ok := d.paths.Lookup(path)
	if !ok {
		return nil
	}
	method, op := operation(item, x.method)
	if op == nil {
		unknownVerb := customVerb(path) != "" && customVerb(template) == ""
		if !slices.Contains(refusals, x.status) && !((unknownVerb || !shortest(x.url.Path)) && x.status == http.StatusNotFound) {
			return []string{fmt.Sprintf("%s has no method %s; want 405", template, x.method)}
		}
		method, op = anyOperation(item) // whose errors are spelt alike
	}
	r := x.request(ctx, method, path, readsJSON(op))
	declared := op.Responses.Codes.GetOrZero(strconv.Itoa(x.status))
	if declared == nil {
		return []string{fmt.Sprintf("%s of %s does not declare the status %d", op.OperationId, template, x.status)}
	}
	var found []string
	v, bodies := d.full, orderedmap.Len(declared.Content) > 0
	if x.method == http.MethodHead && len(x.body) == 0 {
		// RFC 9110 §9.3.2: the header of a GET. A body that a handler writes all the same is dropped by
		// net/http; it has to be that of a GET.
		v, bodies = d.heads, false
	}
	if bodies != (len(x.body) > 0) { // the validator looks at neither case
		found = append(found, fmt.Sprintf("%s declares body=%t for the status %d, found %d bytes", op.OperationId, bodies, x.status, len(x.body)))
	}
	_, failures := v.ValidateHttpResponse(r, x.response())
	found = append(found, describe(failures)...)
	if x.status/100 == 2 {
		_, failures := v.ValidateHttpRequestSync(r)
		found = append(found, describe(failures)...)
	}
	return found
}

// readsJSON reports whether the body of a request is JSON.
func readsJSON(op *v3.Operation) bool {
	return op.RequestBody != nil && op.RequestBody.Content.GetOrZero("application/json") != nil
}

// describe flattens the validator's findings to one line each.
func describe(failures []*liberrors.ValidationError) []string {
	var out []string
	for _, f := range failures {
		if len(f.SchemaValidationErrors) == 0 {
			out = append(out, f.ValidationType+": "+f.Message+": "+f.Reason)
			continue
		}
		out = append(out, f.ValidationType+": "+f.Message)
		for _, s := range f.SchemaValidationErrors {
			out = append(out, fmt.Sprintf("%s at %s: %s", f.ValidationType, cmp.Or(s.FieldPath, "$"), s.Reason))
		}
	}
	return out
}

// hasCredentials checks that a request that was served carried what the operation asks for; whether
// they were right is for the server to say.
func hasCredentials(_ context.Context, in *config.AuthenticationInput) error {
	want := "Bearer"
	if in.SecurityScheme.Type == "http" {
		want = in.SecurityScheme.Scheme
	}
	values := in.Request.Header.Values("Authorization")
	if len(values) != 1 {
		return fmt.Errorf("served a request with %d Authorization headers, want one of scheme %s", len(values), want)
	}
	if scheme, _, _ := strings.Cut(values[0], " "); !strings.EqualFold(scheme, want) {
		return fmt.Errorf("served a request with the authentication scheme %q, want %s", scheme, want)
	}
	return nil
}

// operation is what the path offers for the method, and the method it is declared under: HEAD is
// served by GET. Nil if there is none.
func operation(item *v3.PathItem, method string) (string, *v3.Operation) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for name, op := range item.GetOperations().FromOldest() {
		if strings.ToUpper(name) == method {
			return method, op
		}
	}
	return "", nil
}

func anyOperation(item *v3.PathItem) (method string, op *v3.Operation) {
	for name, op := range item.GetOperations().FromOldest() {
		return strings.ToUpper(name), op
	}
	return "", nil
}

// customVerb is what follows the colon in the last segment.
func customVerb(path string) string {
	_, verb, _ := strings.Cut(path[strings.LastIndexByte(path, '/')+1:], ":")
	return verb
}

// canonical spells an escaped path in one way: "%3Asuspend" as ":suspend", "t%6Fken" as "token".
func canonical(escaped string) string {
	segments := strings.Split(escaped, "/")
	for i, s := range segments {
		if plain, err := url.PathUnescape(s); err == nil {
			segments[i] = url.PathEscape(plain)
		}
	}
	return strings.Join(segments, "/")
}

// paths finds the template of a path. The validator's own lookup goes segment by segment and takes
// ".../{user}:suspend" for ".../{user}", so we bring ours.
type paths []pathTemplate

type pathTemplate struct {
	expr     *regexp.Regexp
	template string
	literal  int // bytes outside braces
	item     *v3.PathItem
}

var wildcard = regexp.MustCompile(`\{[^/{}]+\}`)

func newPaths(model *v3.Document) (paths, error) {
	var ps paths
	for template, item := range model.Paths.PathItems.FromOldest() {
		if _, op := anyOperation(item); op == nil {
			return nil, fmt.Errorf("path %s has no operation", template)
		}
		var expr strings.Builder
		end := 0
		literal := len(template)
		for _, at := range wildcard.FindAllStringIndex(template, -1) {
			any := `[^/]+`
			if strings.HasPrefix(template[at[1]:], ":") {
				any = `[^/]*` // ":suspend" is suspending nobody, not reading a person of that name
			}
			expr.WriteString(regexp.QuoteMeta(template[end:at[0]]) + any)
			literal -= at[1] - at[0]
			end = at[1]
		}
		expr.WriteString(regexp.QuoteMeta(template[end:]))
		re, err := regexp.Compile(`\A` + expr.String() + `\z`)
		if err != nil {
			return nil, fmt.Errorf("path %s: %w", template, err)
		}
		ps = append(ps, pathTemplate{expr: re, template: template, literal: literal, item: item})
	}
	if len(ps) == 0 {
		return nil, errors.New("it has no paths")
	}
	// The template with most fixed text wins: {user}:suspend before {user}.
	slices.SortStableFunc(ps, func(a, b pathTemplate) int { return cmp.Compare(b.literal, a.literal) })
	return ps, nil
}

// Lookup implements the validator's path lookup.
func (ps paths) Lookup(path string) (*v3.PathItem, string, bool) {
	for _, p := range ps {
		if p.expr.MatchString(path) {
			return p.item, p.template, true
		}
	}
	return nil, "", false
}

// Release implements the validator's path lookup. Nothing is held back.
func (ps paths) Release() {}
