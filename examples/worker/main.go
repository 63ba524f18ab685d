// Command worker does its work once a day, at a time of day in a time zone, until it is told to stop. The zone's rules come
// from the runtime, where it has them, or from the program itself: slipway build --tzdata.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, log, os.Getenv("AT"), os.Getenv("ZONE")); err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
	log.Info("stopped")
}

// run works every day at the time at, such as "18:30", 06:00 if it is empty, of a zone such as "Europe/Berlin", UTC if it is
// empty, until ctx is done. Work that has begun is finished first.
func run(ctx context.Context, log *slog.Logger, at, zone string) error {
	if at == "" {
		at = "06:00"
	}
	clock, err := time.Parse("15:04", at)
	if err != nil {
		return fmt.Errorf("AT is %q: set it to a time of day like 18:30", at)
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return fmt.Errorf("ZONE is %q: %w: set it to a name like Europe/Berlin, and build with --tzdata if the runtime has no time zones", zone, err)
	}
	for {
		due := next(time.Now(), clock, location)
		log.Info("waiting", "next", due.Format(time.RFC3339), "zone", location.String())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(due)):
		}
		log.Info("working", "due", due.Format(time.RFC3339))
		work(log)
	}
}

// next is the first time after now when it is clock in a zone. It is a day of the zone on, which has 23 or 25 hours when the
// clocks change.
func next(now, clock time.Time, zone *time.Location) time.Time {
	now = now.In(zone)
	at := func(day int) time.Time {
		return time.Date(now.Year(), now.Month(), day, clock.Hour(), clock.Minute(), 0, 0, zone)
	}
	if today := at(now.Day()); today.After(now) {
		return today
	}
	return at(now.Day() + 1)
}

// work stands for what the worker is there for.
func work(log *slog.Logger) {
	host, err := os.Hostname()
	if err != nil {
		log.Warn("no host name", "error", err)
	}
	log.Info("done", "host", host)
}
