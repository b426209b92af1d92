package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/directory"
)

// searchScan is how many people one page of a search looks at, at most, in each of its three parts. To look
// for a text in so many takes about as long as to read a page of a hundred.
const searchScan = 10_000

// lastKey comes after every key that begins with nothing else: no text that is stored holds this character.
const lastKey = "\U0010FFFF"

// statement is a query under construction; each ? of what is added becomes the next placeholder.
type statement struct {
	text strings.Builder
	args []any
}

func (s *statement) add(text string, args ...any) *statement {
	for _, a := range args {
		before, after, _ := strings.Cut(text, "?")
		s.args = append(s.args, a)
		s.text.WriteString(before + "$" + strconv.Itoa(len(s.args)))
		text = after
	}
	s.text.WriteString(text)
	return s
}

// search is one page of a search on its way.
type search struct {
	db      *DB
	account string
	q       directory.ListQuery
	low     string // what a key begins with
	high    string // comes after every key that begins so
	us      []directory.User
	at      directory.SearchPlace
}

// SearchUsers implements [directory.Store].
func (db *DB) SearchUsers(ctx context.Context, accountID string, q directory.ListQuery, from directory.SearchPlace) ([]directory.User, directory.SearchPlace, bool, error) {
	low := directory.SearchKey(q.Search)
	s := &search{db: db, account: accountID, q: q, low: low, high: low + lastKey, at: from}
	parts := [...]byte{directory.SearchEmail, directory.SearchName, directory.SearchWithin}
	for i := 0; i < len(parts); {
		if s.at.Part != parts[i] {
			i++
			continue
		}
		more, err := s.part(ctx)
		if err != nil || more {
			return s.us, s.at, more, err
		}
		if i++; i < len(parts) {
			s.at = directory.SearchPlace{Part: parts[i]}
		}
	}
	return s.us, s.at, false, nil
}

// part goes on in the part where the search is. It reports whether the page ends in it.
//
// A page first finds the end of its window in an index alone, and then reads the people inside: what is left
// out there, however much, is left out within bounds.
func (s *search) part(ctx context.Context) (more bool, err error) {
	if s.at.Part != directory.SearchWithin && s.at.Key < s.low {
		s.at.Key, s.at.ID = s.low, "" // before whoever has exactly this key
	}
	end := directory.SearchPlace{Part: s.at.Part, Key: s.high, ID: lastKey}
	st := s.window(s.at, end, "SELECT "+s.key()+", id").add(" LIMIT 1 OFFSET ?", searchScan-1)
	err = s.db.get(ctx, st.text.String(), st.args, &end.Key, &end.ID)
	bounded := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, fmt.Errorf("search people: %w", err)
	}
	found, err := s.people(ctx, end)
	if err != nil {
		return false, fmt.Errorf("search people: %w", err)
	}
	for _, f := range found {
		if len(s.us) == s.q.Limit {
			return true, nil // the one too many that was asked for
		}
		s.us, s.at = append(s.us, f.user), f.place
	}
	if bounded {
		s.at = end
	}
	return bounded, nil
}

// key is the column by which the part is sorted, before the id.
func (s *search) key() string {
	switch s.at.Part {
	case directory.SearchEmail:
		return "email_key"
	case directory.SearchName:
		return "name_key"
	}
	return "''"
}

// window selects from the window between two places, without its order.
func (s *search) between(from, to directory.SearchPlace, columns string) *statement {
	st := new(statement).add(columns + " FROM users ")
	index := map[byte]string{directory.SearchEmail: "users_email", directory.SearchName: "users_name"}[s.at.Part]
	if index != "" && s.db.postgres == "" {
		st.add("INDEXED BY " + index + " ") // as with listByStateSQLite
	}
	if index == "" {
		return st.add("WHERE account_id = ? AND id > ? AND id <= ?", s.account, from.ID, to.ID)
	}
	k := s.key()
	return st.add("WHERE account_id = ? AND "+k+" >= ? AND "+k+" <= ? AND ("+k+", id) > (?, ?) AND ("+k+", id) <= (?, ?)",
		s.account, from.Key, to.Key, from.Key, from.ID, to.Key, to.ID)
}

func (s *search) order() string {
	switch s.at.Part {
	case directory.SearchEmail: // unique, and PostgreSQL's index knows no more
		return " ORDER BY email_key"
	case directory.SearchName:
		return " ORDER BY name_key, id"
	}
	return " ORDER BY id"
}

func (s *search) window(from, to directory.SearchPlace, columns string) *statement {
	return s.between(from, to, columns).add(s.order())
}

// placed is a person with the place at which she was found.
type placed struct {
	user  directory.User
	place directory.SearchPlace
}

// people reads those in the window whom the page may show, and one more than it has room for.
func (s *search) people(ctx context.Context, end directory.SearchPlace) ([]placed, error) {
	st := s.between(s.at, end, "SELECT "+userColumns+", "+s.key())
	s.states(st)
	if s.at.Part != directory.SearchEmail { // whom the parts before have found
		st.add(" AND NOT (email_key >= ? AND email_key < ?)", s.low, s.high)
	}
	if s.at.Part == directory.SearchWithin {
		like := "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(s.low) + "%"
		st.add(" AND NOT (name_key >= ? AND name_key < ?) AND (email_key LIKE ? ESCAPE '!' OR name_key LIKE ? ESCAPE '!')",
			s.low, s.high, like, like)
	}
	st.add(s.order()+" LIMIT ?", s.q.Limit+1-len(s.us))
	rows, err := s.db.query(ctx, st.text.String(), st.args...)
	return collect(rows, err, func(r scanner) (placed, error) {
		p := placed{user: directory.User{AccountID: s.account}, place: directory.SearchPlace{Part: s.at.Part}}
		u := &p.user
		var us int64
		err := r.Scan(&u.ID, &u.Email, &u.DisplayName, &u.Lifecycle, &u.Suspended, &u.ExternallyManaged, &us, &p.place.Key)
		u.CreatedAt, p.place.ID = time.UnixMicro(us).UTC(), u.ID
		return p, err
	})
}

// states restricts to the states asked for, in one form for all, so that there are few statements.
func (s *search) states(st *statement) {
	lifecycles, suspended := [2]directory.Lifecycle{directory.Active, directory.Active}, [2]bool{false, true}
	switch s.q.State {
	case directory.OnlyActive:
		suspended[1] = false
	case directory.OnlySuspended:
		suspended[0] = true
	case directory.OnlyInvited:
		lifecycles[0], lifecycles[1] = directory.Invited, directory.Invited
	case directory.AnyState:
		if s.q.IncludeInvited {
			lifecycles[1] = directory.Invited
		}
	}
	st.add(" AND lifecycle IN (?, ?) AND suspended IN (?, ?)",
		string(lifecycles[0]), string(lifecycles[1]), suspended[0], suspended[1])
}
