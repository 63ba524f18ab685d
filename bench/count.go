package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// countCommand is the hidden command that runs another one and counts its processes.
const countCommand = "count-processes"

const options = syscall.PTRACE_O_TRACEFORK | syscall.PTRACE_O_TRACEVFORK | syscall.PTRACE_O_TRACECLONE | syscall.PTRACE_O_TRACEEXEC | 0x100000 // and PTRACE_O_EXITKILL

// count runs a command under ptrace, as strace -f does, and adds the number of programs that were started, its own included,
// to the one in the file. Runs that are timed are not counted this way, since it takes time.
func count(file string, args []string) {
	runtime.LockOSThread() // ptrace is a thread's
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	first := cmd.Process.Pid
	started, status, seen := 1, 0, map[int]bool{}
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WALL, nil)
		if errors.Is(err, syscall.ECHILD) {
			break
		}
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		if !ws.Stopped() {
			if pid == first {
				status = ws.ExitStatus()
			}
			continue
		}
		signal := 0
		switch {
		case !seen[pid]:
			// The stop that a new thread or process begins with.
			seen[pid] = true
			if pid == first {
				if err := syscall.PtraceSetOptions(pid, options); err != nil {
					log.Fatal(err)
				}
			}
		case ws.StopSignal() == syscall.SIGTRAP && ws.TrapCause() > 0:
			if ws.TrapCause() == syscall.PTRACE_EVENT_EXEC {
				started++
			}
		default:
			signal = int(ws.StopSignal())
		}
		if err := syscall.PtraceCont(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			log.Fatal(err)
		}
	}
	before, _ := readCount(file) // there is none before the first
	if err := os.WriteFile(file, fmt.Append(nil, before+started), 0o644); err != nil {
		log.Fatal(err)
	}
	os.Exit(status)
}

// readCount reads what count wrote.
func readCount(file string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
