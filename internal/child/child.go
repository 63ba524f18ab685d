// Package child runs other programs. They and everything that they start end with this process, however that ends, and when their context
// is done.
package child

import (
	"context"
	"io"
	"os/exec"
	"time"
)

// stopDelay is how long a program may take to clean up after it was asked to end, before it is killed.
const stopDelay = 5 * time.Second

// Command is a program to run.
type Command struct {
	// Args are the program, which is looked up on the PATH of this process, and its arguments.
	Args []string
	// Dir is where it runs; empty for the working directory of this process.
	Dir string
	// Env is its environment, a list of NAME=VALUE. Nothing of this process's is added.
	Env []string
	// Stdin is what it reads; nil for nothing.
	Stdin io.Reader
	// Stdout and Stderr get what it prints; nil discards that. If they are the same, one goroutine at a time writes.
	Stdout, Stderr io.Writer
}

// Run runs the program to its end. When ctx is done, the program and everything that it started are asked to end, and killed where they do
// not; the error is that of ctx then. Otherwise it is that of [exec.Cmd.Run].
func (c Command) Run(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Env = c.Dir, append([]string{}, c.Env...) // a nil Env would be this process's
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	cmd.WaitDelay = stopDelay
	group, err := newGroup(cmd)
	if err != nil {
		return err
	}
	err = cmd.Run()
	group.end()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
