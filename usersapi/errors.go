package usersapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The cases that a program acts on. Test with [errors.Is]; the package comment lists what includes what.
var (
	ErrInvalid           = errors.New("usersapi: the request is not valid")
	ErrUnauthorized      = errors.New("usersapi: not authenticated")
	ErrInvalidClient     = errors.New("usersapi: the client ID or secret is not accepted")
	ErrForbidden         = errors.New("usersapi: not allowed")
	ErrLastOwner         = errors.New("usersapi: the last owner of an account cannot be suspended")
	ErrExternallyManaged = errors.New("usersapi: the person is managed by an identity provider")
	ErrNotFound          = errors.New("usersapi: not found")
	ErrRateLimited       = errors.New("usersapi: too many requests")
	ErrUnavailable       = errors.New("usersapi: the server cannot be reached or failed")
	ErrOutcomeUnknown    = errors.New("usersapi: the change may or may not have taken effect")
)

// Error is why an operation of the Users API did not succeed.
type Error struct {
	Op         string        // what was asked for, such as `suspend user "K7QW…"`
	StatusCode int           // of the last answer; 0 if none came
	Code       int           // google.rpc code in the answer; 0 if there was none
	Message    string        // of the server, or of this package if it did not understand the answer
	RequestID  string        // names the request in the server's log; may be empty
	RetryAfter time.Duration // how long the server asked to wait; 0 if it did not
	Tries      int           // how often the request was sent

	// OutcomeUnknown is true if a change was sent and may have taken effect, although no answer said so.
	OutcomeUnknown bool

	Err error // why no answer came, or why waiting for the next try ended; may be nil
}

// Error is one line for people and logs. It holds no credentials.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "usersapi: %s: ", e.Op)
	switch {
	case e.StatusCode != 0:
		fmt.Fprintf(&b, "%d %s", e.StatusCode, e.Message)
	case e.Message != "":
		b.WriteString(e.Message)
	case e.Err == nil:
		b.WriteString("no answer")
	}
	if e.Err != nil {
		if e.StatusCode != 0 || e.Message != "" {
			b.WriteString(": ")
		}
		if o, ok := errors.AsType[*OAuthError](e.Err); ok {
			b.WriteString(o.text())
		} else {
			b.WriteString(e.Err.Error())
		}
	}
	writeTail(&b, e.RequestID, e.Tries)
	if e.OutcomeUnknown {
		b.WriteString("; it may have taken effect all the same")
	}
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is matches the Err… variables of this package.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrInvalid:
		return e.StatusCode == http.StatusBadRequest || e.StatusCode == 0 && e.Err == nil
	case ErrUnauthorized:
		return e.StatusCode == http.StatusUnauthorized
	case ErrForbidden:
		return e.StatusCode == http.StatusForbidden
	case ErrLastOwner:
		return e.StatusCode == http.StatusForbidden && e.Message == "no_owner_remain"
	case ErrExternallyManaged:
		return e.StatusCode == http.StatusForbidden &&
			(e.Message == "externally_managed" || e.Message == "suspended_by_provisioning")
	case ErrNotFound:
		return e.StatusCode == http.StatusNotFound
	case ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests
	case ErrUnavailable:
		return unavailable(e.StatusCode, e.Err)
	case ErrOutcomeUnknown:
		return e.OutcomeUnknown
	}
	return false
}

// OAuthError is why a token could not be had or revoked.
type OAuthError struct {
	Op          string        // "get a token" or "revoke the token"
	StatusCode  int           // of the last answer; 0 if none came
	Code        string        // error code of RFC 6749 §5.2, such as "invalid_client"; may be empty
	Description string        // of the server, or of this package if it did not understand the answer
	RequestID   string        // names the request in the server's log; may be empty
	RetryAfter  time.Duration // how long the server asked to wait; 0 if it did not
	Tries       int           // how often the request was sent
	Err         error         // why no answer came, or why waiting for the next try ended; may be nil
}

// Error is one line for people and logs. It holds no credentials.
func (e *OAuthError) Error() string { return "usersapi: " + e.text() }

func (e *OAuthError) text() string {
	var parts []string
	if e.StatusCode != 0 {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%d %s", e.StatusCode, e.Code)))
	}
	if e.Description != "" {
		parts = append(parts, e.Description)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	var b strings.Builder
	b.WriteString(e.Op + ": " + strings.Join(parts, ": "))
	writeTail(&b, e.RequestID, e.Tries)
	return b.String()
}

// Unwrap returns Err.
func (e *OAuthError) Unwrap() error { return e.Err }

// Is matches the Err… variables of this package.
func (e *OAuthError) Is(target error) bool {
	switch target {
	case ErrInvalidClient:
		return e.Code == "invalid_client"
	case ErrUnauthorized:
		return e.StatusCode == http.StatusUnauthorized || e.Code == "invalid_client"
	case ErrForbidden:
		return e.StatusCode == http.StatusForbidden
	case ErrInvalid:
		return e.StatusCode == http.StatusBadRequest && e.Code != "invalid_client"
	case ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests
	case ErrUnavailable:
		return unavailable(e.StatusCode, e.Err)
	}
	return false
}

// unavailable: the server failed, or did not answer although the caller would still have waited.
func unavailable(status int, err error) bool {
	if status != 0 {
		return status >= 500
	}
	if _, inner := errors.AsType[*OAuthError](err); inner || err == nil {
		return false // the OAuthError speaks for itself
	}
	return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

func writeTail(b *strings.Builder, requestID string, tries int) {
	var notes []string
	if requestID != "" {
		notes = append(notes, "request "+requestID)
	}
	if tries > 1 {
		notes = append(notes, fmt.Sprintf("%d tries", tries))
	}
	if len(notes) > 0 {
		b.WriteString(" (" + strings.Join(notes, ", ") + ")")
	}
}
