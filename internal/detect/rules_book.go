package detect

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/problem"
)

// OwnRule is a text that an account has written: a rule, or a few that belong together.
type OwnRule struct {
	Name      string    `json:"name"` // the key of its first rule that no other one of the text uses
	Text      string    `json:"text"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	UpdatedAt time.Time `json:"-"`
	UpdatedBy string    `json:"-"`
}

// AccountList is a list as an account keeps it.
type AccountList struct {
	Name      string      `json:"name"`
	Extends   bool        `json:"extends,omitempty"` // the entries of the list of files with this name count as well
	Entries   []ListEntry `json:"entries"`
	UpdatedAt time.Time   `json:"-"`
	UpdatedBy string      `json:"-"`
}

// values are the list's entries, with those of files if it extends them.
func (l AccountList) values(files []string) *ValueList {
	all := slices.Clone(l.Entries)
	if l.Extends {
		for _, value := range files {
			all = append(all, ListEntry{Value: value})
		}
	}
	return NewLimitedList(all...)
}

// book is what an account has changed.
type book struct {
	revision   int64
	own        []OwnRule
	settings   map[string]Setting
	touched    map[string]RuleItem // the settings as they are stored, for who and when
	exceptions []Exception
	lists      []AccountList
}

// readBook reads the items of an account.
func readBook(revision int64, items []RuleItem) (book, error) {
	b := book{revision: revision, settings: map[string]Setting{}, touched: map[string]RuleItem{}}
	for _, item := range items {
		var err error
		switch item.Kind {
		case ownItem:
			var r OwnRule
			err = json.Unmarshal(item.Body, &r)
			r.UpdatedAt, r.UpdatedBy = item.UpdatedAt, item.UpdatedBy
			b.own = append(b.own, r)
		case settingItem:
			var s Setting
			err = json.Unmarshal(item.Body, &s)
			b.settings[item.Name], b.touched[item.Name] = s, item
		case exceptionItem:
			var x Exception
			err = json.Unmarshal(item.Body, &x)
			b.exceptions = append(b.exceptions, x)
		case listItem:
			var l AccountList
			err = json.Unmarshal(item.Body, &l)
			l.UpdatedAt, l.UpdatedBy = item.UpdatedAt, item.UpdatedBy
			b.lists = append(b.lists, l)
		default:
			err = fmt.Errorf("it is of a kind that this version does not know")
		}
		if err != nil {
			return book{}, fmt.Errorf("read what the account has changed, %s %q: %w", item.Kind, item.Name, err)
		}
	}
	slices.SortStableFunc(b.exceptions, func(a, b Exception) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return b, nil
}

// with is the book with the items changed.
func (b book) with(items ...RuleItem) (book, error) {
	var all []RuleItem
	add := func(kind RuleItemKind, name string, v any) error {
		if slices.ContainsFunc(items, func(x RuleItem) bool { return x.Kind == kind && x.Name == name }) {
			return nil
		}
		item, err := itemOf(kind, name, v)
		all = append(all, item)
		return err
	}
	for _, r := range b.own {
		if err := add(ownItem, r.Name, r); err != nil {
			return b, err
		}
	}
	for key, s := range b.settings {
		if err := add(settingItem, key, s); err != nil {
			return b, err
		}
	}
	for _, x := range b.exceptions {
		if err := add(exceptionItem, x.ID, x); err != nil {
			return b, err
		}
	}
	for _, l := range b.lists {
		if err := add(listItem, l.Name, l); err != nil {
			return b, err
		}
	}
	for _, x := range items {
		if x.Body != nil {
			all = append(all, x)
		}
	}
	return readBook(b.revision, all)
}

// itemOf is the item of a value.
func itemOf(kind RuleItemKind, name string, v any) (RuleItem, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return RuleItem{}, fmt.Errorf("write %s %q: %w", kind, name, err)
	}
	return RuleItem{Kind: kind, Name: name, Body: body}, nil
}

// list is the account's list of the name.
func (b book) list(name string) (AccountList, bool) {
	i := slices.IndexFunc(b.lists, func(l AccountList) bool { return l.Name == name })
	if i < 0 {
		return AccountList{}, false
	}
	return b.lists[i], true
}

// exceptionsOf are the exceptions of the rule.
func (b book) exceptionsOf(key string) []Exception { return wish{exceptions: b.exceptions}.of(key) }

// words says in few words how a rule is set.
func (s Setting) words() string {
	var parts []string
	if s.Off {
		parts = append(parts, "off")
	}
	if s.Level != "" {
		parts = append(parts, "level "+string(s.Level))
	}
	if s.Threshold != nil {
		parts = append(parts, fmt.Sprintf("threshold %d", *s.Threshold))
	}
	if s.Timespan != nil {
		parts = append(parts, "timespan "+FormatTimespan(*s.Timespan))
	}
	if len(parts) == 0 {
		return "as it is written"
	}
	return strings.Join(parts, ", ")
}

// FormatTimespan is a timespan as a rule would have it, such as 15m.
func FormatTimespan(d time.Duration) string {
	for _, u := range []struct {
		length time.Duration
		unit   string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= u.length && d%u.length == 0 {
			return fmt.Sprintf("%d%s", d/u.length, u.unit)
		}
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// ParseTimespan reads a timespan as rules have it: a whole number and one of s, m, h, d, w, M (30 days) and y.
func ParseTimespan(text string) (time.Duration, error) {
	if text == "" {
		return 0, problem.InField("timespan", "the timespan is empty; write for example 15m")
	}
	r := &reader{}
	d := r.span(pos{}, text)
	if len(r.faults) > 0 {
		return 0, problem.InField("timespan", "%s", r.faults[0].Text)
	}
	return d, nil
}
