// Command private-module greets, in the words of a module that is in a private git repository.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"git.example.com/team/greeting"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run(ctx, log, os.Getenv("NAME"))
}

// run greets name once a minute until ctx is done.
func run(ctx context.Context, log *slog.Logger, name string) {
	for {
		log.Info(greeting.For(name))
		select {
		case <-ctx.Done():
			log.Info("stopped")
			return
		case <-time.After(time.Minute):
		}
	}
}
