package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/detect/rules"
	"holdfast/internal/signals"
	"holdfast/internal/synth"
)

// Units of [Detect].
const (
	eventsOfCore = "events/s of one core"
	megabytesFor = "MB heap"
	halfFound    = "ms (p50)" // half of what was waited for came within it
)

const fewRules, manyRules = 50, 1000

// match measures two sets of rules in turns.
func (o Options) match(ctx context.Context) ([]Row, error) {
	var sides [2]matchSide
	for i, n := range []int{manyRules, fewRules} {
		var err error
		if sides[i], err = newMatchSide(n); err != nil {
			return nil, err
		}
	}
	rounds, err := turns(o.Rounds, func(i int) (result, error) {
		return sides[i].round(ctx, o.Duration/time.Duration(o.Rounds))
	}, func(done float64) { o.Progress("match", done) })
	if err != nil {
		return nil, err
	}
	many := newRow(rowMatchMany, eventsOfCore, rounds, result.perSecond)
	return []Row{{Name: rowMatch, Unit: eventsOfCore, Value: many.Floor}, many}, nil
}

type matchSide struct {
	matcher *detect.Matcher
	events  []*detect.Record
}

// round matches for a while, and returns how many events in which processor time.
func (s matchSide) round(ctx context.Context, length time.Duration) (result, error) {
	began, err := processorTime()
	if err != nil {
		return result{}, err
	}
	var r result
	var dst []int
	for ctx.Err() == nil {
		for _, e := range s.events {
			dst = s.matcher.Match(dst[:0], e)
		}
		r.Requests += len(s.events)
		now, err := processorTime()
		if err != nil {
			return r, err
		}
		if r.Seconds = (now - began).Seconds(); now-began >= length {
			return r, nil
		}
	}
	return r, ctx.Err()
}

// newMatchSide makes n rules as a team that watches sign-ins has them, and events as of an ordinary day.
func newMatchSide(n int) (matchSide, error) {
	var parsed []*detect.Rule
	for i := range n {
		rs, faults := detect.Parse(fmt.Sprintf("%d.yml", i), []byte(matchRule(i, max(40, n/3))))
		if len(faults) > 0 {
			return matchSide{}, faults
		}
		parsed = append(parsed, rs...)
	}
	source := detect.FieldMap{Name: "bench", Source: detect.LogSource{Product: "bench"}, Open: true}
	set, err := detect.Compile(parsed, []detect.FieldMap{source}, detect.StaticLists{"sanctioned": detect.NewValueList("KP", "IR")})
	if err != nil {
		return matchSide{}, err
	}
	m, ok := set.Matcher(source.Name)
	if !ok || len(set.Rules()) != n {
		return matchSide{}, fmt.Errorf("of %d rules there are %d", n, len(set.Rules()))
	}
	s := matchSide{matcher: m, events: make([]*detect.Record, 4096)}
	d := rand.New(rand.NewPCG(11, 12))
	for i := range s.events {
		r := &detect.Record{Values: make([]detect.Value, len(m.Paths()))}
		for place, path := range m.Paths() {
			r.Values[place] = detect.Lookup(matchEvent(d), path)
		}
		s.events[i] = r
	}
	return s, nil
}

// matchRule is most often about a kind of event and a few more fields; the two kinds that most events are of have
// rules as well.
func matchRule(i, kinds int) string {
	kind := fmt.Sprintf("user.session.act%d", i%kinds)
	if i%25 == 0 {
		kind = []string{"user.session.start", "user.authentication.auth_via_mfa"}[i/25%2]
	}
	var body string
	switch i % 10 {
	case 0, 1, 2:
		body = "  a: {eventType: %[1]s}\n  condition: a\n"
	case 3, 4:
		body = "  a: {eventType: [%[1]s, other.act%[2]d], outcome.result: FAILURE}\n  condition: a\n"
	case 5:
		body = "  a: {eventType: %[1]s, feature.new_device: true}\n  b: {client.ip|cidr: [10.0.0.0/8, 192.168.0.0/16]}\n  condition: a and not b\n"
	case 6:
		body = "  a: {eventType: %[1]s}\n  b: {client.userAgent|contains: [curl, python, 'Go-http*%[2]d']}\n  condition: a and b\n"
	case 7:
		body = "  a: {eventType: %[1]s, actor.name|re: '(^svc.*|[a-z0-9.]+@example%[2]d\\.org)'}\n  condition: a\n"
	case 8:
		body = "  a: {actor.name: person%[2]d@example.com}\n  b: {outcome.reason: 'REASON_%[2]d'}\n  condition: a and b\n"
	default:
		body = "  a: {eventType: %[1]s}\n  b:\n    - {client.country|expand: '%%sanctioned%%'}\n    - {client.zone: tor%[2]d}\n  condition: a and b\n"
		if i%30 == 9 { // about no text, so that it is looked at for each event
			return matchHead(i) + fmt.Sprintf("  a: {feature.failures|gte: %d}\n  condition: a\n", 20+i)
		}
	}
	return matchHead(i) + fmt.Sprintf(body, kind, i)
}

func matchHead(i int) string {
	return fmt.Sprintf("title: Rule %d\nname: rule_%d\nlogsource: {product: bench}\ndetection:\n", i, i)
}

func matchEvent(d *rand.Rand) map[string]any {
	one := func(of string) string {
		all := strings.Fields(of)
		return all[d.IntN(len(all))]
	}
	return map[string]any{
		"eventType": one("user.session.start user.session.start user.authentication.auth_via_mfa user.session.end user.session.act12"),
		"outcome":   map[string]any{"result": one("SUCCESS SUCCESS SUCCESS SUCCESS FAILURE"), "reason": one("NONE INVALID_CREDENTIALS")},
		"actor":     map[string]any{"name": fmt.Sprintf("Person%d@Example.com", d.IntN(5000))},
		"client": map[string]any{
			"ip": fmt.Sprintf("198.51.%d.%d", d.IntN(256), d.IntN(256)), "country": one("DE DE US FR"), "zone": "none", "userAgent": attempt(0, "").Client.UserAgent,
		},
		"feature": map[string]any{"new_device": d.IntN(30) == 0, "failures": d.IntN(5)},
	}
}

// shipped are the rules that come with Holdfast.
func shipped() (*detect.Set, error) {
	lists, err := detect.ReadLists(rules.FS())
	if err != nil {
		return nil, err
	}
	return detect.Load(rules.FS(), detect.FieldMaps(), lists)
}

// history is what people of a made-up company do, in order of time.
func (o Options) history(people int) synth.Config {
	const days = 365
	return synth.Config{Seed: 3, Start: o.Now().UTC().AddDate(0, 0, -days-1), Days: days, Invent: people, Awkward: true, Attacks: synth.Each(3)}
}

// keys measures what the engine holds in memory once there are so many keys.
func (o Options) keys(ctx context.Context) ([]Row, error) {
	set, err := shipped()
	if err != nil {
		return nil, err
	}
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what was in pools is gone after the second
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	memory := detect.NewVersions()
	before := heap()
	x, err := detect.NewEngine(detect.Config{Set: set, Memory: memory})
	if err != nil {
		return nil, err
	}
	decoder, err := signals.NewDecoder(signals.OnePassword)
	if err != nil {
		return nil, err
	}
	n := 0
	for s := range synth.Generate(o.history(max(10, o.Keys/20))) {
		if n%1000 == 0 {
			have := memory.Usage().Keys
			o.Progress(rowKeys, min(1, float64(have)/float64(o.Keys)))
			if have >= o.Keys {
				break
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			memory.Settle(memory.Mark())
			memory.Saved() // as after a checkpoint
		}
		e, err := decoder.Decode(line(s, n))
		if err != nil {
			return nil, err
		}
		if _, err := x.Take(&e); err != nil {
			return nil, err
		}
		n++
	}
	have := memory.Usage().Keys
	if have < o.Keys {
		return nil, fmt.Errorf("the made-up company has only %d keys; want %d", have, o.Keys)
	}
	size := heap() - before
	runtime.KeepAlive(x)
	return []Row{{Name: rowKeys, Unit: megabytesFor, Value: size / float64(have) * float64(o.Keys) / 1e6}}, nil
}
