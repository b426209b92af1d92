package eventsapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The cases that a program acts on. Test with [errors.Is].
var (
	ErrInvalid      = errors.New("eventsapi: the request is not valid")
	ErrUnauthorized = errors.New("eventsapi: the token is not accepted")
	ErrRateLimited  = errors.New("eventsapi: too many requests")
	ErrUnavailable  = errors.New("eventsapi: the server cannot be reached or failed")
)

// Error is why events could not be read.
type Error struct {
	Op         string        // what was asked for, such as "read signinattempts"
	StatusCode int           // of the last answer; 0 if none came
	Message    string        // of the server, or of this package if it did not understand the answer
	RequestID  string        // names the request in the server's log; may be empty
	RetryAfter time.Duration // how long the server asked to wait; 0 if it did not
	Tries      int           // how often the request was sent; 0 if it was wrong before that
	Err        error         // why no answer came, or why waiting for the next try ended; may be nil
}

// Error is one line for people and logs. It holds no token.
func (e *Error) Error() string {
	parts := []string{"eventsapi", e.Op}
	switch {
	case e.StatusCode != 0:
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%d %s", e.StatusCode, e.Message)))
	case e.Message != "":
		parts = append(parts, e.Message)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	line := strings.Join(parts, ": ")
	switch {
	case e.RequestID != "" && e.Tries > 1:
		return fmt.Sprintf("%s (request %s, %d tries)", line, e.RequestID, e.Tries)
	case e.RequestID != "":
		return fmt.Sprintf("%s (request %s)", line, e.RequestID)
	case e.Tries > 1:
		return fmt.Sprintf("%s (%d tries)", line, e.Tries)
	}
	return line
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is matches the Err… variables of this package.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrInvalid:
		return e.StatusCode == http.StatusBadRequest || e.StatusCode == 0 && e.Err == nil
	case ErrUnauthorized:
		return e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden
	case ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests
	case ErrUnavailable:
		silent := e.StatusCode == 0 && e.Err != nil
		return e.StatusCode >= 500 || silent && !errors.Is(e.Err, context.Canceled) && !errors.Is(e.Err, context.DeadlineExceeded)
	}
	return false
}
