//go:build unix

package host

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// inGroup makes cmd the leader of a process group of its own. Cancelling interrupts the group, so that the Go command can
// remove its work; the returned function kills what is left of it, and waits until nothing is: it could still write.
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
	return func() {
		for deadline := time.Now().Add(killLimit); !errors.Is(signal(syscall.SIGKILL), os.ErrProcessDone) && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}
}

// killLimit is how long to wait for killed processes to be gone. It matters only where nobody reaps them.
const killLimit = time.Second
