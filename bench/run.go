package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// run is what one run of a tool took.
type run struct {
	wall, cpu time.Duration // cpu is that of all its processes
	// own is the peak memory in bytes of the process that was started; most that of the biggest of all, the Go tool's included.
	own, most int64
	// moved is how many bytes went to and from the registry, and in tarballs.
	moved int64
	fault string // why it failed; empty if it did not
}

func (r run) String() string {
	if r.fault != "" {
		return "FAILED: " + r.fault
	}
	return fmt.Sprintf("%.3f s, %.3f s of processors, %d MiB, %.1f MB moved", r.wall.Seconds(), r.cpu.Seconds(), r.own>>20, float64(r.moved)/1e6)
}

func (r *run) add(other run) {
	r.wall += other.wall
	r.cpu += other.cpu
	r.own, r.most = max(r.own, other.own), max(r.most, other.most)
	if r.fault == "" {
		r.fault = other.fault
	}
}

// execute runs a command to its end.
func execute(ctx context.Context, dir string, args, environ []string, count string) run {
	if count != "" {
		self, err := os.Executable()
		if err != nil {
			return run{fault: err.Error()}
		}
		args = append([]string{self, countCommand, count}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var output bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(environ, "PWD="+dir), &output, &output
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return run{fault: err.Error()}
	}
	stop, peak := make(chan struct{}), make(chan int64)
	go watch(cmd.Process.Pid, stop, peak)
	err := cmd.Wait()
	r := run{wall: time.Since(start)}
	close(stop)
	r.own = <-peak
	if err != nil {
		lines := strings.Split(strings.TrimSpace(output.String()), "\n")
		r.fault = fmt.Sprintf("%s: %v: %s", args[0], err, lines[len(lines)-1])
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	r.most = usage.Maxrss << 10
	return r
}

// watch follows the peak memory of a process, without that of its children. The kernel reports to its parent the biggest of all
// together only; so /proc is asked while it runs. What it takes in its last 5 ms may be missed.
func watch(pid int, stop <-chan struct{}, peak chan<- int64) {
	var most int64
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			peak <- most
			return
		case <-tick.C:
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // it may be over
			for line := range strings.Lines(string(status)) {
				if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
					kib, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
					most = max(most, kib<<10)
				}
			}
		}
	}
}
