// Package openapi holds the OpenAPI documents of Holdfast.
//
// A document here is the source of truth of its wire contract: the server serves it as it stands,
// and internal/server/servertest holds every request and answer of the tests against it. So a
// change of the contract begins here, and code that does not follow fails its tests.
//
//	users.yaml   OAuth endpoints and Users API, generations /v1 and /v1beta1
//	events.yaml  Events API, versions 1, 2 and 3
package openapi

import _ "embed"

//go:embed users.yaml
var users string

//go:embed events.yaml
var events string

// Users is the document of the Users API and the OAuth endpoints: OpenAPI 3.1 as YAML in UTF-8.
// The caller owns the returned bytes.
func Users() []byte { return []byte(users) }

// Events is the document of the Events API, in the same form. The caller owns the returned bytes.
func Events() []byte { return []byte(events) }
