package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// connections is how many requests are on their way at once.
const connections = 16

// setup is the first line to the generator; it answers with a [ready].
type setup struct {
	Accounts map[string]account `json:"accounts"` // by base URL
}

type ready struct{}

// order asks for a round.
type order struct {
	URL      string        `json:"url"` // of the server, without a slash at the end
	What     string        `json:"what"`
	For      time.Duration `json:"for"`
	Conns    int           `json:"conns"`
	PageSize int           `json:"page_size"` // of lists
	Filter   string        `json:"filter"`    // of lists
	Pages    []string      `json:"pages"`     // tokens of the pages to list, each in its turn
	View     view          `json:"view"`      // page of the console
}

// result is what a round gave.
type result struct {
	Requests int      `json:"requests"`
	Seconds  float64  `json:"seconds"`
	P50      float64  `json:"p50"`    // ms
	P99      float64  `json:"p99"`    // ms
	Tokens   []string `json:"tokens"` // of a walk: the token of each page but the first
	Error    string   `json:"error"`

	work float64 // seconds of processor time, where it is measured
}

func (r result) perSecond() float64 { return float64(r.Requests) / r.Seconds }

// Load is the child that generates load: one round for each order.
func Load(ctx context.Context, in io.Reader, out io.Writer, now func() time.Time) error {
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	var s setup
	if err := orders.Decode(&s); err != nil {
		return fmt.Errorf("read setup: %w", err)
	}
	if err := answers.Encode(ready{}); err != nil {
		return err
	}
	g := generator{accounts: s.Accounts, callers: map[string][]*caller{}, now: now}
	defer g.close()
	for {
		var o order
		switch err := orders.Decode(&o); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read order: %w", err)
		}
		r, err := g.round(ctx, o)
		if err != nil {
			r.Error = err.Error()
		}
		if err := answers.Encode(r); err != nil {
			return err
		}
	}
}

// generator keeps its connections from round to round.
type generator struct {
	accounts map[string]account
	callers  map[string][]*caller // by base URL
	now      func() time.Time
}

func (g *generator) close() {
	for _, cs := range g.callers {
		for _, c := range cs {
			c.close()
		}
	}
}

// at returns the callers of a server. Each has a share of the people for itself, in no order.
func (g *generator) at(url string) ([]*caller, error) {
	if cs := g.callers[url]; cs != nil {
		return cs, nil
	}
	a, ok := g.accounts[url]
	if !ok {
		return nil, fmt.Errorf("no account is known at %s", url)
	}
	shuffled := slices.Clone(a.People)
	random := rand.New(rand.NewPCG(1, 2)) // the same order in each benchmark
	random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	var cs []*caller
	for i := range connections {
		c := &caller{url: url, account: a}
		for j := i; j < len(shuffled); j += connections {
			c.people = append(c.people, shuffled[j])
		}
		cs = append(cs, c)
	}
	g.callers[url] = cs
	return cs, nil
}

// round lets the callers work for a time.
func (g *generator) round(ctx context.Context, o order) (result, error) {
	all, err := g.at(o.URL)
	if err != nil {
		return result{}, err
	}
	cs := all[:min(len(all), o.Conns)]
	for _, c := range cs {
		if err := c.connect(ctx, g.now()); err != nil {
			return result{}, err
		}
	}
	do, ok := works[o.What]
	if !ok {
		return result{}, fmt.Errorf("no work is named %q", o.What)
	}
	var done atomic.Bool
	errs := make([]error, len(cs))
	start := g.now()
	var wait sync.WaitGroup
	for i, c := range cs {
		wait.Go(func() { errs[i] = c.work(do, o, &done, g.now) })
	}
	wait.Wait()
	end := g.now()
	r := result{Seconds: end.Sub(start).Seconds()}
	var took []time.Duration
	for _, c := range cs {
		took = append(took, c.took...)
		r.Tokens = append(r.Tokens, c.tokens...)
		c.tokens, c.used = nil, end
	}
	r.Requests = len(took)
	if r.Requests > 0 {
		slices.Sort(took)
		r.P50 = took[(len(took)-1)/2].Seconds() * 1000
		r.P99 = took[(len(took)-1)*99/100].Seconds() * 1000
	}
	if err := errors.Join(errs...); err != nil {
		return r, err
	}
	return r, g.restore(cs)
}

// restore reactivates who was suspended, so that the next round can suspend again.
func (g *generator) restore(cs []*caller) error {
	errs := make([]error, len(cs))
	var wait sync.WaitGroup
	for i, c := range cs {
		wait.Go(func() { errs[i] = c.reactivateAll() })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// work asks again and again until the time is over, or until one of the callers has nothing left to do.
func (c *caller) work(do work, o order, done *atomic.Bool, now func() time.Time) error {
	c.took = c.took[:0]
	c.begin()
	begin := now()
	for end := begin.Add(o.For); !done.Load(); {
		switch err := do(c, o); {
		case errors.Is(err, errNothingLeft):
			done.Store(true)
			return nil
		case err != nil:
			done.Store(true)
			return err
		}
		t := now()
		c.took = append(c.took, t.Sub(begin))
		begin = t
		if o.For > 0 && !t.Before(end) {
			return nil
		}
	}
	return nil
}

var errNothingLeft = errors.New("nothing is left to do")
