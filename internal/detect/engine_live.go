package detect

import (
	"fmt"

	"holdfast/internal/signals"
)

// Touched is a finding that has changed.
type Touched struct {
	Found Found
	Open  bool // it may still grow
}

// TakeStored takes a stored event; see Take.
func (x *Engine) TakeStored(s *signals.Stored) error {
	x.seq = s.Seq
	_, err := x.Take(&s.Event)
	x.seq = 0
	return err
}

// Settle decides what is left open of the present time, as if it were certain that no more events are of it.
// One that comes nevertheless must not be taken: go back to before.
func (x *Engine) Settle() error {
	x.windows.settle()
	var res Result
	_, err := x.collect(&res, nil)
	return err
}

// undecided says whether anything of the present time may yet begin a finding.
func (w *windows) undecided() bool {
	for _, s := range w.streams {
		if !s.eager && len(s.settling) > 0 {
			return true
		}
	}
	return false
}

// touch notes that findings have changed.
func (x *Engine) touch(all []*running) {
	for _, r := range all {
		if !r.touched && x.stands(r) {
			r.touched = true
			x.touched = append(x.touched, r)
		}
	}
}

// Touched are the findings that have changed since this was last asked, as they are now, in the order in which
// they first did. It needs Config.Track.
func (x *Engine) Touched() []Touched {
	all := make([]Touched, 0, len(x.touched))
	for _, r := range x.touched {
		r.touched = false
		all = append(all, Touched{x.found(r), !r.over})
	}
	clear(x.touched)
	x.touched = x.touched[:0]
	return all
}

// TouchOpen makes Touched give all findings that are open.
func (x *Engine) TouchOpen() {
	for e := x.open.Front(); e != nil; e = e.Next() {
		if r, ok := e.Value.(*running); ok {
			x.touch([]*running{r})
		}
	}
	for _, s := range x.windows.streams {
		for g := s.head; g != nil; g = g.next {
			if g.current != nil {
				x.touch([]*running{g.current})
			}
		}
	}
}

// checkProfile says whether a value can be read as what its key says.
func checkProfile(key string, value []byte) error {
	var r recall
	if key == "" {
		return fmt.Errorf("a profile has no key")
	}
	switch key[0] {
	case 'p':
		return new(personProfile).read(&r, value)
	case 'a', 'n':
		return new(placeProfile).read(&r, value)
	case 'd':
		return new(deviceProfile).read(&r, value)
	case 's':
		return new(sessionProfile).read(&r, value)
	case 'g':
		return new(crowdProfile).read(&r, value)
	}
	return fmt.Errorf("no profile has a key that begins with %q", key[:1])
}
