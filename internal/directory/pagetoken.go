package directory

import (
	"encoding/base64"

	"holdfast/internal/problem"
)

// A page token is base64url of: version 1, the id of the last person shown (26 bytes), the first 16
// bytes of a MAC. The MAC binds it to the account and the filter, so a token cannot be made up,
// changed, or used for another list. It says where a list goes on, not who may read it, and does not expire.
const (
	pageVersion = 1
	pageIDLen   = 26
	pageMACLen  = 16
	pageLen     = 1 + pageIDLen + pageMACLen
	pagePurpose = "users page token"
)

func (s *Service) pageToken(account string, state StateFilter, lastID string) string {
	b := make([]byte, 0, pageLen)
	b = append(b, pageVersion)
	b = append(b, lastID...)
	b = append(b, s.Keys.MAC(pagePurpose, pageParts(account, state, b)...)[:pageMACLen]...)
	return base64.URLEncoding.EncodeToString(b)
}

func pageParts(account string, state StateFilter, body []byte) [][]byte {
	return [][]byte{[]byte(account), {byte(state)}, body}
}

// openPageToken returns the id after which the list goes on.
func (s *Service) openPageToken(account string, state StateFilter, token string) (string, error) {
	refused := problem.InField("page_token", "the page token was not issued for this account and filter; start again without one")
	b, err := base64.URLEncoding.Strict().DecodeString(token)
	// The length of the text too: the decoder passes over line breaks, and a token has one spelling.
	if err != nil || len(token) != base64.URLEncoding.EncodedLen(pageLen) || len(b) != pageLen || b[0] != pageVersion {
		return "", refused
	}
	body, mac := b[:1+pageIDLen], b[1+pageIDLen:]
	if !s.Keys.VerifyMAC(mac, pagePurpose, pageParts(account, state, body)...) {
		return "", refused
	}
	return string(body[1:]), nil
}
