package slipway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/child"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

// runtimes are the commands that can load an image, in the order in which they are tried.
var runtimes = []string{"docker", "podman", "nerdctl"}

// runtimeVariables are the variables that lead them to their daemon and their storage.
var runtimeVariables = []string{
	"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS*", "DOCKER_API_VERSION",
	"CONTAINER_*", "CONTAINERS_*", "CONTAINERD_*", "NERDCTL_*", "STORAGE_*", "XDG_DATA_HOME", "XDG_DATA_DIRS", "DBUS_SESSION_BUS_ADDRESS",
	"SSH_AUTH_SOCK", "LANG", "LC_*",
}

// loader loads an image into the local container runtime.
type loader struct {
	command  string
	platform plan.Platform
	name     string
}

// newLoader checks before building that there is a runtime, and an image for it.
func newLoader(plan *Plan) (*loader, error) {
	l := &loader{name: plan.Name + ":latest"}
	for _, name := range runtimes {
		if path, err := exec.LookPath(name); err == nil {
			l.command = path
			break
		}
	}
	if l.command == "" {
		return nil, Faults{{Field: "load", Problem: "none of " + strings.Join(runtimes, ", ") + " is on the PATH", Hint: "install one, or leave out --load"}}
	}
	for _, p := range plan.Platforms() {
		// The first is the architecture's lowest variant, which runs everywhere.
		if p.Architecture == runtime.GOARCH {
			l.platform = p
			return l, nil
		}
	}
	return nil, Faults{{Field: "load", Problem: "no image for this machine", Hint: "add --platform linux/" + runtime.GOARCH}}
}

func (l *loader) run(ctx context.Context, built *build.Result, out io.Writer) error {
	for _, img := range built.Images {
		if img.Platform == l.platform.String() {
			return l.load(ctx, img, out)
		}
	}
	return fmt.Errorf("no image for %s was built", l.platform)
}

// load streams the image into the runtime: nothing is written to the disk.
func (l *loader) load(ctx context.Context, img build.Image, out io.Writer) error {
	r, w := io.Pipe()
	var said bytes.Buffer
	printed := io.MultiWriter(out, &said)
	var group errgroup.Group
	group.Go(func() error {
		err := oci.WriteDocker(ctx, w, img.Image, l.name)
		return errors.Join(err, w.CloseWithError(err))
	})
	err := child.Command{Args: []string{l.command, "load"}, Env: goenv.Child(os.Environ(), runtimeVariables...), Stdin: r, Stdout: printed, Stderr: printed}.Run(ctx)
	if err != nil {
		err = fmt.Errorf("%s load: %w: %s: check that its daemon runs", l.command, err, strings.TrimSpace(said.String()))
	}
	_ = r.CloseWithError(errors.New("the runtime stopped reading")) // a no-op when it read all
	if writeErr := group.Wait(); err == nil {
		return writeErr
	}
	return err
}
