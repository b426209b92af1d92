package signin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"holdfast/internal/problem"
)

// providers remembers what OpenID providers say about themselves, for an hour.
type providers struct {
	mu    sync.Mutex
	known map[string]provider
	http  *http.Client // ours, if no other was given
}

type provider struct {
	oidc    *oidc.Provider
	saysIss bool // its answers carry the issuer, RFC 9207
	at      time.Time
}

const providerLife = time.Hour

// provider reads the discovery document of an issuer.
func (s *Service) provider(ctx context.Context, issuer string) (provider, error) {
	now := s.Now()
	s.providers.mu.Lock()
	p, ok := s.providers.known[issuer]
	s.providers.mu.Unlock()
	if ok && now.Sub(p.at) < providerLife {
		return p, nil
	}
	found, err := oidc.NewProvider(s.outward(ctx), issuer)
	if err != nil {
		return provider{}, err
	}
	var more struct {
		SaysIss bool `json:"authorization_response_iss_parameter_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return provider{}, fmt.Errorf("read discovery document: %w", err)
	}
	p = provider{oidc: found, saysIss: more.SaysIss, at: now}
	s.providers.mu.Lock()
	defer s.providers.mu.Unlock()
	if s.providers.known == nil || len(s.providers.known) >= 1000 {
		s.providers.known = map[string]provider{}
	}
	s.providers.known[issuer] = p
	return p, nil
}

// outward is the context with the client for calls to OpenID providers.
func (s *Service) outward(ctx context.Context) context.Context {
	if s.HTTP != nil {
		return oidc.ClientContext(ctx, s.HTTP)
	}
	s.providers.mu.Lock()
	defer s.providers.mu.Unlock()
	if s.providers.http == nil {
		s.providers.http = outwardClient()
	}
	return oidc.ClientContext(ctx, s.providers.http)
}

// outwardClient calls only whom it was told to: a redirect to another host is an error, and so is an
// answer of more than 1 MiB.
func outwardClient() *http.Client {
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: boundedTransport{&http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 10 * time.Second,
			DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, IdleConnTimeout: 30 * time.Second,
			MaxIdleConnsPerHost: 2, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
		}},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme || len(via) > 3 {
				return errors.New("the OpenID provider redirects to another host")
			}
			return nil
		},
	}
}

type boundedTransport struct{ http.RoundTripper }

func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = &boundedBody{ReadCloser: resp.Body, left: 1 << 20}
	}
	return resp, err
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the answer of the OpenID provider has more than 1 MiB")
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// checkIssuer refuses what is no https URL; http is for providers on this machine, to try things out.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case issuer == "":
		return problem.InField("issuer", "the issuer is missing; it is the https URL that your OpenID provider shows")
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(issuer) > 500:
		return problem.InField("issuer", "the issuer %q is not a URL such as https://login.example.org without query or fragment", bounded(issuer, 200))
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return problem.InField("issuer", "the issuer %q does not begin with https://", bounded(issuer, 200))
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
