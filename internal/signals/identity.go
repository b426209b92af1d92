package signals

import "strings"

// People is where persons are looked up, all within one account. A method says false if there is
// nobody, or more than one. Spelling is its business: it folds addresses as the directory does.
type People interface {
	ByID(accountID, id string) (personID string, ok bool)
	ByEmail(accountID, address string) (personID string, ok bool)
	ByAlias(accountID, source, alias string) (personID string, ok bool)
}

// How says what a user was recognised by.
type How string

// The ways, in the order in which they are tried.
const (
	ByID    How = "id"
	ByEmail How = "email"
	ByAlias How = "alias"
	Nobody  How = "" // the event is shown without a person
)

// Match is the person whom an event is about.
type Match struct {
	PersonID string
	By       How
	Value    string // what they were recognised by
}

// Identify finds the person behind a user of an event: by the id, then by the address of e-mail, then
// by every name that the source gives as an alias. The first that names one person wins. Display
// names are never tried: people choose them.
func Identify(e *Event, u *User, people People) Match {
	if u.ID != "" {
		if p, ok := people.ByID(e.AccountID, u.ID); ok {
			return Match{p, ByID, u.ID}
		}
	}
	for _, address := range [...]string{u.Email, email(u.Login)} {
		if address == "" {
			continue
		}
		if p, ok := people.ByEmail(e.AccountID, address); ok {
			return Match{p, ByEmail, address}
		}
	}
	for _, alias := range aliases(u) {
		if p, ok := people.ByAlias(e.AccountID, e.Source, alias); ok {
			return Match{p, ByAlias, alias}
		}
		if address := email(alias); address != "" {
			if p, ok := people.ByEmail(e.AccountID, address); ok {
				return Match{p, ByAlias, alias}
			}
		}
	}
	return Match{}
}

// aliases are the names that may be one at the source, without blanks around them.
func aliases(u *User) (out []string) {
	for _, s := range append([]string{u.ID, u.Login, u.Email}, u.Aliases...) {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
