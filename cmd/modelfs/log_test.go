package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"modelfs/config"
)

func TestLogFollowsTheConfiguration(t *testing.T) {
	for _, test := range []struct {
		level, format string
		lines         int
		json          bool
	}{
		{"debug", "auto", 2, true}, // a buffer is no terminal
		{"info", "json", 1, true},
		{"info", "text", 1, false},
		{"error", "text", 0, false},
	} {
		var out bytes.Buffer
		log := newLog(&out, config.Log{Level: test.level, Format: test.format})
		log.Debug("one")
		log.Info("two", "key", "value")
		got := strings.Count(out.String(), "\n")
		if got != test.lines {
			t.Errorf("%+v: got %d lines, want %d", test, got, test.lines)
		}
		first, _, _ := strings.Cut(out.String(), "\n")
		if got > 0 && json.Valid([]byte(first)) != test.json {
			t.Errorf("%+v: got %s, want JSON: %t", test, first, test.json)
		}
	}
}

func TestSystemdIsTold(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	notify(slog.New(slog.DiscardHandler), sd.SdNotifyReady)
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, err := conn.Read(buf)
	if got := string(buf[:n]); err != nil || got != sd.SdNotifyReady {
		t.Errorf("got %q and error %v, want %q", got, err, sd.SdNotifyReady)
	}
}

func TestSystemdThatIsGoneIsLogged(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	var out bytes.Buffer
	notify(newLog(&out, config.Log{Level: "info", Format: "text"}), sd.SdNotifyReady)
	if !strings.Contains(out.String(), "systemd was not told") {
		t.Errorf("got %q, want a warning", out.String())
	}
}
