package console

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
)

// signInFields are the parameters that choose events. Pages, links and the export have the same ones.
func signInFields() []string {
	return []string{"q", "person", "session", "result", "country", "method", "time", "from", "to"}
}

// onlyFailed is the choice of a result that stands for all categories in which nobody got in.
const onlyFailed = "failed"

// signInResults are the choices of a result, in the order of the filter.
func signInResults() []string {
	return []string{
		string(signin.Success), string(signin.FirewallReported), onlyFailed, string(signin.CredentialsFailed),
		string(signin.MFAFailed), string(signin.SSOFailed), string(signin.FirewallFailed),
	}
}

func signInMethods() []signin.Method {
	return []signin.Method{signin.ByPasskey, signin.ByPassword, signin.ByPasswordCode, signin.ByRecoveryCode, signin.BySSO, signin.BySetupLink}
}

// Times to choose from. With customDays the fields "from" and "to" say which.
const customDays = "range"

func signInTimes() []string { return []string{"today", "24h", "7d", "30d", customDays} }

// signInSearch is what was asked for, understood.
type signInSearch struct {
	signin.AttemptQuery
	People []directory.User // whom the text of the search found
}

// signInQuery understands the fields. What it cannot is a problem in its field.
func (c *Console) signInQuery(r *http.Request, asked url.Values) (signInSearch, error) {
	s := signInSearch{AttemptQuery: signin.AttemptQuery{AccountID: me(r).AccountID, Limit: onPage}}
	switch result := asked.Get("result"); {
	case result == onlyFailed:
		s.Failed = true
	case result == "" || slices.Contains(signInResults(), result):
		s.Category = signin.Category(result)
	default:
		return s, problem.InField("result", "there is no result %q", result)
	}
	if s.Method = signin.Method(asked.Get("method")); s.Method != "" && !slices.Contains(signInMethods(), s.Method) {
		return s, problem.InField("method", "there is no way to sign in that is called %q", s.Method)
	}
	if country := asked.Get("country"); country != "" {
		region, err := language.ParseRegion(country)
		if err != nil || len(country) != 2 {
			return s, problem.InField("country", "the country is %q; it must be a code of two letters, such as SE", country)
		}
		s.Country = region.String()
	}
	var err error
	if s.From, s.To, err = c.signInTime(asked); err != nil {
		return s, err
	}
	s.UserID, s.SessionID = asked.Get("person"), asked.Get("session")
	if before := asked.Get("before"); before != "" {
		if s.Before, s.BeforeID, err = eventOf(before); err != nil {
			return s, err
		}
	}
	return s, c.searchSignIns(r.Context(), &s, strings.TrimSpace(asked.Get("q")))
}

// signInTime is the time that was chosen, as from when and before when.
func (c *Console) signInTime(asked url.Values) (from, to time.Time, err error) {
	now := c.Now().UTC()
	switch asked.Get("time") {
	case "":
		return from, to, nil
	case "today":
		return now.Truncate(24 * time.Hour), to, nil
	case "24h":
		return now.Add(-24 * time.Hour), to, nil
	case "7d":
		return now.AddDate(0, 0, -7), to, nil
	case "30d":
		return now.AddDate(0, 0, -30), to, nil
	case customDays:
	default:
		return from, to, problem.InField("time", "there is no choice of time %q", asked.Get("time"))
	}
	if from, err = day(asked, "from"); err != nil {
		return from, to, err
	}
	if to, err = day(asked, "to"); err != nil {
		return from, to, err
	}
	if !to.IsZero() {
		to = to.AddDate(0, 0, 1) // the day itself belongs to it
		if !to.After(from) {
			return from, to, problem.InField("to", "the last day is before the first one, %s", asked.Get("from"))
		}
	}
	return from, to, nil
}

// asNumber is a network by its number: AS64496.
var asNumber = regexp.MustCompile(`^(?i:as) ?([0-9]{1,10})$`)

// mostFound is how many people of a name are asked for. If there are more, their names are searched for.
const mostFound = 10

// searchSignIns understands what was typed: an address or a network of addresses, a number of a network, an
// email address, an ID, the name of people, or any text.
func (c *Console) searchSignIns(ctx context.Context, s *signInSearch, text string) error {
	if text == "" {
		return nil
	}
	if prefix, ok := addresses(text); ok {
		s.Addresses = prefix
		return nil
	}
	if m := asNumber.FindStringSubmatch(text); m != nil {
		var err error
		if s.ASN, err = strconv.ParseInt(m[1], 10, 64); err != nil || s.ASN == 0 {
			return problem.InField("q", "there is no network %s", text)
		}
		return nil
	}
	if wholeID.MatchString(text) {
		return c.searchID(ctx, s, strings.ToUpper(text))
	}
	if strings.Contains(text, "@") {
		u, err := c.Directory.Store.UserByEmail(ctx, s.AccountID, text)
		if err == nil {
			s.found(u)
			return nil
		}
		if !problem.Is(err, problem.NotFound) {
			return err
		}
	}
	people, err := c.Directory.People(ctx, s.AccountID, directory.ListQuery{Search: text, IncludeInvited: true, Limit: mostFound})
	if err != nil {
		return inSearch(err)
	}
	if len(people.Users) == 0 || people.Next != "" {
		s.Text = text
		return nil
	}
	s.found(people.Users...)
	return nil
}

// found makes the search one for people. If it is one for a person already, both must hold.
func (s *signInSearch) found(people ...directory.User) {
	s.People = people
	for _, u := range people {
		s.UserIDs = append(s.UserIDs, u.ID)
	}
	if s.UserID == "" {
		return
	}
	if !slices.Contains(s.UserIDs, s.UserID) {
		s.UserID = "nobody" // is no ID
	}
	s.UserIDs = nil
}

// searchID finds out what has the ID: a person, an event, or else a session.
func (c *Console) searchID(ctx context.Context, s *signInSearch, id string) error {
	u, err := c.Directory.Store.User(ctx, s.AccountID, id)
	if err == nil {
		s.found(u)
		return nil
	}
	if !problem.Is(err, problem.NotFound) {
		return err
	}
	of, err := c.SignIn.Attempts(ctx, signin.AttemptQuery{AccountID: s.AccountID, UserID: id, Limit: 1})
	if err != nil {
		return err
	}
	if len(of) > 0 { // somebody who has been removed
		s.found(directory.User{ID: id, DisplayName: of[0].Name})
		return nil
	}
	p, err := c.SignIn.FindAttempts(ctx, signin.AttemptQuery{AccountID: s.AccountID, ID: id, Limit: 1})
	if err != nil {
		return err
	}
	if s.SessionID == "" && len(p.Attempts) == 0 {
		s.SessionID = id
		return nil
	}
	s.ID = id
	return nil
}

// inSearch is a problem of the directory's search as one of our field.
func inSearch(err error) error {
	if p, ok := errors.AsType[*problem.Error](err); ok && p.Kind == problem.Invalid {
		return problem.InField("q", "%s", p.Detail)
	}
	return err
}

// addresses reads an address, or a network of them as in 203.0.113.0/24.
func addresses(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen()), true
}

// eventOf reads what eventPath has written, or the place at which a page begins.
func eventOf(text string) (at time.Time, id string, err error) {
	number, id, ok := strings.Cut(text, "-")
	us, err := strconv.ParseInt(number, 10, 64)
	if err != nil || !ok || us <= 0 {
		return at, "", problem.New(problem.NotFound, "there is no sign-in event %q", text)
	}
	return time.UnixMicro(us).UTC(), id, nil
}

// eventRef is an event in an address: its time makes it quick to find.
func eventRef(at time.Time, id string) string {
	return strconv.FormatInt(at.UnixMicro(), 10) + "-" + id
}
