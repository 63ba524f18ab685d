// Package gocommand makes errors of the Go command's failures: with the end of what it printed, and what mends it.
package gocommand

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

var _ fault.Reworder = (*Error)(nil)

// Error is a command that failed.
type Error struct {
	// What was being done.
	What string
	// Output is the end of what the command printed.
	Output string
	// Hint is what mends it; empty where that is not known.
	Hint string
	// Command is the command, as an error calls it.
	Command string
	err     error
}

// Cut is the line that stands for lines left out.
const Cut = "…"

// tailLines bounds what an error shows of a command's output.
const tailLines = 40

// NewError makes the error of a command that failed with err while doing what: with the last lines of its output,
// and what mends the failure if the output shows it, else hint, which may be empty.
func NewError(what, output, hint string, err error) *Error {
	output = strings.TrimRight(output, "\n")
	if m := missingCXX.FindStringSubmatch(output); m != nil {
		hint = "The program has C++, and no compiler " + m[1] + " is on the PATH: install it beside the C compiler (Debian has it in a package g++-…; its musl-tools have none), or build on a Dagger engine, which brings its own."
	}
	if m := missingProgram.FindStringSubmatch(output); m != nil {
		hint = "go generate needs the program " + m[1] + ": install it on this machine, or build on a Dagger engine and name the package that has it with --builder-package."
	}
	for _, r := range hints {
		if strings.Contains(output, r.sign) {
			hint = r.hint
			break
		}
	}
	if full := fullPath.FindAllStringSubmatch(output, -1); full != nil {
		if known := FullDisk(full[len(full)-1][1]); known != "" {
			hint = known
		}
	}
	return &Error{What: what, Output: tail(output), Hint: hint, Command: "the Go command", err: err}
}

// Missing reports whether err may be of modules that cannot be had, and not of one that is not what go.sum says.
func Missing(err error) bool {
	failed := (*Error)(nil)
	return errors.As(err, &failed) && !strings.Contains(failed.Output, securityError)
}

const securityError = "SECURITY ERROR"

// NewOtherError is [NewError] for a command that is not Go's, so that its output says nothing of modules.
func NewOtherError(what, command, output, hint string, err error) *Error {
	return &Error{What: what, Output: tail(strings.TrimRight(output, "\n")), Hint: hint, Command: "the command " + command, err: err}
}

// tail is the end of an output.
func tail(output string) string {
	lines := strings.Split(output, "\n")
	if len(lines) <= tailLines {
		return output
	}
	return strings.Join(append([]string{Cut}, lines[len(lines)-tailLines:]...), "\n")
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s failed (%v)", e.What, e.Command, e.err)
	if e.Output != "" {
		b.WriteString(":\n" + e.Output)
	}
	if e.Hint != "" {
		b.WriteString("\n" + e.Hint)
	}
	return b.String()
}

// Reword implements [fault.Reworder].
func (e *Error) Reword(words func(string) string) string {
	reworded := *e
	reworded.Hint = words(e.Hint)
	return reworded.Error()
}

func (e *Error) Unwrap() error { return e.err }

// missingProgram is what go generate says where a program is not there.
var missingProgram = regexp.MustCompile(`running "([^"]+)": exec: .*(?:executable file not found|no such file or directory)`)

// missingCXX is what go build says where the C++ compiler is not there.
var missingCXX = regexp.MustCompile(`(?:: exec|^exec): "([^"]+\+\+)": executable file not found`)

// privateHint is what mends a module that its server does not give away.
const privateHint = "A private module needs a login: name one with --git-token HOST=env:VARIABLE or --netrc FILE, or put it into ~/.netrc; and put its path into GOPRIVATE."

// hints are what mends the failures that the Go command reports without saying so in the terms of a build.
var hints = []struct{ sign, hint string }{
	{securityError, "The module is not the one that go.sum records: compare go.sum with version control to see which of the two changed, before you trust either."},
	{"missing go.sum entry", "go.sum is incomplete: run go mod tidy and commit go.mod and go.sum."},
	{"cannot find module providing package", "go.mod requires no module that has it: run go mod tidy and commit go.mod and go.sum."},
	{"no required module provides package", "go.mod requires no module that has it: run go mod tidy and commit go.mod and go.sum."},
	{"updates to go.mod needed", "go.mod is out of date: run go mod tidy and commit go.mod and go.sum."},
	{"go work vendor", "The vendor directory is out of date: run go work vendor and commit it."},
	{"inconsistent vendoring", "The vendor directory is out of date: run go mod vendor and commit it."},
	{"toolchain not available", "This machine cannot download that release of Go: install it, choose another with --go, or check GOPROXY."},
	{"build constraints exclude all Go files", "If the package needs cgo, add --cgo; if it is for another system, choose another --platform."},
	{"no space left on device", "The disk is full: free some, or set TMPDIR and GOCACHE to a directory on another."},
	{"could not read Username", privateHint},
	{"no secure protocol found for repository", privateHint},
	{"Authentication failed for", privateHint},
	{"401 Unauthorized", privateHint},
	{"certificate signed by unknown authority", "A server's certificate is not of a public authority: add the root that it is of with --ca-cert FILE."},
	{"server certificate verification failed", "A server's certificate is not of a public authority: add the root that it is of with --ca-cert FILE."},
	{"dial tcp", "A server cannot be reached: check the network, GOPROXY and the proxy variables."},
}
