package oauth

import (
	"net/http"
	"strings"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/web"
)

const scopeOpenID = "openid" // the only scope value of the contract

// tokenResponse is RFC 6749 §5.1.
type tokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"` // seconds
	Scope       string `json:"scope"`
}

func (s *Service) issue(w http.ResponseWriter, r *http.Request, a authenticated) error {
	switch grant := a.form["grant_type"]; grant {
	case "client_credentials":
	case "":
		return problem.Coded(problem.Invalid, "invalid_request", "grant_type is missing; send grant_type=client_credentials")
	default:
		return problem.Coded(problem.Invalid, "unsupported_grant_type", "only grant_type=client_credentials is supported")
	}
	if scope := a.form["scope"]; scope != "" && strings.TrimSpace(scope) != scopeOpenID {
		return problem.Coded(problem.Invalid, "invalid_scope", "the scope must be openid or left out; what an application may do is set in the console, not requested")
	}
	token, hash := seal.NewCredential(TokenPrefix)
	now := s.Now().UTC()
	err := s.Store.IssueToken(r.Context(), Token{
		Hash: hash, AccountID: a.accountID, ClientID: a.clientID, SecretID: a.secretID,
		IssuedAt: now, ExpiresAt: now.Add(TokenLife), ClientUsedAt: a.usedAt,
	}, a.by)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, tokenResponse{
		AccessToken: token.Reveal(), TokenType: "Bearer", ExpiresIn: int(TokenLife.Seconds()), Scope: scopeOpenID,
	})
}

// revokeToken is RFC 7009. §2.2: an invalid token is no error; whose it is, or whether it ever was
// one, is not told.
func (s *Service) revokeToken(w http.ResponseWriter, r *http.Request, a authenticated) error {
	token := a.form["token"]
	if token == "" {
		return problem.Coded(problem.Invalid, "invalid_request", "token is missing; send the access token to revoke")
	}
	hash, err := seal.ParseCredential(TokenPrefix, token)
	if err != nil {
		hash = seal.Hash{} // hashes to nothing that was ever issued
	}
	if _, err := s.Store.RevokeToken(r.Context(), a.accountID, a.clientID, hash, a.by); err != nil {
		return err
	}
	// The contract has no body here. A media type all the same: simple-oauth2 takes an answer without
	// one for a failure.
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return nil
}

// introspection is RFC 7662 §2.2.
type introspection struct {
	Active    bool   `json:"active"`
	ClientID  string `json:"client_id,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	Scope     string `json:"scope,omitempty"`
	Sub       string `json:"sub,omitempty"`
	Aud       string `json:"aud,omitempty"`
	Iss       string `json:"iss,omitempty"`
	Iat       int64  `json:"iat,omitempty"` // seconds since 1970
	Exp       int64  `json:"exp,omitempty"` // seconds since 1970
}

// introspect tells an application about its own tokens. RFC 7662 §2.2: of any other say nothing but
// active=false.
func (s *Service) introspect(w http.ResponseWriter, r *http.Request, a authenticated) error {
	token := a.form["token"]
	if token == "" {
		return problem.Coded(problem.Invalid, "invalid_request", "token is missing; send the access token to look at")
	}
	inactive := introspection{}
	hash, err := seal.ParseCredential(TokenPrefix, token)
	if err != nil {
		return web.JSON(w, http.StatusOK, inactive)
	}
	t, err := s.Store.Token(r.Context(), hash)
	switch {
	case problem.Is(err, problem.NotFound):
		return web.JSON(w, http.StatusOK, inactive)
	case err != nil:
		return err
	case t.ClientID != a.clientID || t.Alive(s.Now()) != nil:
		return web.JSON(w, http.StatusOK, inactive)
	}
	return web.JSON(w, http.StatusOK, introspection{
		Active: true, ClientID: t.ClientID, TokenType: "Bearer", Scope: scopeOpenID, Sub: t.ClientID,
		Aud: s.Audience, Iss: s.Issuer, Iat: t.IssuedAt.Unix(), Exp: t.ExpiresAt.Unix(),
	})
}

// metadata is RFC 8414 §2.
func (s *Service) metadata(w http.ResponseWriter, _ *http.Request) error {
	methods := []string{"client_secret_basic", "client_secret_post"}
	base := s.Issuer + "/v1/oauth"
	return web.JSON(w, http.StatusOK, map[string]any{
		"issuer":                                        s.Issuer,
		"token_endpoint":                                base + "/token",
		"token_endpoint_auth_methods_supported":         methods,
		"revocation_endpoint":                           base + "/revoke",
		"revocation_endpoint_auth_methods_supported":    methods,
		"introspection_endpoint":                        base + "/introspect",
		"introspection_endpoint_auth_methods_supported": methods,
		"grant_types_supported":                         []string{"client_credentials"},
		"response_types_supported":                      []string{},
		"scopes_supported":                              []string{scopeOpenID},
		"service_documentation":                         s.Issuer + "/openapi/users.yaml",
	})
}
