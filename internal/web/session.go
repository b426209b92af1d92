package web

import (
	"errors"
	"net/http"
	"time"

	"holdfast/internal/problem"
)

// SessionCookie is the name of the cookie that carries a session. The prefix makes browsers refuse one
// that is not Secure, not of this very host, or not for all its paths (RFC 6265bis §4.1.3.2).
const SessionCookie = "__Host-holdfast"

// Cookie is a cookie as all of ours are: for this host only, out of reach of scripts, sent over https (and
// to loopback) only, and with no request that another site makes but a link that is followed. The zero time
// makes it end with the browser; a time in the past removes it.
func Cookie(name, value string, expires time.Time) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", Expires: expires, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// The codes of problems that the console answers with a page of its own.
const (
	SignInNeeded  = "sign_in_needed"
	ConfirmNeeded = "confirm_needed"
)

// admit lets a browser pass, in this order: the request does not come from another site; there is a live
// session; its person has the role; she has authenticated a short while ago.
//
// That nobody is signed in is no attack, and is not audited; that somebody lacks the role is.
func (h *Handlers) admit(r *http.Request, rec *Record, access Access) error {
	if err := h.cross.Check(r); err != nil {
		p := problem.Coded(problem.Forbidden, "cross_origin", "the request comes from another site and was not carried out; open the console itself and try there")
		return h.refuse(r, rec, p.WithCause(err))
	}
	err := h.session(r, rec)
	if access.guest {
		if err != nil {
			rec.Principal = Principal{}
		}
		if p, ok := errors.AsType[*problem.Error](err); ok && p.Kind == problem.Unauthenticated {
			return nil
		}
		return err
	}
	if err != nil {
		return err
	}
	if !rec.Principal.Has(access.role) {
		return h.refuse(r, rec, problem.Coded(problem.Forbidden, "role_missing", "you do not have the role that this page needs; an owner or administrator of the account can give it to you"))
	}
	if access.fresh && !rec.Principal.Fresh {
		return problem.Coded(problem.Forbidden, ConfirmNeeded, "confirm that it is you before this is carried out")
	}
	return nil
}

func (h *Handlers) session(r *http.Request, rec *Record) error {
	needed := problem.Coded(problem.Unauthenticated, SignInNeeded, "sign in to go on")
	cookies := r.CookiesNamed(SessionCookie)
	if len(cookies) != 1 || cookies[0].Value == "" {
		return needed
	}
	principal, err := h.cfg.Sessions.Session(r.Context(), cookies[0].Value, rec.Address.String())
	rec.Principal = principal
	if p, ok := errors.AsType[*problem.Error](err); ok && p.Kind == problem.Unauthenticated {
		return needed.WithCause(err)
	}
	return err
}
