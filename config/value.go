package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written 200GiB, 1.5TB or 4096.
type Size int64

// units are written in either case; a lone letter is binary, as in systemd.
var units = []struct {
	name  string
	bytes float64
}{
	{"", 1},
	{"b", 1},
	{"k", 1 << 10}, {"kib", 1 << 10}, {"kb", 1e3},
	{"m", 1 << 20}, {"mib", 1 << 20}, {"mb", 1e6},
	{"g", 1 << 30}, {"gib", 1 << 30}, {"gb", 1e9},
	{"t", 1 << 40}, {"tib", 1 << 40}, {"tb", 1e12},
	{"p", 1 << 50}, {"pib", 1 << 50}, {"pb", 1e15},
}

// ParseSize reads a size as the configuration file writes it.
func ParseSize(s string) (Size, error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit := strings.ToLower(strings.TrimSpace(s[len(digits):]))
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !plainNumber(digits) {
		return 0, notA("size", s, "write a number and a unit, such as 200GiB or 500MB")
	}
	for _, u := range units {
		if u.name != unit {
			continue
		}
		if v := n * u.bytes; v < math.MaxInt64 {
			return Size(v), nil
		}
		return 0, notA("size", s, "it is larger than any file system")
	}
	return 0, notA("size", s, "the units are B, KiB, MiB, GiB, TiB, PiB and KB, MB, GB, TB, PB")
}

// plainNumber keeps out what ParseFloat reads beyond digits: signs, exponents,
// hexadecimal, infinities.
func plainNumber(s string) bool {
	return strings.Trim(s, "0123456789.") == "" && s != ""
}

// String writes s so that ParseSize reads the same.
func (s Size) String() string {
	for _, u := range []struct {
		name string
		n    Size
	}{{"PiB", 1 << 50}, {"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if s >= u.n && s%u.n == 0 {
			return strconv.FormatInt(int64(s/u.n), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Limit is a number of bytes or a share of a disk: 200GiB or 5%.
type Limit struct {
	Bytes   Size
	Percent float64 // of the disk, if not 0
}

// Of returns the limit in bytes on a disk of total bytes.
func (l Limit) Of(total int64) int64 {
	if l.Percent != 0 {
		return int64(float64(total) * l.Percent / 100)
	}
	return int64(l.Bytes)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Limit) UnmarshalText(text []byte) error {
	s := string(text)
	digits, percent := strings.CutSuffix(s, "%")
	if !percent {
		b, err := ParseSize(s)
		*l = Limit{Bytes: b}
		return err
	}
	p, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || !plainNumber(strings.TrimSpace(digits)) || p > 100 {
		return notA("share of a disk", s, "write 0% to 100%, or a size such as 200GiB")
	}
	*l = Limit{Percent: p}
	return nil
}

// String writes l so that UnmarshalText reads the same.
func (l Limit) String() string {
	if l.Percent != 0 {
		return strconv.FormatFloat(l.Percent, 'f', -1, 64) + "%"
	}
	return l.Bytes.String()
}

// MarshalText implements encoding.TextMarshaler.
func (l Limit) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Mode is permission bits, written in octal: 0444.
type Mode uint32

// UnmarshalText implements encoding.TextUnmarshaler. A mode without the leading
// zero is octal too: nobody means decimal 444.
func (m *Mode) UnmarshalText(text []byte) error {
	s := string(text)
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "0o"), 8, 32)
	if err != nil || n > 0o777 {
		return notA("file mode", s, "write octal permission bits, such as 0444")
	}
	if n&0o222 != 0 {
		return notA("file mode of a read-only file system", s, "leave out the write bits, such as 0440")
	}
	*m = Mode(n)
	return nil
}

// String writes m in octal.
func (m Mode) String() string { return fmt.Sprintf("%#04o", uint32(m)) }

// MarshalText implements encoding.TextMarshaler.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// valueError is what a value should have been; the decoder adds line and key.
type valueError struct{ text, remedy string }

func (e *valueError) Error() string { return e.text + "; " + e.remedy }

func notA(what, value, remedy string) error {
	return &valueError{fmt.Sprintf("%q is not a %s", clip(value), what), remedy}
}

// clip keeps an error readable when a value is a whole block of text.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// explain splits err into text and remedy.
func explain(err error) (text, remedy string) {
	var v *valueError
	if errors.As(err, &v) {
		return v.text, v.remedy
	}
	return err.Error(), ""
}
