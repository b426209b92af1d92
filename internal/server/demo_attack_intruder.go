package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"holdfast/internal/problem"
)

// intruder is a browser of an attacker, at an address behind a proxy that the server trusts.
type intruder struct {
	a       *Attack
	address string
	cookies map[string]string
}

func (a *Attack) from(address string) *intruder {
	return &intruder{a: a, address: address, cookies: map[string]string{}}
}

func (in *intruder) password(ctx context.Context, v victim) (int, error) {
	return in.post(ctx, "/sign-in", url.Values{"email": {v.Email}, "password": {v.password}})
}

func (in *intruder) post(ctx context.Context, path string, form url.Values) (int, error) {
	status, _, err := in.do(ctx, http.MethodPost, path, form)
	return status, err
}

// inside says whether the browser's session lets it in.
func (in *intruder) inside(ctx context.Context) (bool, error) {
	status, to, err := in.do(ctx, http.MethodGet, "/", nil)
	return status == http.StatusOK || status == http.StatusSeeOther && !strings.HasPrefix(to, "/sign-in"), err
}

// do sends one request as a browser that follows no redirect, and returns where it is sent. Cookies are kept by hand:
// they are for https, and the demo is served on the loopback address without.
func (in *intruder) do(ctx context.Context, method, path string, form url.Values) (status int, to string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+in.a.s.Addr().String()+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	r.Header = http.Header{
		"Accept": {"text/html"}, "X-Forwarded-For": {in.address}, "Sec-Fetch-Site": {"same-origin"},
		"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0"},
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range in.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	client := http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, "", err
	}
	for _, c := range resp.Cookies() {
		if c.Value == "" || c.MaxAge < 0 {
			delete(in.cookies, c.Name)
			continue
		}
		in.cookies[c.Name] = c.Value
	}
	return resp.StatusCode, resp.Header.Get("Location"), nil
}

// unexpected is the error of an attack that did not get the answer on which the next step rests.
func unexpected(err error, status int, what string) error {
	if err != nil {
		return fmt.Errorf("sign in with %s: %w", what, err)
	}
	return problem.New(problem.Internal, "%s was answered with %d; the attack cannot go on", what, status)
}
