package bench

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
)

// What can be measured.
const (
	workGet     = "get"
	workList    = "list"
	workToken   = "token"
	workSuspend = "suspend"
	workWalk    = "walk"
	workPage    = "page"
	workView    = "view"
)

// work is one request and the check of its answer.
type work func(c *caller, o order) error

var works = map[string]work{
	workGet: (*caller).getNext, workList: (*caller).listNext, workToken: (*caller).token, workSuspend: (*caller).suspendNext,
	workWalk: (*caller).walkNext, workPage: (*caller).pageNext, workView: (*caller).viewNext,
}

func (c *caller) bearer() string { return "Bearer " + c.account.Token }

func (c *caller) users() string { return "/v1/accounts/" + c.account.ID + "/users" }

// getNext gets one person after the other.
func (c *caller) getNext(order) error {
	id := c.people[c.next]
	c.next = (c.next + 1) % len(c.people)
	if err := c.ask("GET", c.users()+"/"+id, c.bearer(), ""); err != nil {
		return err
	}
	return c.want(`"id":"`+id+`"`, `"state":"ACTIVE"`)
}

// listNext lists one page after the other and begins again after the last.
func (c *caller) listNext(o order) error {
	next, err := c.list(o, c.page)
	if err != nil {
		return err
	}
	if next == "" {
		if c.walked != c.account.Size {
			return fmt.Errorf("%w: %d of %d", errIncomplete, c.walked, c.account.Size)
		}
		c.walked = 0
	}
	c.page = next
	return nil
}

// list lists a page, checks that it is full, and returns the token of the next.
func (c *caller) list(o order, token string) (next string, err error) {
	path := c.users() + "?max_page_size=" + strconv.Itoa(o.PageSize)
	if o.Filter != "" {
		path += "&filter=" + o.Filter
	}
	if token != "" {
		path += "&page_token=" + token
	}
	if err := c.ask("GET", path, c.bearer(), ""); err != nil {
		return "", err
	}
	n := bytes.Count(c.body, []byte(`{"id":"`))
	if n != o.PageSize {
		return "", fmt.Errorf("a page has %d people, not %d: %.300s", n, o.PageSize, c.body)
	}
	c.walked += n
	if _, after, ok := bytes.Cut(c.body, []byte(`"next_page_token":"`)); ok {
		t, _, _ := bytes.Cut(after, []byte(`"`))
		next = string(t)
	}
	return next, nil
}

// walkNext is listNext for one walk, and keeps the tokens.
func (c *caller) walkNext(o order) error {
	if c.walked > 0 && c.page == "" {
		return errNothingLeft
	}
	next, err := c.list(o, c.page)
	if err != nil {
		return err
	}
	c.page = next
	switch {
	case next != "":
		c.tokens = append(c.tokens, next)
	case c.walked != c.account.Size:
		return fmt.Errorf("%w: %d of %d", errIncomplete, c.walked, c.account.Size)
	}
	return nil
}

// pageNext lists the order's pages, each in its turn.
func (c *caller) pageNext(o order) error {
	token := o.Pages[c.turn%len(o.Pages)]
	c.turn++
	_, err := c.list(o, token)
	return err
}

// viewNext gets a page of the console.
func (c *caller) viewNext(o order) error {
	err := c.view(o.View.Path, o.View.Cookie)
	if wrong, ok := errors.AsType[*statusError](err); ok {
		return fmt.Errorf("the page at %s answers %q; only one that answers 200 can be measured", o.View.Path, wrong.status)
	}
	if err != nil {
		return err
	}
	return c.want(o.View.Holds...)
}

func (c *caller) token(order) error {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(c.account.ClientID+":"+c.account.Secret))
	if err := c.ask("POST", "/v1/oauth/token", basic, "grant_type=client_credentials&scope=openid"); err != nil {
		return err
	}
	return c.want(`"access_token":"hft_`, `"expires_in":900`, `"token_type":"Bearer"`)
}

// suspendNext suspends the next person who is still active.
func (c *caller) suspendNext(order) error {
	if c.suspended == len(c.people) {
		return errNothingLeft
	}
	id := c.people[c.suspended]
	if err := c.ask("POST", c.users()+"/"+id+":suspend", c.bearer(), ""); err != nil {
		return err
	}
	c.suspended++
	return c.want(`"id":"`+id+`"`, `"state":"SUSPENDED"`)
}

func (c *caller) reactivateAll() error {
	for ; c.suspended > 0; c.suspended-- {
		id := c.people[c.suspended-1]
		if err := c.ask("POST", c.users()+"/"+id+":reactivate", c.bearer(), ""); err != nil {
			return err
		}
		if err := c.want(`"id":"`+id+`"`, `"state":"ACTIVE"`); err != nil {
			return err
		}
	}
	return nil
}
