package detect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"holdfast/internal/signals"
)

// maxPoints is how many versions there are to go back to.
const maxPoints = 8

// tidyUp gives up versions that nothing can go back to, and those that are close to others.
func (c *course) tidyUp() {
	first := 0
	for i, p := range c.points {
		if c.newest.Sub(p.at) > c.l.Lateness {
			first = i
		}
	}
	if first > 0 {
		c.points = slices.Delete(c.points, 0, first)
		c.memory.Settle(c.points[0].mark)
		c.forget()
	}
	for len(c.points) > maxPoints {
		least := 1
		for i := 1; i < len(c.points)-1; i++ {
			if gap(c.points, i) < gap(c.points, least) {
				least = i
			}
		}
		c.memory.Forget(c.points[least].mark)
		c.points = slices.Delete(c.points, least, least+1)
	}
}

// gap is how far apart versions are without this one.
func gap(points []point, i int) time.Duration { return points[i+1].at.Sub(points[i-1].at) }

// forget drops what is needed only to go back to before the oldest version.
func (c *course) forget() {
	oldest := c.points[0].at
	for seq, at := range c.ignored {
		if !at.After(oldest) {
			delete(c.ignored, seq)
		}
	}
	gone := 0
	for gone < c.learned && !c.lessons[gone].At.After(oldest) {
		gone++
	}
	c.lessons, c.learned = slices.Delete(c.lessons, 0, gone), c.learned-gone
	for id, k := range c.findings {
		if !k.open && !k.overAt.After(oldest) {
			delete(c.findings, id)
		}
	}
}

// goBack takes everything again from the last version before the event that came in between.
func (c *course) goBack(ctx context.Context) error {
	began := c.now()
	i := len(c.points) - 1
	for i > 0 && !c.points[i].at.Before(c.back) {
		i--
	}
	p := c.points[i]
	if !c.memory.Back(p.mark) {
		return errors.New("a version of what is remembered is gone")
	}
	c.points = c.points[:i+1]
	if err := c.engine.Restore(p.snapshot); err != nil {
		return fmt.Errorf("go back to %s: %w", p.at.Format(time.RFC3339), err)
	}
	if err := c.again(ctx, p.at, c.newest); err != nil {
		return err
	}
	c.back = time.Time{}
	if c.l.Pace.Share > 0 {
		c.backAt = c.now().Add(time.Duration(c.l.Pace.Share) * c.now().Sub(began))
	}
	return nil
}

// again takes the stored events that happened after a time, up to another. The engine is as it was then.
func (c *course) again(ctx context.Context, from, to time.Time) error {
	c.last, c.closed, c.recent = signals.Event{Time: from}, true, 0
	c.learned = 0
	for c.learned < len(c.lessons) && !c.lessons[c.learned].At.After(from) {
		c.learned++
	}
	c.engine.TouchOpen()
	s := Stretch{After: Place{At: from, Seq: math.MaxInt64}, Until: to, UpTo: c.read}
	var rest []*signals.Stored // of the last time of a page, which the next page may have more of
	for {
		page, err := c.l.Store.SignalsByTime(ctx, c.account, s, c.l.Pace.Batch)
		if err != nil {
			return err
		}
		whole := len(page) == 0
		for i := range page {
			e := &page[i]
			tidy(&e.Event)
			s.After = Place{At: e.Event.When(), Seq: e.Seq}
			_, late := c.ignored[e.Seq]
			if late || ahead(e.Event.When(), e.Event.ReceivedAt, c.l.Lateness) {
				continue
			}
			rest = append(rest, e)
		}
		slices.SortFunc(rest, before)
		n := len(rest)
		for n > 0 && !whole && rest[n-1].Event.When().Equal(s.After.At) {
			n--
		}
		if err := c.crowd.meet(ctx, c.l.Store, c.account, rest[:n]); err != nil {
			return err
		}
		for _, e := range rest[:n] {
			if err := c.one(ctx, e); err != nil {
				return err
			}
		}
		if rest = rest[n:]; whole {
			break
		}
	}
	if err := c.close(); err != nil {
		return err
	}
	c.withdraw(from, c.tell(true))
	c.tidyUp()
	return nil
}
