package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"
)

// Fault is the first place where a chain is not what it was when it was written.
type Fault struct {
	AccountID string
	Seq       int64  // the link at which it shows
	What      string // what was found and what was expected
}

// Error is the fault as one sentence.
func (f *Fault) Error() string {
	return fmt.Sprintf("the audit chain of %q is broken at link %d: %s", f.AccountID, f.Seq, f.What)
}

// Verify reads a whole chain and compares it with its head. It returns the number of good links, and a
// *Fault as error at the first that is not: changed, missing, moved, or cut off at the end.
func Verify(links iter.Seq2[Link, error], head Head) (good int64, err error) {
	_, good, err = VerifyFrom(links, Head{AccountID: head.AccountID}, head)
	return good, err
}

// VerifyFrom is Verify for the rest of a chain, which goes on behind a link that was found to be good. It
// also returns the last good link.
func VerifyFrom(links iter.Seq2[Link, error], from, head Head) (at Head, good int64, err error) {
	at, good, err = follow(links, from)
	if err == nil && at != head {
		err = &Fault{AccountID: head.AccountID, Seq: at.Seq + 1,
			What: fmt.Sprintf("the chain ends at link %d with hash %s, its head says link %d with hash %s", at.Seq, at.Hash, head.Seq, head.Hash)}
	}
	return at, good, err
}

// VerifyExport reads an export, which may begin in the middle of a chain, and compares its links with
// each other. Whether links are missing before the first or after the last, an export cannot tell: the
// head that is returned is to be compared with what is known from elsewhere.
func VerifyExport(r io.Reader) (head Head, good int64, err error) {
	next, stop := iter.Pull2(Import(r))
	defer stop()
	first, err, ok := next()
	if !ok || err != nil {
		return Head{}, 0, err
	}
	start := Head{AccountID: first.AccountID, Seq: first.Seq - 1, Hash: first.Prev}
	rest := func(yield func(Link, error) bool) {
		for l, err, ok := first, err, true; ok && yield(l, err); l, err, ok = next() {
		}
	}
	return follow(rest, start)
}

// follow goes from link to link as long as each continues the one before.
func follow(links iter.Seq2[Link, error], at Head) (end Head, good int64, err error) {
	for l, err := range links {
		if err != nil {
			return at, good, err
		}
		fault := func(format string, args ...any) (Head, int64, error) {
			return at, good, &Fault{AccountID: at.AccountID, Seq: at.Seq + 1, What: fmt.Sprintf(format, args...)}
		}
		switch {
		case l.AccountID != at.AccountID:
			return fault("the next link belongs to the account %q", l.AccountID)
		case l.Seq != at.Seq+1:
			return fault("the next link has the number %d, so links are missing or were moved", l.Seq)
		case l.Prev != at.Hash:
			return fault("it names %s as the hash before it, the link before has %s", l.Prev, at.Hash)
		case l.Sum() != l.Hash:
			return fault("its content has the hash %s, stored is %s, so it was changed", l.Sum(), l.Hash)
		}
		at = l.Head()
		good++
	}
	return at, good, nil
}

// exported is one line of an export.
type exported struct {
	AccountID string  `json:"account_id"`
	Seq       int64   `json:"seq"`
	Time      string  `json:"time"` // RFC 3339, UTC, microseconds
	Actor     string  `json:"actor"`
	Action    Action  `json:"action"`
	Target    string  `json:"target,omitempty"`
	Outcome   Outcome `json:"outcome"`
	Reason    string  `json:"reason,omitempty"`
	RequestID string  `json:"request_id,omitempty"`
	Address   string  `json:"address,omitempty"`
	Prev      string  `json:"prev"`
	Hash      string  `json:"hash"`
}

const exportTime = "2006-01-02T15:04:05.000000Z"

// Export writes the links as JSON, one a line, with their hashes, so that [Import] and anybody who
// follows the comment of [Link.Sum] can verify them. It returns how many.
func Export(w io.Writer, links iter.Seq2[Link, error]) (n int64, err error) {
	enc := json.NewEncoder(w)
	for l, err := range links {
		if err != nil {
			return n, err
		}
		err := enc.Encode(exported{
			AccountID: l.AccountID, Seq: l.Seq, Time: l.Time.UTC().Format(exportTime),
			Actor: l.Entry.Actor, Action: l.Entry.Action, Target: l.Entry.Target, Outcome: l.Entry.Outcome,
			Reason: l.Entry.Reason, RequestID: l.Entry.RequestID, Address: l.Entry.Address,
			Prev: l.Prev.String(), Hash: l.Hash.String(),
		})
		if err != nil {
			return n, fmt.Errorf("write audit link %d: %w", l.Seq, err)
		}
		n++
	}
	return n, nil
}

// Import reads an export, for verification without the database.
func Import(r io.Reader) iter.Seq2[Link, error] {
	return func(yield func(Link, error) bool) {
		dec := json.NewDecoder(r)
		for line := 1; ; line++ {
			var e exported
			err := dec.Decode(&e)
			if err == io.EOF {
				return
			}
			var l Link
			if err == nil {
				l, err = e.link()
			}
			if err != nil {
				yield(Link{}, fmt.Errorf("line %d is not a line of an audit export: %w", line, err))
				return
			}
			if !yield(l, nil) {
				return
			}
		}
	}
}

func (e exported) link() (Link, error) {
	l := Link{AccountID: e.AccountID, Seq: e.Seq, Entry: Entry{
		Actor: e.Actor, Action: e.Action, Target: e.Target, Outcome: e.Outcome,
		Reason: e.Reason, RequestID: e.RequestID, Address: e.Address,
	}}
	var err error
	if l.Time, err = time.Parse(exportTime, e.Time); err != nil {
		return l, err
	}
	if l.Prev, err = parseHash(e.Prev); err != nil {
		return l, err
	}
	l.Hash, err = parseHash(e.Hash)
	return l, err
}
