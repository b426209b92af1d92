package console

import (
	"fmt"
	"net/url"
)

// withQuery returns the address with parameters set, for links that change one filter and keep the
// others. An empty value removes the parameter.
func withQuery(address string, pairs ...any) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("query: %w", err)
	}
	q := u.Query()
	for i := 0; i+1 < len(pairs); i += 2 {
		name, value := fmt.Sprint(pairs[i]), fmt.Sprint(pairs[i+1])
		if value == "" {
			q.Del(name)
		} else {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}
