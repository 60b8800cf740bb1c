package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Units of rows.
const (
	gigabytes   = "GB/s" // 10^9 bytes
	megabytes   = "MB/s"
	seconds     = "s"
	millisecond = "ms"
	cpuPerGiB   = "CPU s/GiB"
	mebibytes   = "MiB"
)

// row is one measure: of modelfs, and of a reference if there is one.
type row struct {
	Step      string  `json:"step"`
	What      string  `json:"what"`
	Unit      string  `json:"unit"`
	Against   string  `json:"against,omitempty"` // what the reference is
	Reference series  `json:"reference,omitempty"`
	Modelfs   series  `json:"modelfs"`
	Target    *target `json:"target,omitempty"`
	// Ratio is that of the medians, modelfs to reference; 0 without reference.
	Ratio float64 `json:"ratio,omitempty"`
	Met   *bool   `json:"met,omitempty"`
}

// target bounds the ratio of a row, or its value if it has no reference.
type target struct {
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
}

func (t target) String() string {
	if t.AtLeast > 0 {
		return fmt.Sprintf(">= %.4g", t.AtLeast)
	}
	return fmt.Sprintf("<= %.4g", t.AtMost)
}

func (t target) met(v float64) bool { return v >= t.AtLeast && (t.AtMost == 0 || v <= t.AtMost) }

func atLeast(v float64) *target { return &target{AtLeast: v} }
func atMost(v float64) *target  { return &target{AtMost: v} }

// series are the values of all runs.
type series []float64

func (s series) median() float64 {
	if len(s) == 0 {
		return 0
	}
	s = slices.Sorted(slices.Values(s))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// String is the median and the spread.
func (s series) String() string {
	if len(s) == 0 {
		return "-"
	}
	if len(s) == 1 {
		return number(s[0])
	}
	return fmt.Sprintf("%s (%s-%s)", number(s.median()), number(slices.Min(s)), number(slices.Max(s)))
}

// number writes three digits that count.
func number(v float64) string {
	switch {
	case v >= 99.5:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.95:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.0995 || v == 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// report is the outcome of a run.
type report struct {
	Machine string `json:"machine"`
	Server  string `json:"server"`
	Size    int64  `json:"size"`
	Runs    int    `json:"runs"`
	Rows    []row  `json:"rows"`
}

// add completes a row and puts it down.
func (r *report) add(w row) {
	value := w.Modelfs.median()
	if len(w.Reference) > 0 {
		if ref := w.Reference.median(); ref > 0 {
			w.Ratio = value / ref
		}
		value = w.Ratio
	}
	if w.Target != nil {
		met := w.Target.met(value)
		w.Met = &met
	}
	r.Rows = append(r.Rows, w)
}

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// write prints the table.
func (r *report) write(w io.Writer) error {
	size := byteSize(r.Size)
	fmt.Fprintf(w, "%s; %s server, objects of %siB, median of %d (lowest-highest)\n\n", r.Machine, r.Server, size.String(), r.Runs)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join([]string{"what", "unit", "reference", "modelfs", "ratio", "target", "", "against"}, "\t"))
	for _, row := range r.Rows {
		ratio, goal, met := "", "", ""
		if row.Ratio > 0 {
			ratio = number(row.Ratio)
		}
		if row.Target != nil {
			goal, met = row.Target.String(), map[bool]string{true: "met", false: "MISSED"}[*row.Met]
		}
		fmt.Fprintln(t, strings.Join([]string{row.What, row.Unit, row.Reference.String(), row.Modelfs.String(), ratio, goal, met, row.Against}, "\t"))
	}
	return t.Flush()
}
