//go:build unix

package child

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// keeping is what the keeper of a group does: it reads until this process has ended, even by SIGKILL, and then kills its group. A
// request to end, which the whole group gets, is not meant for it.
const keeping = `trap "" HUP INT QUIT TERM; read line; kill -KILL 0`

// group is a process group that a command and everything that it starts are in, and a keeper, which leads it. The keeper is there before
// the command, so that there is no moment in which the command could outlive this process. Its process ID is the group's, and nobody
// else's while the keeper has not been waited for.
type group struct {
	cmd    *exec.Cmd
	keeper *exec.Cmd // nil on a machine without a shell: the command leads its group
	alive  *os.File  // closed when this process ends
}

// newGroup makes a group for cmd, which has not been started. Cancelling cmd asks the group to end.
func newGroup(cmd *exec.Cmd) (*group, error) {
	g := &group{cmd: cmd}
	reader, alive, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	keeper := exec.Command("/bin/sh", "-c", keeping)
	keeper.Dir, keeper.Env, keeper.Stdin = "/", []string{}, reader
	keeper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = keeper.Start()
	switch {
	case err == nil:
		g.keeper, g.alive = keeper, alive
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: keeper.Process.Pid}
	case errors.Is(err, fs.ErrNotExist):
		_ = alive.Close()
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	default:
		_ = alive.Close()
		return nil, fmt.Errorf("starting a shell that ends %s with this process: %w", cmd.Args[0], err)
	}
	// Not SIGINT, which a job in the background of a shell ignores, with everything that it starts.
	cmd.Cancel = func() error { return g.signal(syscall.SIGTERM) }
	return g, nil
}

func (g *group) signal(s syscall.Signal) error {
	leader := g.keeper
	if leader == nil {
		leader = g.cmd
	}
	if leader.Process == nil {
		return os.ErrProcessDone
	}
	err := syscall.Kill(-leader.Process.Pid, s)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// killLimit is how long to wait for killed processes to be gone. It matters only where nobody reaps them.
const killLimit = time.Second

// end kills what is left of the group, and waits until nothing is: it could still write.
func (g *group) end() {
	err := g.signal(syscall.SIGKILL)
	if g.keeper != nil {
		_ = g.keeper.Wait() // killed, it says
		_ = g.alive.Close()
	}
	for deadline := time.Now().Add(killLimit); !errors.Is(err, os.ErrProcessDone) && time.Now().Before(deadline); {
		if err = g.signal(syscall.SIGKILL); err == nil {
			time.Sleep(time.Millisecond)
		}
	}
}
