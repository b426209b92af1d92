package eventsapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Feature is a stream that a token may read.
type Feature string

// The features.
const (
	FeatureSignInAttempts Feature = "signinattempts"
	FeatureItemUsages     Feature = "itemusages"
	FeatureAuditEvents    Feature = "auditevents"
)

// Claims is what an events token says of itself. Nobody has checked its signature, which only the
// server can: good for finding the server and choosing the streams, and for no decision about trust.
type Claims struct {
	Audience []string  // servers, as host or host:port; the first one counts
	Features []Feature // may be empty: ask Introspect
	IssuedAt time.Time // zero if the token does not say
	Expires  time.Time // zero if the token does not end by itself, or does not say
}

// maxToken bounds what is taken for a token, in bytes. Real ones have about a thousand.
const maxToken = 16 << 10

// ParseClaims reads a JWT (RFC 7519) without checking its signature. Errors say what is wrong and show
// nothing of the token.
func ParseClaims(token string) (Claims, error) {
	switch {
	case token == "":
		return Claims{}, errors.New("is empty; it is shown once, when the events token is made")
	case len(token) > maxToken:
		return Claims{}, errors.New("is longer than any events token; is it something else?")
	case strings.TrimSpace(token) != token:
		return Claims{}, errors.New("begins or ends with a space or a line break; was it copied with something around it?")
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[2] == "" {
		return Claims{}, errors.New("is no signed JWT, which has three parts with dots between; is it an events token?")
	}
	var text [3][]byte
	for i, part := range parts {
		var err error
		if text[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return Claims{}, errors.New("is no JWT: a part of it is not base64url (RFC 7515 §2)")
		}
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	if json.Unmarshal(text[0], &header) != nil || header.Algorithm == "" {
		return Claims{}, errors.New("is no JWT: its first part names no algorithm")
	}
	var body struct {
		Audience json.RawMessage `json:"aud"`
		Features json.RawMessage `json:"1password.com/fts"`
		IssuedAt json.RawMessage `json:"iat"`
		Expires  json.RawMessage `json:"exp"`
	}
	if !bytes.HasPrefix(bytes.TrimSpace(text[1]), []byte("{")) || json.Unmarshal(text[1], &body) != nil {
		return Claims{}, errors.New("is no JWT: its second part is no JSON object")
	}
	c := Claims{IssuedAt: numericDate(body.IssuedAt), Expires: numericDate(body.Expires)}
	if c.Audience = textList(body.Audience); c.Audience == nil && len(body.Audience) > 0 {
		return Claims{}, errors.New("is no events token: its claim aud is not a list of texts")
	}
	for _, f := range textList(body.Features) {
		c.Features = append(c.Features, Feature(f))
	}
	return c, nil
}

// textList reads a list of texts, or a single one (RFC 7519 §4.1.3); nil for anything else.
func textList(b json.RawMessage) []string {
	var list []string
	if json.Unmarshal(b, &list) == nil {
		return list
	}
	var one string
	if json.Unmarshal(b, &one) == nil {
		return []string{one}
	}
	return nil
}

// numericDate reads seconds since 1970, possibly with a fraction (RFC 7519 §2); zero for anything else.
func numericDate(b json.RawMessage) time.Time {
	const last = 253402300799 // of the year 9999
	var seconds float64
	if json.Unmarshal(b, &seconds) != nil || seconds <= 0 || seconds > last {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}
