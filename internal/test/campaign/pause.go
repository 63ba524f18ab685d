//go:build unix

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// pause stops a run at a random moment, lets another one with another stamp use the same cache, which is full and old, and lets the
// first go on. Each has to give its own image.
func pause(t *trial) verdict {
	first, second := "stamp0", "stamp1"
	if got := t.run(t.build("stamp2", filepath.Join(t.out, "before.tar"))...); got.err != nil {
		return isWrong("filling the cache: %s", got.last())
	}
	if err := t.age(); err != nil {
		return isWrong("%v", err)
	}
	r := start(t.command(t.build(first, filepath.Join(t.out, "first.tar"))...))
	time.Sleep(t.moment())
	_ = r.Process.Signal(syscall.SIGSTOP) // it may have ended
	time.Sleep(100 * time.Millisecond)
	err := t.age()
	between := t.run(t.build(second, filepath.Join(t.out, "second.tar"))...)
	_ = r.Process.Signal(syscall.SIGCONT)
	got := t.finish(r, timeLimit)
	if err != nil {
		return isWrong("%v", err)
	}
	if v := t.judge(between, second); v.outcome != right {
		return isWrong("the run in between: %s: %s", v.outcome, v.why)
	}
	v := t.judge(got, first)
	for _, name := range []string{"before.tar", "first.tar", "second.tar"} {
		_ = os.Remove(filepath.Join(t.out, name)) // the first run may have been refused
	}
	return t.afterwards(v)
}

// fullCache is more bytes than a cache may have.
const fullCache = 5 << 30

// age makes the cache seem as if nobody had used it for two hours, and as if it were full.
func (t *trial) age() error {
	big := filepath.Join(t.cache, "slipway", "notes", "big")
	if err := os.MkdirAll(filepath.Dir(big), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(big, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(big, fullCache); err != nil {
		return err
	}
	then := time.Now().Add(-2 * time.Hour)
	return filepath.WalkDir(t.cache, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // the other run may have removed it
		}
		_ = os.Chtimes(name, then, then)
		return nil
	})
}
