package servertest

import (
	"fmt"
	"strings"
	"testing"
)

// TestContractEvents is [TestContract] for the Events API, whose requests come in more forms.
func TestContractEvents(t *testing.T) {
	const (
		cursor = "AQEAZAAAAAAAABHXAAY7YQm0yAAAAAAAAAAAAJ1kqg8l"
		signIn = `{"uuid":"R2YFJ6WQHD5NVZTAX3MLKBPCSE","timestamp":"2026-10-19T03:41:07.48291Z","category":"credentials_failed","type":"password_secret_bad","details":null,"target_user":{"uuid":"` + person + `"},"client":{}}`
		audit  = `{"uuid":"Z3MXQ5TVPRD7WKHBLNYCAGJF2S","timestamp":"2026-10-19T03:42:10Z","actor_uuid":"` + person + `","action":"suspend","object_type":"user","object_uuid":"` + person + `"}`
	)
	bearer := []string{"Authorization: Bearer " + jwt}
	page := func(items string) side {
		return side{"200", jsonBody, `{"cursor":"` + cursor + `","has_more":false,"items":[` + items + `]}`}
	}
	second := func(event, more string) string { return strings.TrimSuffix(event, "}") + `,` + more + `}` }
	refused := func(status int, header ...string) side {
		return side{fmt.Sprint(status), with(jsonBody, header...), `{"Error":{"Message":"m"}}`}
	}
	ask := func(body string, header ...string) side {
		return side{"POST /api/v1/signinattempts", with(bearer, header...), body}
	}
	ofAccount := `"account_uuid":"` + account + `"`

	for _, tt := range []contractTest{
		{name: "begin", ask: ask(`{"limit":100,"start_time":"2026-10-19T00:00:00Z"}`, "Content-Type: application/json"), answer: page(signIn)},
		{name: "without_content_type", ask: ask(`{"limit":100}`), answer: page("")},
		{name: "content_type_of_a_form", ask: ask(`{"limit":100,"start_time":"2026-10-19T00:00:00+02:00"}`, "Content-Type: application/x-www-form-urlencoded"), answer: page("")},
		{name: "nothing", ask: ask(""), answer: page("")},
		{name: "nulls", ask: ask(`{"limit":null,"start_time":null,"end_time":null,"cursor":"` + cursor + `"}`), answer: page("")},
		{name: "unknown_members", ask: ask(`{"cursor":"` + cursor + `","x":[1]}`), answer: page("")},
		{name: "whole_number_with_a_fraction", ask: ask(`{"limit":1000.0}`), answer: page("")},
		{name: "not_json_refused", ask: ask(`limit=100`), answer: refused(400)},
		{name: "no_token", ask: side{"POST /api/v2/auditevents", nil, "{}"}, answer: refused(401, `WWW-Authenticate: Bearer realm="holdfast"`)},
		{name: "too_many", ask: ask("{}"), answer: refused(429, "Retry-After: 7")},
		{name: "method", ask: side{"GET /api/v1/signinattempts", bearer, ""}, answer: refused(405, "Allow: POST")},
		{name: "waited", ask: ask("{}", "Prefer: wait=20"), answer: side{"200", with(jsonBody, "Preference-Applied: wait=20"), page("").body}},
		{name: "second", ask: side{"POST /api/v2/signinattempts", bearer, "{}"}, answer: page(second(signIn, ofAccount))},
		{name: "second_audit", ask: side{"POST /api/v2/auditevents", bearer, "{}"}, answer: page(second(audit, ofAccount+`,"actor_type":"system","actor_account_uuid":"`+account+`"`))},
		{name: "third", ask: side{"GET /api/v3/auditevents?max_page_size=50&start_time=2026-10-19T00:00:00Z", bearer, ""}, answer: side{"200", jsonBody, `{"audit_events":[]}`}},
		{name: "introspect", ask: side{"GET /api/auth/introspect", bearer, ""}, answer: side{"200", jsonBody, `{"UUID":"P5DGQ2LRXH4SNWV7JTZBKCM3YA","IssuedAt":"2026-02-11T09:00:00Z","Features":["auditevents"]}`}},

		{name: "second_in_first", ask: ask("{}"), answer: page(second(signIn, ofAccount)), want: []string{"account_uuid", "docs/openapi/events.yaml"}},
		{name: "first_in_second", ask: side{"POST /api/v2/signinattempts", bearer, "{}"}, answer: page(signIn), want: []string{"account_uuid"}},
		{name: "type_of_second_in_first", ask: ask("{}"), answer: page(strings.Replace(signIn, "password_secret_bad", "u2f_timeout", 1)), want: []string{"type"}},
		{name: "type_of_first_in_second", ask: side{"POST /api/v2/signinattempts", bearer, "{}"}, answer: page(second(strings.Replace(signIn, "password_secret_bad", "u2f_timout", 1), ofAccount)), want: []string{"type"}},
		{name: "items_null", ask: ask("{}"), answer: side{"200", jsonBody, `{"cursor":"` + cursor + `","has_more":false,"items":null}`}, want: []string{"items"}},
		{name: "no_cursor", ask: ask("{}"), answer: side{"200", jsonBody, `{"has_more":false,"items":[]}`}, want: []string{"cursor"}},
		{name: "cursor_to_escape", ask: ask("{}"), answer: side{"200", jsonBody, `{"cursor":"a\"b","has_more":false,"items":[]}`}, want: []string{"cursor"}},
		{name: "time_empty", ask: ask("{}"), answer: page(strings.Replace(signIn, "2026-10-19T03:41:07.48291Z", "", 1)), want: []string{"timestamp"}},
		{name: "address_empty", ask: ask("{}"), answer: page(strings.Replace(signIn, `"client":{}`, `"client":{"ip_address":""}`, 1)), want: []string{"ip_address"}},
		{name: "location_null", ask: ask("{}"), answer: page(second(signIn, `"location":null`)), want: []string{"location"}},
		{name: "details_missing", ask: ask("{}"), answer: page(strings.Replace(signIn, `"details":null,`, "", 1)), want: []string{"details"}},
		{name: "action_of_ours", ask: side{"POST /api/v1/auditevents", bearer, "{}"}, answer: page(strings.Replace(audit, `"suspend"`, `"user.suspend"`, 1)), want: []string{"action"}},
		{name: "aux_id_as_text", ask: side{"POST /api/v1/auditevents", bearer, "{}"}, answer: page(second(audit, `"aux_id":"4"`)), want: []string{"aux_id"}},
		{name: "error_of_the_other_document", ask: ask("x"), answer: side{"400", jsonBody, `{"code":3,"message":"m","details":[]}`}, want: []string{"Error"}},
		{name: "no_retry_after", ask: ask("{}"), answer: refused(429), want: []string{"Retry-After"}},
		{name: "served_bad_limit", ask: ask(`{"limit":1001}`), answer: page(""), want: []string{"limit"}},
		{name: "served_half_a_limit", ask: ask(`{"limit":1.5}`), answer: page(""), want: []string{"limit"}},
		{name: "served_text", ask: ask(`limit=100`), answer: page(""), want: []string{"requestBody"}},
		{name: "served_without_token", ask: side{"POST /api/v1/signinattempts", nil, "{}"}, answer: page(""), want: []string{"Authorization"}},
		{name: "feature_of_ours", ask: side{"GET /api/v2/auth/introspect", bearer, ""}, answer: side{"200", jsonBody, `{"uuid":"P5DGQ2LRXH4SNWV7JTZBKCM3YA","issued_at":"2026-02-11T09:00:00Z","features":["users"],` + ofAccount + `}`}, want: []string{"features"}},
		{name: "undeclared_status", ask: ask("{}"), answer: side{"418", jsonBody, `{"Error":{"Message":"` + jwt + `"}}`}, want: []string{"418", "eyJ…"}},
	} {
		t.Run(tt.name, tt.run)
	}
}
