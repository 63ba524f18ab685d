package slipway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/source"
)

// Sink is where images of a request go: [Files], [Registry], [Document] or [Sizes].
type Sink interface {
	// check reports what is wrong with where an image goes, one of so many, before it is built. Its plan may be missing.
	check(image *Image, images int) error
	// put takes an image there, and notes in the result where it is.
	put(ctx context.Context, j *job) error
}

// Files writes images to Output of the request: into OCI archives, or into an OCI layout.
type Files struct {
	// Load also loads the image for this machine's platform into docker, podman or nerdctl, as NAME:latest.
	Load bool
}

// at is the path of an image's output.
func (*Files) at(image *Image) string {
	if output := image.request.Output; output != "" {
		return output
	}
	return filepath.Join(defaultOutput, image.Plan.Name+".tar")
}

func (f *Files) check(image *Image, images int) error {
	if image.Plan == nil {
		return nil
	}
	r := image.request
	form, _, named := strings.Cut(r.Output, ":")
	switch {
	case named && slices.Contains([]string{"oci", "oci-archive", "docker-archive"}, form): // as skopeo has it, and --base
		return Faults{{Field: "output", Value: r.Output, Problem: "an output is a path and nothing else", Hint: "leave out " + form + ": at the beginning; what ends in .tar becomes an OCI archive, anything else an OCI layout"}}
	case images > 1 && strings.HasSuffix(r.Output, ".tar"):
		return Faults{{Field: "output", Value: r.Output, Problem: "one archive for several images", Hint: "name a directory, which becomes an OCI layout with all of them, or leave it out"}}
	}
	output := f.at(image)
	err := r.Writable("output", output, filepath.Dir(output))
	if err == nil && f.Load {
		_, err = newLoader(image.Plan)
	}
	return err
}

func (f *Files) put(ctx context.Context, j *job) error {
	output, name := f.at(j.image), j.image.Plan.Name
	err := j.step("write", func(io.Writer) error {
		if strings.HasSuffix(output, ".tar") {
			return j.request.WriteInto(filepath.Dir(output), func() error { return oci.WriteArchive(ctx, output, j.built.Artifact, name) })
		}
		return j.request.WriteInto(output, func() error { return oci.WriteLayout(ctx, output, j.built.Artifact, name) })
	})
	if err != nil {
		return fmt.Errorf("%w: choose another place with --output, or correct this one", err)
	}
	j.Output = output
	if !f.Load {
		return nil
	}
	load, err := newLoader(j.image.Plan)
	if err != nil {
		return err
	}
	j.Loaded = load.name
	return j.step("load", func(out io.Writer) error { return load.run(ctx, j.built, out) })
}

// Writable checks, before the work and without leaving a trace, that files can be made in parent, for the setting of that name.
// Missing directories will be made. No link may lead out of the source, nor out of the current directory if the source is in it: both
// may be of a repository that others made.
func (r *Request) Writable(setting, output, parent string) error {
	grounds := []string{r.Dir}
	if _, ok := source.Within(filepath.Join(r.Dir, "x"), "."); ok {
		grounds = append(grounds, ".")
	}
	err := source.CheckOutput(output, grounds...)
	if err == nil {
		err = probe(parent)
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w: choose another with --%[1]s", setting, output, err)
	}
	return nil
}

// probe makes a file in dir, or in the nearest directory above it that exists, and removes it.
func probe(dir string) error {
	for {
		_, err := os.Stat(dir)
		if err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, os.ErrNotExist) || parent == dir {
			return err
		}
		dir = parent
	}
	return temporary.Probe(dir)
}
