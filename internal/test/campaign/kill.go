//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// kill ends a build or a publication at a random moment by a random signal. Nothing that it started may live on, what it says must
// hold, and a later run gives the right image and finds nothing left.
func kill(t *trial) verdict {
	s := []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT}[t.IntN(5)]
	moment := t.moment()
	args := t.build(t.stamp, filepath.Join(t.out, "x.tar"))
	publishes := t.IntN(2) == 0
	var server *server
	if publishes {
		server = serve(nil)
		defer server.close()
		args = t.publish(t.stamp, server)
	}
	r := start(t.command(args...))
	select {
	case err := <-r.ended:
		r.ended <- err
	case <-time.After(moment):
		_ = r.Process.Signal(s) // it may have ended
	}
	got := t.finish(r, time.Minute)
	if got.err == errEndless {
		return isWrong("%s after %v: %v", s, moment, got.err)
	}
	if got.err == nil {
		if v := t.judge(got, t.stamp); v.outcome != right {
			return v
		}
	}
	if alive := t.wait(); alive != "" {
		return isWrong("%s after %v: lives on: %s", s, moment, alive)
	}
	if publishes {
		if v := t.published(server, got.err == nil); v.outcome == wrong {
			return v
		}
		if v := t.judge(t.run(t.publish(t.stamp, server)...), t.stamp); v.outcome != right {
			return isWrong("publishing again: %s: %s", v.outcome, v.why)
		}
		if v := t.published(server, true); v.outcome == wrong {
			return v
		}
	}
	return t.afterwards(verdict{right, fmt.Sprintf("%s after %v", s, moment)})
}

// wait waits until no process of the trial runs, and names one that does not end.
func (t *trial) wait() (alive string) {
	for range 200 {
		if alive = t.process(); alive == "" {
			return ""
		}
		time.Sleep(20 * time.Millisecond)
	}
	return alive
}

// process names a process whose environment has the trial's directory for temporary files; empty where there is none, or no /proc.
func (t *trial) process() string {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		environ, _ := os.ReadFile(filepath.Join(dir, "environ")) // none of a process that has ended
		if bytes.Contains(environ, []byte("TMPDIR="+t.tmp)) {
			command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
			return string(bytes.ReplaceAll(command, []byte{0}, []byte(" ")))
		}
	}
	return ""
}
