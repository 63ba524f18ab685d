// Command slipway turns a Go module into a minimal container image for several platforms, and publishes it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/slipway-ci/slipway/internal/build/gocache"
	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/gocommand"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/internal/tracing"
)

func main() {
	gocache.Helper()
	environ := os.Environ()
	if err := inherit(environ); err != nil {
		fmt.Fprintln(console.NewWriter(os.Stderr, knownSecrets(nil, environ)), "slipway: preparing the environment of other programs:", err)
		os.Exit(exitFailed)
	}
	os.Exit(run(signalled(context.Background()), os.Args[1:], environ, os.Stdout, os.Stderr))
}

// Exit statuses.
const (
	exitDone    = 0
	exitFailed  = 1 // the work failed
	exitRequest = 2 // the request was wrong; nothing was done
)

// run is the whole command, but for the process around it.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	known := knownSecrets(args, environ)
	out, errOut := console.NewWriter(stdout, known), console.NewWriter(stderr, known)
	root := newRoot(environ, out, errOut, known)
	root.SetArgs(joinOptional(args))
	root.SetOut(out)
	root.SetErr(errOut)
	command, err := root.ExecuteContextC(ctx)
	if flushErr := errors.Join(out.Flush(), errOut.Flush()); err == nil {
		err = flushErr
	}
	status, problem := outcome(ctx, err)
	if problem != "" {
		fmt.Fprintln(errOut, "slipway: "+indent(problem))
	}
	first, _, _ := strings.Cut(errOut.Clean(problem), "\n")
	if err := tracing.End(command.Context(), first); err != nil {
		fmt.Fprintln(errOut, "slipway: warning: "+indent(message(err)))
	}
	return status
}

// outcome is the exit status of a call that ended with err, and what the user reads of it.
func outcome(ctx context.Context, err error) (status int, problem string) {
	switch {
	case err == nil:
		return exitDone, ""
	case ctx.Err() != nil:
		return exitFailed, "interrupted; nothing half-done was left"
	case fault.As(err) != nil:
		return exitRequest, message(err)
	default:
		return exitFailed, message(err)
	}
}

// joinOptional writes "--cgo static" as "--cgo=static": since --cgo may stand alone, its value would otherwise be taken for the
// source's directory. A directory of such a name is written "./static".
func joinOptional(args []string) []string {
	var joined []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(joined, args[i:]...)
		}
		if i+1 < len(args) && slices.ContainsFunc(plan.Settings(), func(s plan.Setting) bool {
			return s.Alone != "" && args[i] == "--"+s.Flag && s.Follows(args[i+1])
		}) {
			joined = append(joined, args[i]+"="+args[i+1])
			i++
			continue
		}
		joined = append(joined, args[i])
	}
	return joined
}

// message is what the user reads: several faults are a list.
func message(err error) string {
	text := progress.Clean(err.Error())
	if fault.As(err) != nil && strings.Contains(text, "\n") {
		return "the request has several faults\n" + text
	}
	if file := (*fs.PathError)(nil); errors.As(err, &file) && errors.Is(file.Err, syscall.ENOSPC) {
		if hint := gocommand.FullDisk(file.Path); hint != "" {
			text += "\n" + hint
		}
	}
	return text
}

// indent sets the lines after the first off, so that it is plain where one error ends.
func indent(text string) string {
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}

// version is stamped into releases. Otherwise it is what the Go command knows: the version of go install, or "(devel)".
var version = ""

func versionText() string {
	info, ok := debug.ReadBuildInfo()
	switch {
	case version != "":
		return version
	case ok && info.Main.Version != "":
		return info.Main.Version
	default:
		return "(devel)"
	}
}
