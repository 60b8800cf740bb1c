package config

import (
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "4096": 4096, "1b": 1, "1KB": 1000, "1KiB": 1024, "1k": 1024, "2 MiB": 2 << 20,
		"200GiB": 200 << 30, "500mb": 5e8, "1.5TiB": 3 << 39, "0.5k": 512, "7PiB": 7 << 50,
	} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%q: got %d and error %v, want %d", text, got, err, want)
		}
		if again, err := ParseSize(got.String()); err != nil || again != got {
			t.Errorf("%q: got %d and error %v when read again, want %d", got, again, err, got)
		}
	}
	for _, text := range []string{"", "GiB", "-1", "+1", "1e3", "0x10", "1.2.3", "inf", "NaN", "9PB9", "1 2", "9000PiB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestLimitsOfADisk(t *testing.T) {
	for text, want := range map[string]int64{"5%": 50, "2.5 %": 25, "100%": 1000, "0%": 0, "1KiB": 1024} {
		var l Limit
		if err := l.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q: got error %v, want none", text, err)
		}
		if got := l.Of(1000); got != want {
			t.Errorf("%q of 1000: got %d, want %d", text, got, want)
		}
	}
}

func TestModesAreOctal(t *testing.T) {
	for text, want := range map[string]Mode{"0444": 0o444, "444": 0o444, "0o440": 0o440, "0": 0} {
		var m Mode
		if err := m.UnmarshalText([]byte(text)); err != nil || m != want {
			t.Errorf("%q: got %s and error %v, want %s", text, m, err, want)
		}
	}
}

func TestDurationsHaveNoZeros(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 10 * time.Second: "10s", 5 * time.Minute: "5m", time.Hour: "1h", 90 * time.Minute: "1h30m",
		61 * time.Second: "1m1s", 10 * time.Minute: "10m", 20 * time.Hour: "20h", time.Hour + time.Second: "1h0m1s",
	} {
		if got := duration(d); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestNearestKey(t *testing.T) {
	keys := []string{"token_file", "endpoint", "max_size", "ttl"}
	for name, want := range map[string]string{
		"token": "token_file", "endpont": "endpoint", "maxSize": "max_size", "max-size": "max_size", "tll": "ttl", "colour": "", "x": "",
	} {
		if got := nearest(name, keys); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
