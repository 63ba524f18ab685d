//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// processes are those that have text in their environment.
func processes(t *testing.T, text string) (commands []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	for _, dir := range all {
		environ, _ := os.ReadFile(filepath.Join(dir, "environ")) // none of one that has ended
		if bytes.Contains(environ, []byte(text)) {
			command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
			commands = append(commands, strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return commands
}

// compiling starts a build with a login and without a cache of Go's, and returns when its compilers run.
func compiling(t *testing.T, tmp, out string) (cmd *exec.Cmd, said *bytes.Buffer) {
	t.Helper()
	cmd = slipwayCommand(t, []string{"TMPDIR=" + tmp, "GOCACHE=" + t.TempDir(), "TOKEN=t0ken"},
		"build", "--runtime", "scratch", "--git-token", "git.example.com=env:TOKEN", "--output", filepath.Join(out, "x.tar"), "../../examples/http-server")
	said = &bytes.Buffer{}
	cmd.Stderr = said
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool {
		return strings.Contains(strings.Join(processes(t, tmp), "\n"), "/compile ")
	}, time.Minute, 5*time.Millisecond, "the compiler does not run")
	return cmd, said
}

func assertEmpty(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, left)
	}
}

// Whatever asks the command to end, it ends with everything that it started and leaves nothing.
func TestSignals(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		t.Run(s.String(), func(t *testing.T) {
			tmp, out := t.TempDir(), t.TempDir()
			cmd, said := compiling(t, tmp, out)
			require.NoError(t, cmd.Process.Signal(s))
			require.Error(t, cmd.Wait())
			assert.Equal(t, exitFailed, cmd.ProcessState.ExitCode(), said.String())
			assert.Contains(t, said.String(), "slipway: interrupted; nothing half-done was left")
			assert.Empty(t, processes(t, tmp))
			assertEmpty(t, tmp, out)
		})
	}
}

// Nothing goes on after kill -9, and the next run removes what is left: the login, too.
func TestKill(t *testing.T) {
	tmp, out := t.TempDir(), t.TempDir()
	cmd, _ := compiling(t, tmp, out)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return len(processes(t, tmp)) == 0 }, 10*time.Second, 5*time.Millisecond, "processes live on")
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.NotEmpty(t, left)

	must(t, slipwayCommand(t, []string{"TMPDIR=" + tmp}, "build", "--runtime", "scratch", "--output", filepath.Join(out, "x.tar"), "../../examples/http-server"))
	assertEmpty(t, tmp)
	entries, err := os.ReadDir(out)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}

// asking starts a command that asks a credential helper, and returns when that runs. The helper does what script says.
func asking(t *testing.T, prefix, script string) (cmd *exec.Cmd, fifo string, said *bytes.Buffer) {
	t.Helper()
	server := registrytest.Start(t)
	home := t.TempDir()
	fifo = filepath.Join(home, "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(home, "docker-credential-slow"), []byte("#!/bin/sh\n"+fmt.Sprintf(script, fifo)), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(home, "config.json"), []byte(`{"credsStore":"slow"}`), 0o600))
	cmd = slipwayCommand(t, []string{"PATH=" + home + ":" + os.Getenv("PATH"), "DOCKER_CONFIG=" + home}, "build", "--base", server.Host+"/absent:v1",
		"--output", filepath.Join(home, "x.tar"), "../../examples/http-server")
	cmd.Args = append([]string{"sh", "-c", prefix + ` exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
	var err error
	cmd.Path, err = exec.LookPath("sh")
	require.NoError(t, err)
	said = &bytes.Buffer{}
	cmd.Stderr = said
	require.NoError(t, cmd.Start())
	text, err := os.ReadFile(fifo)
	require.NoError(t, err)
	require.Equal(t, "ready\n", string(text))
	return cmd, fifo, said
}

// A second signal ends the command at once, though its helper has not ended.
func TestSecondSignal(t *testing.T) {
	cmd, _, said := asking(t, "", `trap "" INT TERM; echo ready > %s; sleep 600`)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for again := true; again; {
		select {
		case <-ended:
			again = false
		case <-time.After(20 * time.Millisecond): // until it counts as another one
			_ = cmd.Process.Signal(os.Interrupt)
		}
	}
	assert.Equal(t, 128+int(syscall.SIGINT), cmd.ProcessState.ExitCode(), said.String())
	assert.Contains(t, said.String(), "ended at once")
}

// What nohup has the command ignore, it ignores.
func TestIgnoredSignal(t *testing.T) {
	cmd, fifo, said := asking(t, `trap "" HUP;`, `[ -e %[1]s.asked ] || { mkfifo %[1]s.asked; echo ready > %[1]s; read -r line < %[1]s.asked; }; echo credentials not found in native keychain; exit 1`)
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	f, err := os.OpenFile(fifo+".asked", os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = io.WriteString(f, "go on\n")
	require.NoError(t, err)
	require.Error(t, cmd.Wait())
	assert.Contains(t, said.String(), "NAME_UNKNOWN")
	assert.NotContains(t, said.String(), "interrupted")
}

// A registry that answers nothing more keeps nobody waiting: not for the configuration of a base, and not for its layer.
func TestSignalWhileARegistryIsSilent(t *testing.T) {
	for blob, number := range map[string]int64{"configuration": 1, "layer": 2} {
		t.Run(blob, func(t *testing.T) {
			server := registrytest.Start(t)
			pushBases(t, server.Host)
			var asked atomic.Int64
			silent := make(chan struct{})
			server.Break(registrytest.Fault{
				When: func(r *http.Request) bool {
					return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") && asked.Add(1) == number
				},
				Do: func(w http.ResponseWriter, r *http.Request) {
					close(silent)
					registrytest.Stall(w, r)
				},
			})
			tmp := t.TempDir()
			cmd := slipwayCommand(t, []string{"TMPDIR=" + tmp, "SLIPWAY_MIRRORS=docker.io=" + server.Host}, "build", "--runtime", "alpine", "--platform", "linux/amd64",
				"--output", filepath.Join(t.TempDir(), "x.tar"), "../../examples/http-server")
			var said bytes.Buffer
			cmd.Stderr = &said
			require.NoError(t, cmd.Start())
			<-silent
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
			require.Error(t, cmd.Wait())
			assert.Equal(t, exitFailed, cmd.ProcessState.ExitCode(), said.String())
			assert.Contains(t, said.String(), "interrupted")
			assertEmpty(t, tmp)
		})
	}
}
