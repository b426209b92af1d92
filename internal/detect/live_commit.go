package detect

import (
	"context"
	"hash/fnv"
	"io"
	"slices"
	"time"
)

// tell notes what the engine found since this was last asked. It returns the ids of the findings that it
// looked at. Again says that the engine went back before.
func (c *course) tell(again bool) map[string]bool {
	ids := map[string]bool{}
	for _, t := range c.engine.Touched() {
		f := &t.Found
		ids[f.ID] = true
		before := c.findings[f.ID]
		k := &committed{
			rule: f.Rule, text: f.Version, at: f.Time, last: f.Last, count: f.Count, more: f.More, open: t.Open, print: f.print(), overAt: c.last.When(),
			events: make(map[int64]struct{}, len(f.Seqs)),
		}
		var added, all []Evidence
		for i, seq := range f.Seqs {
			k.events[seq] = struct{}{}
			all = append(all, Evidence{Seq: seq, ID: f.Events[i]})
			if before == nil {
				continue
			}
			if _, there := before.events[seq]; !there {
				added = append(added, Evidence{Seq: seq, ID: f.Events[i]})
			}
		}
		c.findings[f.ID] = k
		change := Change{Found: *f, Open: t.Open, Events: all, Anew: again}
		if before != nil {
			if len(added) == 0 && k.same(before) {
				continue
			}
			if len(before.events)+len(added) == len(all) { // none is gone
				change.Events, change.Anew = added, false
			} else {
				change.Anew = true
			}
		}
		c.pending.Changes = append(c.pending.Changes, change)
	}
	c.flooded()
	return ids
}

// same says that nothing but the evidence may be different.
func (k *committed) same(other *committed) bool {
	return len(k.events) == len(other.events) && k.at.Equal(other.at) && k.last.Equal(other.last) && k.count == other.count && k.more == other.more &&
		k.open == other.open && (other.print == 0 || k.print == other.print)
}

// print is a hash of what follows from the finding's events, and of its sentences. It is never 0.
func (f *Found) print() uint64 {
	h := fnv.New64a()
	write := func(texts ...string) {
		for _, s := range texts {
			_, _ = io.WriteString(h, s+"\xff") // a hash never fails
		}
	}
	write(f.Version, f.Person, f.PersonID, f.User, f.Address, f.Explain["en"], f.Explain["de"])
	for _, v := range f.Features {
		write(v.Name)
		write(v.Value.Texts()...)
	}
	return max(1, h.Sum64())
}

// flooded notes how many more matches were too many.
func (c *course) flooded() {
	for rule, n := range c.engine.passed {
		if more := n - c.passed[rule]; more > 0 {
			if c.pending.Flooded == nil {
				c.pending.Flooded = map[string]int{}
			}
			c.pending.Flooded[c.set.rules[rule].Key()] += more
		}
		c.passed[rule] = n
	}
}

// withdraw takes back what was found and is not any more, now that the engine went back to a time. Ids are
// those that it has found, and those that are open.
func (c *course) withdraw(from time.Time, ids map[string]bool) {
	versions := map[string]string{}
	for i, r := range c.set.rules {
		versions[r.Key()] = c.engine.versions[i]
	}
	for id, k := range c.findings {
		switch {
		case ids[id]:
		case k.at.After(from) && !c.maimed && versions[k.rule] == k.text:
			c.pending.Withdrawn = append(c.pending.Withdrawn, id)
			delete(c.findings, id)
		case k.open: // its rule is not what it was
			c.pending.Over = append(c.pending.Over, id)
			k.open, k.overAt = false, c.last.When()
		}
	}
	slices.Sort(c.pending.Withdrawn)
	slices.Sort(c.pending.Over)
}

// urgent says that there is more to be stored than how far the events were looked at.
func (c *course) urgent() bool {
	p := &c.pending
	return len(p.Changes)+len(p.Withdrawn)+len(p.Over)+len(p.Learned) > 0
}

// commit stores what is pending. How far events were looked at is stored once a second if nothing came of
// them; who begins there looks at them again.
func (c *course) commit(ctx context.Context, now bool) error {
	if !c.urgent() && c.read == c.cursor {
		c.quiet = time.Time{}
		return c.checkpoint(ctx, false)
	}
	if c.quiet.IsZero() {
		c.quiet = c.now().Add(time.Second)
	}
	if !now && !c.urgent() && c.now().Before(c.quiet) {
		return c.checkpoint(ctx, false)
	}
	p := c.pending
	p.AccountID, p.Holder, p.From, p.Cursor = c.account, c.l.holder, c.version, c.read
	if err := c.l.Store.CommitDetection(ctx, p); err != nil {
		return err
	}
	c.version++
	c.cursor, c.pending, c.quiet = c.read, Commit{}, time.Time{}
	return c.checkpoint(ctx, false)
}

// maxDirty is how many profiles may wait for a checkpoint. More would hold up who else writes.
const maxDirty = 4000

// checkpoint stores the oldest version, if that is another one than the stored one and it is time for it.
func (c *course) checkpoint(ctx context.Context, now bool) error {
	if p := c.points[0]; !now && (!p.at.After(c.saved) || c.now().Before(c.saveAt) && c.memory.Dirty() < maxDirty) {
		return nil
	}
	if c.cursor != c.read {
		return c.commit(ctx, true) // and then this
	}
	return c.save(ctx)
}

func (c *course) save(ctx context.Context) error {
	began, p := c.now(), c.points[0]
	if p.at.IsZero() {
		return nil
	}
	c.memory.Sweep(p.at)
	rows := c.memory.Changed()
	if err := c.l.Store.WriteCheckpoint(ctx, Checkpoint{
		AccountID: c.account, Holder: c.l.holder, From: c.version, At: p.at, Windows: p.snapshot, Rules: c.rules, Profiles: rows,
	}); err != nil {
		return err
	}
	c.memory.Saved()
	c.version++
	c.saved = p.at
	ended := c.now()
	c.saveAt = ended.Add(max(c.l.Pace.Checkpoint, time.Duration(max(0, c.l.Pace.Share))*ended.Sub(began)))
	return nil
}

// leave stores what there is, so that who goes on has less to take again.
func (c *course) leave(ctx context.Context) error {
	if c.busy {
		return nil // what was read is not taken
	}
	if !c.closed {
		if err := c.close(); err != nil {
			return err
		}
		c.tell(false)
	}
	if err := c.commit(ctx, true); err != nil {
		return err
	}
	return c.checkpoint(ctx, c.points[0].at.After(c.saved))
}
