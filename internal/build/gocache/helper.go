package gocache

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
)

// helperCommand is the first argument of a process that is a helper; the socket is the second.
const helperCommand = "gocacheprog"

// helps says that this program can be started as a helper.
var helps atomic.Bool

// Helper has this process do the work of a helper, and end, if it was started as one: the Go command starts a program that it asks for
// what was compiled, and that one passes on what it is asked to the process that builds. A program that shares compiled packages calls it
// first. In one that does not, they are not shared.
func Helper() {
	helps.Store(true)
	if len(os.Args) != 3 || os.Args[1] != helperCommand {
		return
	}
	if err := pass(os.Args[2], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "passing on what the Go command asks for:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// pass connects to a socket. It ends when the other side does.
func pass(socket string, in io.Reader, out io.Writer) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(conn, in) // what is wrong with it the other side sees
		_ = conn.(*net.UnixConn).CloseWrite()
	}()
	_, err = io.Copy(out, conn)
	return err
}

// helperProgram is the value of GOCACHEPROG that starts a helper; empty where there is none. Source: go help environment,
// cmd/internal/quoted
func helperProgram(socket string) string {
	program, err := os.Executable()
	if err != nil || !helps.Load() {
		return ""
	}
	var words []string
	for _, word := range []string{program, helperCommand, socket} {
		switch {
		case !strings.Contains(word, "'"):
			words = append(words, "'"+word+"'")
		case !strings.Contains(word, `"`):
			words = append(words, `"`+word+`"`)
		default:
			return ""
		}
	}
	return strings.Join(words, " ")
}
