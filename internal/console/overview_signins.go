package console

import (
	"net/http"
	"time"

	"holdfast/internal/audit"
)

// signInFigures count sign-ins of the last 24 hours, and what failed.
type signInFigures struct {
	Done, Failed int
	More         bool // there were more than are counted
}

// Share is the part of tries that failed, in tenths of a percent.
func (f signInFigures) Share() float64 {
	return float64(1000*f.Failed/max(1, f.Done+f.Failed)) / 10
}

// signInDay is what the overview shows of the last 24 hours.
type signInDay struct {
	figures signInFigures
	chart   *signInChart // never changed once it is drawn
}

// signIns returns the figures and, if they are all of them, the picture; where there were many, up to 5 seconds late.
func (c *Console) signIns(r *http.Request) (signInFigures, *signInChart, error) {
	now, account := c.Now(), me(r).AccountID
	if day, ok := c.day.get(account, now); ok {
		return day.figures, day.chart, nil
	}
	f, chart, err := c.countSignIns(r, now.UTC())
	if err == nil && f.Done+f.Failed >= dearSignIns {
		c.day.put(account, signInDay{f, chart}, now)
	}
	return f, chart, err
}

// countSignIns counts by the audit log, which tells signing in from confirming.
func (c *Console) countSignIns(r *http.Request, now time.Time) (signInFigures, *signInChart, error) {
	var f signInFigures
	since := now.Add(-24 * time.Hour)
	read := func(action audit.Action) ([]audit.Link, error) {
		q := audit.Query{AccountID: me(r).AccountID, Actions: []audit.Action{action}, From: since, Limit: audit.MaxPage}
		return c.Audit.AuditEntries(r.Context(), q)
	}
	done, err := read(audit.SessionBegin)
	if err != nil {
		return f, nil, err
	}
	failed, err := read(audit.SignInFail)
	if err != nil {
		return f, nil, err
	}
	f = signInFigures{Done: len(done), Failed: len(failed), More: len(done) == audit.MaxPage || len(failed) == audit.MaxPage}
	if f.More || f.Done+f.Failed == 0 {
		return f, nil, nil // of a part of them no picture can be drawn
	}
	return f, chartOf(now, done, failed), nil
}

// signInChart is the picture of 24 hours, in the units of its viewBox: 720 wide, 172 high.
type signInChart struct {
	Bars  []signInBar
	Lines []chartLine
	Peak  int       // in one hour
	At    time.Time // when that hour began
}

type signInBar struct {
	X, Mid          int
	Y, Height       int // of those that succeeded
	BadY, BadHeight int // of those that failed, above
	Label           string
	Now             bool
}

type chartLine struct{ Y, TextY, Value int }

// The measures of the chart.
const (
	chartHours = 24
	chartBase  = 140 // y of zero
	chartTop   = 20  // y of the highest line
	chartLeft  = 40
	chartStep  = 28
)

func chartOf(now time.Time, done, failed []audit.Link) *signInChart {
	first := now.Truncate(time.Hour).Add(-(chartHours - 1) * time.Hour)
	var ok, bad [chartHours]int
	count := func(in *[chartHours]int, links []audit.Link) {
		for _, l := range links {
			if h := int(l.Time.Sub(first) / time.Hour); !l.Time.Before(first) && h < chartHours {
				in[h]++
			}
		}
	}
	count(&ok, done)
	count(&bad, failed)
	chart := &signInChart{}
	for h := range chartHours {
		if n := ok[h] + bad[h]; n > chart.Peak {
			chart.Peak, chart.At = n, first.Add(time.Duration(h)*time.Hour)
		}
	}
	most := roundUp(chart.Peak)
	high := func(n int) int { return (n*(chartBase-chartTop) + most - 1) / most }
	for h := range chartHours {
		at := first.Add(time.Duration(h) * time.Hour)
		b := signInBar{X: chartLeft + h*chartStep, Height: high(ok[h]), Now: h == chartHours-1}
		b.Mid, b.Y = b.X+10, chartBase-b.Height
		if bad[h] > 0 {
			b.BadHeight = high(bad[h])
			b.BadY = b.Y - b.BadHeight - 1
		}
		if at.Hour()%4 == 0 {
			b.Label = at.Format("15:04")
		}
		chart.Bars = append(chart.Bars, b)
	}
	for _, v := range []int{0, most / 2, most} {
		y := chartBase - high(v)
		chart.Lines = append(chart.Lines, chartLine{Y: y, TextY: y + 4, Value: v})
	}
	return chart
}

// roundUp is the next number that makes a good upper end of an axis: even, and 2, 4 or 10 times a power of ten.
func roundUp(n int) int {
	for scale := 1; ; scale *= 10 {
		for _, m := range [...]int{2, 4, 10} {
			if m*scale >= n {
				return m * scale
			}
		}
	}
}
