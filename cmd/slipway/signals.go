package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// repeatDelay is how long after the first signal another one counts as the same: timeout(1) sends two, and a terminal that is closed
// may, too.
const repeatDelay = 100 * time.Millisecond

// signalled returns a context that is done after a signal that ends programs. A second signal ends this process at once, with the
// status that a shell gives for it; what it leaves a later run removes.
func signalled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	received := make(chan os.Signal, 1)
	signal.Notify(received, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it; the Go runtime does not know it of SIGQUIT
		signal.Notify(received, syscall.SIGHUP)
	}
	go func() {
		<-received
		cancel()
		first := time.Now()
		for s := range received {
			if number, ok := s.(syscall.Signal); ok && time.Since(first) > repeatDelay {
				fmt.Fprintln(os.Stderr, "slipway: ended at once; a later run removes what was left")
				os.Exit(128 + int(number))
			}
		}
	}()
	return ctx
}
