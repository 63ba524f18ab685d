package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// The size of the terminal, in characters.
const (
	columns = 110
	rows    = 34
)

// Frames are at least this far apart, so that a bar that moves does not make the image big.
const apart = 250 * time.Millisecond

// A frame is what the terminal shows from a point of time on.
type frame struct {
	at    time.Duration
	lines [rows]line
}

// record runs the commands, one after the other, in a terminal.
func record(commands []string, dir string, env []string) ([]frame, error) {
	r := &recorder{terminal: vt.NewEmulator(columns, rows), start: time.Now()}
	for _, command := range commands {
		if err := r.run(command, dir, env); err != nil {
			return nil, fmt.Errorf("%s: %w", command, err)
		}
	}
	return r.frames, nil
}

type recorder struct {
	terminal *vt.Emulator
	start    time.Time
	frames   []frame
}

func (r *recorder) run(command, dir string, env []string) error {
	if len(r.frames) > 0 {
		fmt.Fprint(r.terminal, "\r\n")
	}
	fmt.Fprintf(r.terminal, "\x1b[1m$ %s\x1b[0m\r\n", command)
	r.show()
	cmd := exec.Command("sh", "-c", "exec "+command)
	cmd.Dir, cmd.Env = dir, env
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: columns, Rows: rows})
	if err != nil {
		return err
	}
	defer tty.Close()
	go io.Copy(tty, r.terminal) //nolint:errcheck // the terminal's answers, which nobody waits for once the command is done

	buffer := make([]byte, 1<<16)
	for {
		n, err := tty.Read(buffer)
		if _, err := r.terminal.Write(buffer[:n]); err != nil {
			return err
		}
		if time.Since(r.start)-r.frames[len(r.frames)-1].at >= apart {
			r.show()
		}
		// A terminal whose program has ended fails on Linux, and is at its end elsewhere.
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.EIO) || errors.Is(err, os.ErrClosed) {
			break
		}
		if err != nil {
			return err
		}
	}
	r.show()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(r.terminal.String()))
	}
	return nil
}

// show adds a frame if it differs from the last.
func (r *recorder) show() {
	next := frame{at: time.Since(r.start)}
	for y := range next.lines {
		next.lines[y] = lineOf(r.terminal, y)
	}
	if n := len(r.frames); n == 0 || r.frames[n-1].lines != next.lines {
		r.frames = append(r.frames, next)
	}
}
