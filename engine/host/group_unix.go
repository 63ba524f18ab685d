//go:build unix

package host

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// inGroup makes cmd the leader of a process group of its own. Cancelling interrupts the group, so that the Go command can
// remove its work; the returned function kills what is left of it.
func inGroup(cmd *exec.Cmd) (end func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signal := func(s syscall.Signal) error {
		if cmd.Process == nil {
			return os.ErrProcessDone
		}
		err := syscall.Kill(-cmd.Process.Pid, s)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	cmd.Cancel = func() error { return signal(syscall.SIGINT) }
	return func() { _ = signal(syscall.SIGKILL) } // it fails when nothing is left, which is the aim
}
