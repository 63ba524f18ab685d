package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func berlin(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestNext(t *testing.T) {
	zone := berlin(t)
	for now, want := range map[string]string{
		"2026-07-01T03:00:00Z": "2026-07-01T06:00:00+02:00",
		"2026-07-01T04:00:00Z": "2026-07-02T06:00:00+02:00", // it is that very moment
		"2026-12-31T12:00:00Z": "2027-01-01T06:00:00+01:00",
		"2026-03-28T12:00:00Z": "2026-03-29T06:00:00+02:00", // the clocks change in between
		"2026-10-24T12:00:00Z": "2026-10-25T06:00:00+01:00",
	} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		clock := time.Date(0, 1, 1, 6, 0, 0, 0, time.UTC)
		if got := next(at, clock, zone).Format(time.RFC3339); got != want {
			t.Errorf("after %s: %s and not %s", now, got, want)
		}
	}
}

// The time of the bubble begins at midnight UTC of 2000-01-01, which is 01:00 in Berlin.
func TestRun(t *testing.T) {
	berlin(t)
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 36*time.Hour)
		defer cancel()
		if err := run(ctx, slog.New(slog.NewTextHandler(&logged, nil)), "18:30", "Europe/Berlin"); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(logged.String(), "msg=done"); n != 1 {
			t.Errorf("worked %d times\n%s", n, &logged)
		}
		for _, want := range []string{"next=2000-01-01T18:30:00+01:00", "next=2000-01-02T18:30:00+01:00", "zone=Europe/Berlin"} {
			if !strings.Contains(logged.String(), want) {
				t.Errorf("no %s\n%s", want, &logged)
			}
		}
	})
}

func TestRunRefuses(t *testing.T) {
	for want, settings := range map[string][2]string{
		`AT is "25:00"`:          {"25:00", ""},
		`ZONE is "Mars/Olympus"`: {"", "Mars/Olympus"},
	} {
		err := run(t.Context(), slog.New(slog.DiscardHandler), settings[0], settings[1])
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v and not %s", err, want)
		}
	}
}
