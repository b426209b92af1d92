package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/problem"
)

// kinds are all kinds, in their order.
func kinds() []problem.Kind {
	var all []problem.Kind
	for k := problem.Internal; k <= problem.Unavailable; k++ {
		all = append(all, k)
	}
	return all
}

// TestTable is the table of the package comment.
func TestTable(t *testing.T) {
	want := map[string]string{
		"internal error": "500 13 server_error", "invalid request": "400 3 invalid_request", "not authenticated": "401 16 invalid_client",
		"not allowed": "403 7 unauthorized_client", "not found": "404 5 invalid_request", "method not allowed": "405 12 invalid_request",
		"conflict": "409 6 invalid_request", "request too large": "413 3 invalid_request", "unsupported media type": "415 3 invalid_request",
		"too many requests": "429 8 temporarily_unavailable", "unavailable": "503 14 temporarily_unavailable",
	}
	got := map[string]string{}
	for _, k := range kinds() {
		var rpc struct{ Code int }
		var oauth struct{ Error string }
		status, _, body := problem.RPC.Body(&problem.Error{Kind: k})
		_, _, other := problem.OAuth.Body(&problem.Error{Kind: k})
		if err := errors.Join(json.Unmarshal(body, &rpc), json.Unmarshal(other, &oauth)); err != nil || status != k.Status() {
			t.Errorf("%v: %v, status %d", k, err, status)
		}
		got[k.String()] = fmt.Sprintf("%d %d %s", status, rpc.Code, oauth.Error)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

func TestForms(t *testing.T) {
	owner := problem.Coded(problem.Forbidden, "no_owner_remain", "this is the last owner").WithCause(errors.New("private"))
	tests := []struct {
		name string
		form problem.Form
		err  *problem.Error
		want string
	}{
		{"detailed", problem.Detailed, problem.InField("name", "the name is %q", `a"b`), `400 application/problem+json {"type":"about:blank","title":"invalid request","status":400,"detail":"the name is \"a\\\"b\"","field":"name"}`},
		{"detailed_code", problem.Detailed, owner, `403 application/problem+json {"type":"about:blank","title":"not allowed","status":403,"detail":"this is the last owner","code":"no_owner_remain"}`},
		{"detailed_empty", problem.Detailed, &problem.Error{}, `500 application/problem+json {"type":"about:blank","title":"internal error","status":500,"detail":"internal error"}`},
		{"rpc", problem.RPC, problem.New(problem.NotFound, "no user %q", "x"), `404 application/json {"code":5,"message":"no user \"x\"","details":[]}`},
		{"rpc_code", problem.RPC, owner, `403 application/json {"code":7,"message":"no_owner_remain","details":[]}`},
		{"oauth", problem.OAuth, problem.New(problem.Unauthenticated, "wrong"), `401 application/json {"error":"invalid_client","error_description":"wrong"}`},
		{"oauth_code", problem.OAuth, problem.Coded(problem.Invalid, "invalid_scope", "the scope must be openid"), `400 application/json {"error":"invalid_scope","error_description":"the scope must be openid"}`},
		{"oauth_characters", problem.OAuth, problem.New(problem.Invalid, "found \"é\\\n\x00\U0001F600\""), `400 application/json {"error":"invalid_request","error_description":"found '?????'"}`},
		{"events", problem.Events, problem.New(problem.TooMany, "slow down"), `429 application/json {"Error":{"Message":"slow down"}}`},
		{"html_is_escaped", problem.RPC, problem.New(problem.Invalid, "<script>&"), `400 application/json {"code":3,"message":"\u003cscript\u003e\u0026","details":[]}`},
		{"bad_utf8", problem.RPC, problem.New(problem.Invalid, "a\xffb"), `400 application/json {"code":3,"message":"a\ufffdb","details":[]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, mediaType, body := tt.form.Body(tt.err)
			if got := fmt.Sprintf("%d %s %s", status, mediaType, strings.TrimSuffix(string(body), "\n")); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if strings.Contains(string(body), "private") {
				t.Error("the private cause is shown")
			}
		})
	}
}

func TestWrite(t *testing.T) {
	tests := []struct {
		name string
		err  problem.Error
		want map[string]string
	}{
		{"plain", problem.Error{Kind: problem.NotFound}, map[string]string{}},
		{"challenge", problem.Error{Kind: problem.Unauthenticated, Challenge: `Basic realm="x"`}, map[string]string{"Www-Authenticate": `Basic realm="x"`}},
		{"allow", problem.Error{Kind: problem.MethodNotAllowed, Allow: "GET, HEAD"}, map[string]string{"Allow": "GET, HEAD"}},
		{"retry", problem.Error{Kind: problem.TooMany, RetryAfter: 1500 * time.Millisecond}, map[string]string{"Retry-After": "2"}},
		{"retry_soon", problem.Error{Kind: problem.Unavailable, RetryAfter: time.Nanosecond}, map[string]string{"Retry-After": "1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			problem.Detailed.Write(w, &tt.err)
			got := map[string]string{}
			for k := range w.Header() {
				got[k] = w.Header().Get(k)
			}
			want := map[string]string{
				"Content-Type": "application/problem+json", "Cache-Control": "no-store", "Content-Length": fmt.Sprint(w.Body.Len()),
			}
			maps.Copy(want, tt.want)
			if diff := cmp.Diff(want, got); diff != "" || w.Code != tt.err.Kind.Status() {
				t.Errorf("status %d, header (-want +got):\n%s", w.Code, diff)
			}
		})
	}
}

func TestChain(t *testing.T) {
	cause := errors.New("disk full")
	p := problem.New(problem.Unavailable, "try again").WithCause(cause)
	wrapped := fmt.Errorf("suspend user: %w", p)
	joined := errors.Join(errors.New("other"), wrapped)
	for name, err := range map[string]error{"itself": p, "wrapped": wrapped, "joined": joined} {
		if !problem.Is(err, problem.Unavailable) || problem.Is(err, problem.Internal) || problem.KindOf(err) != problem.Unavailable || problem.Public(err) != p || !errors.Is(err, cause) {
			t.Errorf("%s: %v is not found to be what it is", name, err)
		}
	}
	if got, want := wrapped.Error(), "suspend user: try again: disk full"; got != want {
		t.Errorf("for the log: %q, want %q", got, want)
	}
	if got, want := problem.Coded(problem.Invalid, "invalid_scope", "").Error(), "invalid_scope: invalid request"; got != want {
		t.Errorf("for the log: %q, want %q", got, want)
	}
	// What is no problem is a fault: it has no kind, and the caller hears nothing of it.
	if problem.Is(cause, problem.Internal) || problem.KindOf(cause) != problem.Internal || problem.Is(nil, problem.Internal) {
		t.Error("a fault is taken for a problem")
	}
	public := problem.Public(cause)
	if public.Detail != "internal error" || !errors.Is(public, cause) {
		t.Errorf("the public form of a fault is %+v", public)
	}
	if _, _, body := problem.Detailed.Body(public); strings.Contains(string(body), "disk") {
		t.Errorf("the caller hears %s", body)
	}
}

// FuzzForms: every text gives valid JSON in every form, and in the form of RFC 6749 only what §5.2 allows.
func FuzzForms(f *testing.F) {
	f.Add("no user \"x\"", "code", uint8(3))
	f.Add("\x00\xff\\\"é", "", uint8(1))
	f.Fuzz(func(t *testing.T, detail, code string, kind uint8) {
		e := &problem.Error{Kind: problem.Kind(kind % 11), Detail: detail, Code: code}
		for _, form := range []problem.Form{problem.Detailed, problem.RPC, problem.OAuth, problem.Events} {
			status, mediaType, body := form.Body(e)
			if !json.Valid(body) || status < 400 || mediaType == "" {
				t.Fatalf("form %d of %+v: %d %s %s", form, e, status, mediaType, body)
			}
		}
		var o struct {
			Description string `json:"error_description"`
		}
		if _, _, body := problem.OAuth.Body(e); json.Unmarshal(body, &o) != nil {
			t.Fatal("not read back")
		}
		for _, r := range o.Description {
			if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
				t.Fatalf("%q in %q", r, o.Description)
			}
		}
	})
}
