package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// namespace is the variable that says that this process has its own mounts.
const namespace = "CAMPAIGN_NAMESPACE"

// inNamespace runs this program in a mount namespace, so that no mount outlives it. It is false without the right to.
func inNamespace(ctx context.Context) (status int, ran bool) {
	if os.Getenv(namespace) != "" || os.Getuid() != 0 {
		return 0, false
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), namespace+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	err := cmd.Run()
	exit := (*exec.ExitError)(nil)
	if err != nil && !errors.As(err, &exit) {
		return 0, false
	}
	return cmd.ProcessState.ExitCode(), true
}

// fullDisk gives the cache, the output or the temporary files a disk that is too small, or just large enough. The error has to say so,
// and to leave what was there.
func fullDisk(t *trial) verdict {
	if os.Getenv(namespace) == "" {
		return verdict{skipped, "only root can mount a small disk"}
	}
	disk := []string{t.cache, t.out, t.tmp}[t.IntN(3)]
	size := 64<<10 + t.IntN(6<<20)
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		return verdict{skipped, fmt.Sprintf("mounting a small disk: %v", err)}
	}
	output := filepath.Join(t.out, "x.tar")
	const before = "what was there"
	err := os.WriteFile(output, []byte(before), 0o644)
	got := t.run(t.build(t.stamp, output)...)
	v := t.judge(got, t.stamp)
	if v.outcome == refused && !strings.Contains(got.stderr, "no space left on device") {
		v = isWrong("the error does not say that the disk is full: %s", v.why)
	}
	if content, err := os.ReadFile(output); v.outcome == refused && (err != nil || string(content) != before) {
		v = isWrong("what was there is not there any more: %v", err)
	}
	if err := errors.Join(err, syscall.Unmount(disk, syscall.MNT_DETACH)); err != nil {
		return isWrong("%v", err)
	}
	return t.afterwards(v)
}
