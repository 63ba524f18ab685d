//go:build unix

package child_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/slipway-ci/slipway/internal/child"
)

// parent names the variable that makes the test binary a parent, which runs the shell script in it.
const parent = "CHILD_TEST_SCRIPT"

func TestMain(m *testing.M) {
	if script := os.Getenv(parent); script != "" {
		fmt.Fprintln(os.Stderr, shell(script, os.Stdout).Run(context.Background()))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func shell(script string, out io.Writer) child.Command {
	return child.Command{Args: []string{"sh", "-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}, Stdout: out, Stderr: out}
}

// The programs hold the parent's output open. That it ends says that all of them have.
func TestParentIsKilled(t *testing.T) {
	for name, script := range map[string]string{
		"the command":               `echo ready; exec sleep 600`,
		"what it started":           `sleep 600 & echo ready; wait`,
		"what it left behind":       `(sleep 600 & sleep 600 &); echo ready; sleep 600`,
		"those that ignore signals": `trap "" HUP INT QUIT TERM; (sleep 600 & echo ready; wait); wait`,
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), parent+"="+script)
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			ready := make([]byte, len("ready\n"))
			_, err = io.ReadFull(out, ready)
			require.NoError(t, err)

			require.NoError(t, cmd.Process.Kill())
			_, err = io.Copy(io.Discard, out)
			require.NoError(t, err)
			_ = cmd.Wait() // killed, it says
		})
	}
}

func TestContextIsDone(t *testing.T) {
	for name, script := range map[string]string{
		"a command that cleans up":  `trap "sleep 0.1; echo cleaned; exit 0" TERM; sleep 600 & echo ready; wait`,
		"one that ignores signals":  `trap "" HUP INT QUIT TERM; echo cleaned; echo ready; exec sleep 600`,
		"what it left behind":       `(sleep 600 &); echo cleaned; echo ready; sleep 600`,
		"a background job's":        `trap "" INT; trap "echo cleaned; exit 0" TERM; echo ready; while :; do sleep 0.01; done`,
		"one that reads its input":  `echo cleaned; echo ready; cat; sleep 600`,
		"one that waits to be read": `echo cleaned; echo ready; cat /dev/zero`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reader, out, err := os.Pipe()
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				err := shell(script, out).Run(ctx)
				_ = out.Close()
				ended <- err
			}()
			var seen bytes.Buffer
			for !strings.Contains(seen.String(), "ready\n") {
				b := make([]byte, 1)
				_, err := reader.Read(b)
				require.NoError(t, err)
				seen.Write(b)
			}
			cancel()
			_, err = io.Copy(&seen, io.LimitReader(reader, 1<<20)) // the end: nobody has the output open any more
			require.NoError(t, err)
			require.NoError(t, reader.Close())
			require.ErrorIs(t, <-ended, context.Canceled)
			assert.Contains(t, seen.String(), "cleaned")
		})
	}
}

func TestNothingIsLeftAfterTheCommand(t *testing.T) {
	reader, out, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, shell(`sleep 600 & echo done`, out).Run(t.Context()))
	require.NoError(t, out.Close())
	text, err := io.ReadAll(reader)
	require.NoError(t, err)
	assert.Equal(t, "done\n", string(text))
}

func TestCommand(t *testing.T) {
	t.Setenv("CHILD_TEST_SECRET", "secret")
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	var out, problems bytes.Buffer
	c := child.Command{
		Args: []string{"sh", "-c", `pwd -P; env | grep CHILD_TEST; cat; echo problem >&2; exit 3`}, Dir: dir,
		Env: []string{"PATH=" + os.Getenv("PATH"), "CHILD_TEST_A=a"}, Stdin: strings.NewReader("input\n"), Stdout: &out, Stderr: &problems,
	}
	err = c.Run(t.Context())
	exit := (*exec.ExitError)(nil)
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 3, exit.ExitCode())
	assert.Equal(t, dir+"\nCHILD_TEST_A=a\ninput\n", out.String())
	assert.Equal(t, "problem\n", problems.String())

	out.Reset()
	require.NoError(t, child.Command{Args: []string{"env"}, Stdout: &out}.Run(t.Context()))
	assert.Empty(t, out.String(), "no environment is an empty one")
	require.NoError(t, child.Command{Args: []string{"cat"}, Stdout: &out}.Run(t.Context()), "no input is an empty one")
	assert.Empty(t, out.String())

	require.ErrorIs(t, child.Command{Args: []string{"no-such-program"}}.Run(t.Context()), exec.ErrNotFound)
	done, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	require.ErrorIs(t, child.Command{Args: []string{"env"}}.Run(done), context.DeadlineExceeded)
}

// A terminal's Ctrl-C is for this process, which decides what ends.
func TestTheCommandIsInAnotherGroup(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, shell(`ps -o pgid= -p $$ || cut -d" " -f5 /proc/$$/stat`, &out).Run(t.Context()))
	assert.NotEqual(t, fmt.Sprint(syscall.Getpgrp()), strings.TrimSpace(out.String()))
}
