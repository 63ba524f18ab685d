package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/child"
	"github.com/slipway-ci/slipway/internal/gocommand"
)

// command is a run of the Go command, or of another.
type command struct {
	dir  string
	env  []string
	args []string
	what string // for the error: "compiling for linux/arm64"
	// stdout gets the standard output; nil: it goes where the standard error goes.
	stdout io.Writer
	// hint is what mends most failures of this command, where the output does not show another.
	hint string
	// other says that it is not the Go command.
	other bool
}

// run runs c to its end. What it prints goes to step; the end of it is in the error too, with what mends it where that is
// known. When ctx is done, c and everything that it started are ended.
func (c command) run(ctx context.Context, step build.Step) error {
	out := &tail{next: step}
	cmd := child.Command{Args: c.args, Dir: c.dir, Env: c.env, Stdout: out, Stderr: out}
	if c.stdout != nil {
		cmd.Stdout = c.stdout
	}
	err := cmd.Run(ctx)
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", c.what, ctx.Err())
	}
	if err == nil {
		return nil
	}
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		return fmt.Errorf("%s: %w", c.what, err)
	}
	if c.other {
		return gocommand.NewOtherError(c.what, c.args[0], out.String(), c.hint, err)
	}
	return gocommand.NewError(c.what, out.String(), c.hint, err)
}

// tail passes everything on and keeps the end.
type tail struct {
	next build.Step
	buf  bytes.Buffer
	cut  bool
}

// tailBytes bounds what is remembered.
const tailBytes = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.buf.Write(p)
	if over := t.buf.Len() - 2*tailBytes; over > 0 {
		t.buf.Next(over + tailBytes)
		t.cut = true
	}
	return t.next.Write(p)
}

func (t *tail) String() string {
	text := t.buf.String()
	if t.cut {
		_, text, _ = strings.Cut(text, "\n") // begin with a whole line
		text = gocommand.Cut + "\n" + text
	}
	return text
}

// join writes variables as a command's environment; later maps win. An empty value is set, too: it hides a default.
func join(envs ...map[string]string) []string {
	all := map[string]string{}
	for _, env := range envs {
		maps.Copy(all, env)
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, name+"="+all[name])
	}
	return list
}
