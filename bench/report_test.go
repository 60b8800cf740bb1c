package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestSeries(t *testing.T) {
	for _, c := range []struct {
		s    series
		want string
	}{
		{nil, "-"},
		{series{2}, "2.00"},
		{series{3, 1, 2}, "2.00 (1.00-3.00)"},
		{series{400, 100, 200, 300}, "250 (100-400)"},
		{series{0.01, 0.02, 12.34}, "0.020 (0.010-12.3)"},
	} {
		if got := c.s.String(); got != c.want {
			t.Errorf("%v: got %q, want %q", []float64(c.s), got, c.want)
		}
	}
}

func TestReport(t *testing.T) {
	r := report{Machine: "here", Server: "plain", Size: 3 << 30, Runs: 3}
	r.add(row{What: "fast enough", Reference: series{10}, Modelfs: series{9.5}, Target: atLeast(0.9)})
	r.add(row{What: "too slow", Reference: series{10}, Modelfs: series{8}, Target: atLeast(0.9)})
	r.add(row{What: "small enough", Modelfs: series{200}, Target: atMost(300)})
	r.add(row{What: "too large", Modelfs: series{301}, Target: atMost(300)})
	r.add(row{What: "no target", Reference: series{4}, Modelfs: series{8}})
	var got []string
	for _, row := range r.Rows {
		word := "none"
		if row.Met != nil {
			word = map[bool]string{true: "met", false: "missed"}[*row.Met]
		}
		got = append(got, word)
	}
	if want := "met missed met missed none"; strings.Join(got, " ") != want {
		t.Errorf("targets: got %v, want %s", got, want)
	}
	var table, raw bytes.Buffer
	if err := r.write(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"here; plain server, objects of 3GiB", "too slow", "0.80", ">= 0.9", "MISSED"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("table: got\n%s\nwant %q in it", table.String(), want)
		}
	}
	if err := r.writeJSON(&raw); err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(raw.Bytes(), &back); err != nil || len(back.Rows) != 5 || back.Rows[4].Ratio != 2 {
		t.Errorf("JSON: got %v, %d rows; want 5, the last with a ratio of 2:\n%s", err, len(back.Rows), raw.String())
	}
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]int64{"3G": 3 << 30, "256M": 256 << 20, "1K": 1024, "7": 7, "1048576": 1 << 20} {
		var s byteSize
		if err := s.Set(text); err != nil || int64(s) != want {
			t.Errorf("%s: got %d, %v; want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "G", "-1", "3T", "x", "1.5G", "9999999G"} {
		if err := new(byteSize).Set(text); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
	s := byteSize(3 << 30)
	if got, want := s.String(), "3G"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestProcessStatus(t *testing.T) {
	const stat = "7 (a) b) c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 12 0 5 6 7"
	if got, err := parseCPU(stat); err != nil || got != 2*time.Second {
		t.Errorf("CPU: got %s, %v; want 2s", got, err)
	}
	for _, bad := range []string{"", "7 (a) S 1", "7 (a) S 1 7 7 0 -1 4194560 100 0 0 0 x 50 0"} {
		if _, err := parseCPU(bad); err == nil {
			t.Errorf("CPU of %q: got no error", bad)
		}
	}
	if got, err := parsePeak("VmPeak:\t  9 kB\nVmHWM:\t    2048 kB\n"); err != nil || got != 2<<20 {
		t.Errorf("peak: got %d, %v; want %d", got, err, 2<<20)
	}
	if _, err := parsePeak("VmPeak: 9 kB\n"); err == nil {
		t.Error("peak of nothing: got no error")
	}
}

func TestFlags(t *testing.T) {
	var told bytes.Buffer
	o, err := parse([]string{"-size", "1G", "-runs", "5", "-steps", "^cold$", "-json"}, &told)
	if err != nil || o.size != 1<<30 || o.runs != 5 || !o.json || o.steps.MatchString("cold-shaped") || !o.steps.MatchString("cold") {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, bad := range [][]string{{"-size", "1M"}, {"-runs", "0"}, {"-steps", "("}, {"-server", "x"}, {"x"}, {"-small", "0"}} {
		told.Reset()
		if _, err := parse(bad, &told); err == nil || told.Len() == 0 {
			t.Errorf("%v: got %v and %q; want an error, and a line", bad, err, told.String())
		}
	}
}
