package feed

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"holdfast/internal/web"
)

// disorder is by how much the time of an event can be before that of one with a lower number: servers' clocks
// differ, and a request that was held up keeps the time at which it came.
const disorder = time.Hour

// mostLooked is how many events one request looks at, whatever it finds. Some clients stop at the first page
// that is empty, so it is far more than a page.
const mostLooked = 20 * MaxLimit

// page is what a request is answered with.
type page[E any] struct {
	Items  []E
	Cursor cursor
	More   bool // there is more, or it was not looked to the end
}

// read reads the next page of a stream. see says of an event when it happened and which number it has, and
// whether it is one for the reader at all.
func read[E any](ctx context.Context, c cursor, from func(ctx context.Context, after int64, limit int) ([]E, error), see func(E) (Event, bool)) (page[E], error) {
	p := page[E]{Cursor: c}
	for looked := 0; ; {
		want := c.Limit - len(p.Items)
		events, err := from(ctx, p.Cursor.After, want+1)
		if err != nil {
			return p, err
		}
		p.More = len(events) > want
		if p.More {
			events = events[:want]
		}
		if p.Items == nil {
			p.Items = events[:0] // nearly always all of them are for the reader: nothing is moved
		}
		for _, e := range events {
			at, ours := see(e)
			p.Cursor.After = at.Seq
			if ours && !at.At.Before(c.From) && (c.To.IsZero() || at.At.Before(c.To)) {
				p.Items = append(p.Items, e)
			}
			if !c.To.IsZero() && !at.At.Before(c.To.Add(disorder)) {
				p.More = false // everything that happened before the end is behind us
				return p, nil
			}
		}
		if looked += len(events); !p.More || len(p.Items) == c.Limit || looked >= mostLooked {
			return p, nil
		}
	}
}

// start is the cursor with which an ask begins: in front of the first event that can have happened at its
// start or later.
func (s *Service) start(ctx context.Context, accountID string, stream Stream, a ask) (cursor, error) {
	c := cursor{Limit: a.Limit, From: a.From, To: a.To}
	first, last, err := s.Store.Bounds(ctx, accountID, stream)
	if err != nil || last == 0 {
		return c, err
	}
	// What happened more than the disorder before is in front of everything that is asked for.
	before := a.From.Add(-disorder)
	low, high := first, last+1 // the number is in [low, high]
	for low < high {
		middle := low + (high-low)/2
		at, ok, err := s.Store.TimeOf(ctx, accountID, stream, middle)
		if err != nil {
			return c, err
		}
		if ok && at.Before(before) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	c.After = low - 1
	return c, nil
}

// begin is the cursor that the ask names, or with which it begins.
func (s *Service) begin(ctx context.Context, accountID string, stream Stream, a ask) (cursor, error) {
	if a.Cursor != "" {
		return s.decodeCursor(accountID, stream, a.Cursor)
	}
	return s.start(ctx, accountID, stream, a)
}

// reader reads one page of a stream for an account and renders it.
type reader func(ctx context.Context, accountID string, c cursor, g generation) (items any, n int, next cursor, more bool, err error)

func (s *Service) reader(stream Stream) reader {
	switch stream {
	case ItemUsages:
		return readerOf(s.Store.FeedUsages, func(u Usage) (Event, bool) { return u.Event, true }, renderUsage)
	case AuditEvents:
		return readerOf(s.Store.FeedAudited, func(a Audited) (Event, bool) { return a.Event, shown(a.Entry) }, renderAudited)
	}
	return readerOf(s.Store.FeedAttempts, func(a Attempt) (Event, bool) { return a.Event, true }, renderAttempt)
}

func readerOf[E, V any](from func(context.Context, string, int64, int) ([]E, error), see func(E) (Event, bool), render func(E, string, generation) V) reader {
	return func(ctx context.Context, accountID string, c cursor, g generation) (any, int, cursor, bool, error) {
		p, err := read(ctx, c, func(ctx context.Context, after int64, limit int) ([]E, error) {
			return from(ctx, accountID, after, limit)
		}, see)
		if err != nil {
			return nil, 0, c, false, err
		}
		views := make([]V, len(p.Items))
		for i, e := range p.Items {
			views[i] = render(e, accountID, g)
		}
		return views, len(views), p.Cursor, p.More, nil
	}
}

// answer is a page as the first and second generation have it (contract 4.3).
type answer struct {
	Cursor  string `json:"cursor"`
	HasMore bool   `json:"has_more"`
	Items   any    `json:"items"`
}

// post is the handler of a stream.
func (s *Service) post(stream Stream, g generation) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.admit(r, stream); err != nil {
			return err
		}
		a, err := readAsk(r, s.Now())
		if err != nil {
			return err
		}
		items, next, more, err := s.serve(w, r, stream, a, g)
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, answer{Cursor: next, HasMore: more, Items: items})
	}
}

// getAuditV3 serves audit events as the third generation has them.
func (s *Service) getAuditV3(w http.ResponseWriter, r *http.Request) error {
	if err := s.admit(r, AuditEvents); err != nil {
		return err
	}
	a, err := readQuery(r, s.Now())
	if err != nil {
		return err
	}
	items, next, more, err := s.serve(w, r, AuditEvents, a, v3)
	if err != nil {
		return err
	}
	if !more {
		next = "" // whoever wants later events asks from the time of the last one on
	}
	return web.JSON(w, http.StatusOK, struct {
		Events any    `json:"audit_events"`
		Next   string `json:"next_page_token,omitempty"`
	}{items, next})
}

// serve reads the page that is asked for. If there is nothing and the client wants to wait, it waits.
func (s *Service) serve(w http.ResponseWriter, r *http.Request, stream Stream, a ask, g generation) (items any, next string, more bool, err error) {
	ctx, accountID := r.Context(), web.RecordOf(r.Context()).Principal.AccountID
	c, err := s.begin(ctx, accountID, stream, a)
	if err != nil {
		return nil, "", false, err
	}
	until := s.Now().Add(a.Wait)
	for {
		var n int
		if items, n, c, more, err = s.reader(stream)(ctx, accountID, c, g); err != nil {
			return nil, "", false, err
		}
		left := until.Sub(s.Now())
		if n > 0 || more || left <= 0 || !s.wait(ctx, accountID, stream, c.After, left) {
			s.use(r, stream, n, false)
			break
		}
	}
	if a.Wait > 0 {
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(a.Wait.Seconds())))
	}
	return items, s.encodeCursor(accountID, stream, c), more, nil
}

// wait reports whether there is an event after the number within the time.
func (s *Service) wait(ctx context.Context, accountID string, stream Stream, after int64, most time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if s.Closing != nil {
		defer context.AfterFunc(s.Closing, cancel)()
	}
	return s.Store.WaitEvents(ctx, accountID, stream, after) == nil
}
