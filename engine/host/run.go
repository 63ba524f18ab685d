package host

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/slipway-ci/slipway/engine"
)

// interruptDelay is how long an interrupted command may take to clean up before it is killed.
const interruptDelay = 5 * time.Second

// command is a run of the Go command.
type command struct {
	dir  string
	env  []string
	args []string
	what string // for the error: "compiling for linux/arm64"
	// remedy is what mends most failures of this command, where the output does not tell of another.
	remedy string
}

// run runs c to its end. What it prints goes to step; the end of it is in the error too, with what mends it where that is
// known. When ctx is done, c and all that it started are ended.
func (c command) run(ctx context.Context, step engine.Step) error {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Env = c.dir, c.env
	out := &tail{next: step}
	cmd.Stdout, cmd.Stderr = out, out // one writer: exec then never calls it from two goroutines
	cmd.WaitDelay = interruptDelay
	endGroup := inGroup(cmd)
	err := cmd.Run()
	if ctx.Err() != nil {
		endGroup()
		return fmt.Errorf("%s: %w", c.what, ctx.Err())
	}
	if err == nil {
		return nil
	}
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		return fmt.Errorf("%s: %w", c.what, err)
	}
	failed := &CommandError{What: c.what, Output: out.String(), err: err}
	failed.Remedy = cmp.Or(remedyFor(failed.Output), c.remedy)
	return failed
}

// CommandError is a command that failed.
type CommandError struct {
	// What was being done.
	What string
	// Output is the end of what the command printed.
	Output string
	// Remedy is what mends it; empty where that is not known.
	Remedy string
	err    error
}

func (e *CommandError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: the Go command failed (%v)", e.What, e.err)
	if e.Output != "" {
		b.WriteString(":\n" + e.Output)
	}
	if e.Remedy != "" {
		b.WriteString("\n" + e.Remedy)
	}
	return b.String()
}

func (e *CommandError) Unwrap() error { return e.err }

// remedies are what mends the failures that the Go command reports without saying so in the terms of a build.
var remedies = []struct{ sign, remedy string }{
	{"SECURITY ERROR", "The module is not the one that go.sum records: compare go.sum with version control and find out which of the two changed, before you trust either."},
	{"missing go.sum entry", "go.sum is incomplete: run go mod tidy and commit go.mod and go.sum."},
	{"cannot find module providing package", "go.mod requires no module that has it: run go mod tidy and commit go.mod and go.sum."},
	{"no required module provides package", "go.mod requires no module that has it: run go mod tidy and commit go.mod and go.sum."},
	{"updates to go.mod needed", "go.mod is out of date: run go mod tidy and commit go.mod and go.sum."},
	{"inconsistent vendoring", "The vendor folder is out of date: run go mod vendor and commit it."},
	{"toolchain not available", "This machine cannot download that release of Go: install it, choose another with --go, or check GOPROXY."},
	{"build constraints exclude all Go files", "If the package needs cgo, add --cgo; if it is for another system, choose another --platform."},
	{"no space left on device", "The disk is full: free some, or set TMPDIR and GOCACHE to a folder on another."},
	{"could not read Username", "A private module needs credentials: put them in ~/.netrc, and its path into GOPRIVATE."},
	{"dial tcp", "A server cannot be reached: check the network, GOPROXY and the proxy variables."},
}

func remedyFor(output string) string {
	for _, r := range remedies {
		if strings.Contains(output, r.sign) {
			return r.remedy
		}
	}
	return ""
}

// tail passes everything on and remembers the end.
type tail struct {
	next engine.Step
	buf  bytes.Buffer
	cut  bool
}

// tailBytes and tailLines bound what an error shows of a command's output.
const (
	tailBytes = 16 << 10
	tailLines = 40
)

func (t *tail) Write(p []byte) (int, error) {
	t.buf.Write(p)
	if over := t.buf.Len() - 2*tailBytes; over > 0 {
		t.buf.Next(over + tailBytes)
		t.cut = true
	}
	return t.next.Write(p)
}

func (t *tail) String() string {
	text := strings.TrimRight(t.buf.String(), "\n")
	if t.cut {
		_, text, _ = strings.Cut(text, "\n") // begin with a whole line
	}
	lines := strings.Split(text, "\n")
	if len(lines) > tailLines {
		lines, t.cut = lines[len(lines)-tailLines:], true
	}
	if t.cut {
		lines = append([]string{"…"}, lines...)
	}
	return strings.Join(lines, "\n")
}
