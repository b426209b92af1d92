package bench

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Report is the outcome of a benchmark.
type Report struct {
	Machine Machine `json:"machine"`
	Rows    []Row   `json:"rows"`
}

// Row is one thing that was measured: the median of its rounds.
type Row struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	P99   float64 `json:"p99_ms,omitzero"` // time in which 99 of 100 requests were answered
	Floor float64 `json:"floor,omitzero"`  // what Value is compared with, in the same unit
	Ratio float64 `json:"ratio,omitzero"`  // Value / Floor
}

// The units.
const (
	perSecond    = "requests/s"
	microseconds = "µs/page"
	halfWithin   = "µs/page (p50)" // half of the requests are answered within it
	megabytes    = "MB RssAnon"

	eventsPerSecond = "events/s"
	halfWaited      = "ms (p50)" // half of the events are in the reader's hands within it
)

// WriteText writes the report for people. Columns are named by whoever knows what the floor was.
func (r Report) WriteText(w io.Writer, value, floor string) error {
	fmt.Fprintf(w, "%s\n\n", r.Machine)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\t%s\t%s\tratio\tp99\t\n", value, floor)
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t\n", row.Name, figure(row.Value), figure(row.Floor), optional("%.2f", row.Ratio), optional("%.1f ms", row.P99))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	units := map[string][]string{}
	for _, row := range r.Rows {
		units[row.Unit] = append(units[row.Unit], row.Name)
	}
	var legend []string
	for unit, names := range units {
		legend = append(legend, unit+": "+strings.Join(names, ", "))
	}
	slices.Sort(legend)
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(legend, "; "))
	return err
}

// figure writes a number with three or more digits and with commas between thousands; 0 is nothing.
func figure(v float64) string {
	switch {
	case v == 0:
		return ""
	case v < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	digits := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func optional(format string, v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf(format, v)
}

// median is the middle value, or the mean of the middle two.
func median(rs []result, of func(result) float64) float64 {
	values := make([]float64, len(rs))
	for i, r := range rs {
		values[i] = of(r)
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}
