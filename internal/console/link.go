package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// withQuery returns the address with parameters set, for links that change one filter and keep the
// others. An empty value removes the parameter.
func withQuery(address string, pairs ...any) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("query: %w", err)
	}
	return changed(*u, pairs...), nil
}

// here is the address of the request with parameters set, as withQuery has it. What has just been done is
// not said again on another page.
func here(r *http.Request, pairs ...any) string {
	return changed(url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}, append(pairs, "done", "")...)
}

func changed(u url.URL, pairs ...any) string {
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
	return u.String()
}

// onPage is how many rows a page of a list has.
const onPage = 50

// span is a part of a list that is at hand as a whole.
type span struct {
	From, To, Of int    // rows from the first, which is 1, to the last, of all
	First, Next  string // addresses of the first page and the next one; empty: this is it, or there is none
}

// spanOf is the part of n rows that the request asks for by its parameter "page". A page that there is
// not is the last one; what is no number is the first.
func spanOf(r *http.Request, n int) span { return spanIn(r, "page", n) }

// spanIn is spanOf by another parameter, for a page with several lists.
func spanIn(r *http.Request, param string, n int) span {
	asked, err := strconv.Atoi(r.URL.Query().Get(param))
	if err != nil {
		asked = 1
	}
	// Bounded before it is multiplied: the number comes from an address.
	start := min(max(asked, 1)-1, max(n-1, 0)/onPage) * onPage
	s := span{From: start + 1, To: min(start+onPage, n), Of: n}
	if start > 0 {
		s.First = here(r, param, "")
	}
	if s.To < n {
		s.Next = here(r, param, start/onPage+2)
	}
	return s
}
