package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/internal/publish"
	"github.com/slipway-ci/slipway/internal/source"
)

// writeFrom delivers what is built from the directory dir as write does.
func (a *app) writeFrom(dir string) func(*job, int) (deliver, error) {
	return func(j *job, images int) (deliver, error) { return a.write(dir, j, images) }
}

// write delivers into a file or directory, and into a container runtime where that is asked for. It is one of several images.
func (a *app) write(dir string, j *job, images int) (deliver, error) {
	p := j.plan
	if p == nil {
		return nil, nil
	}
	output := a.Output
	form, _, named := strings.Cut(output, ":")
	switch {
	case named && slices.Contains([]string{"oci", "oci-archive", "docker-archive"}, form): // as skopeo has it, and --base
		return nil, plan.Faults{{Field: "output", Value: output, Problem: "an output is a path and nothing else", Hint: "leave out " + form + ": at the beginning; what ends in .tar becomes an OCI archive, anything else an OCI layout"}}
	case output == "":
		output = filepath.Join(defaultOutput, p.Name+".tar")
	case images > 1 && strings.HasSuffix(output, ".tar"):
		return nil, plan.Faults{{Field: "output", Value: output, Problem: "one archive for several images", Hint: "name a directory, which becomes an OCI layout with all of them, or leave it out"}}
	}
	if err := a.writable("output", output, filepath.Dir(output), dir); err != nil {
		return nil, err
	}
	var load *loader
	if a.Load {
		var err error
		if load, err = newLoader(p); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, d *delivery) (string, error) {
		d.Output = output
		err := d.step("write", func(io.Writer) error {
			if strings.HasSuffix(output, ".tar") {
				return a.making(filepath.Dir(output), func() error { return oci.WriteArchive(ctx, output, d.built.Artifact, p.Name) })
			}
			return a.making(output, func() error { return oci.WriteLayout(ctx, output, d.built.Artifact, p.Name) })
		})
		if err != nil {
			return "", fmt.Errorf("%w: choose another place with --output, or mend this one", err)
		}
		if load == nil {
			return output, nil
		}
		d.Loaded = load.name
		return output, d.step("load", func(out io.Writer) error { return load.run(ctx, d.built, out) })
	}, nil
}

// writable finds out, before the work and without leaving a trace, whether files can be made in parent after it, for what a flag says.
// Directories that are not there yet will be made. A link of the source must not lead out of it, nor one of the current directory
// that the source is in: both may be of a repository that others made.
func (a *app) writable(flag, output, parent, dir string) error {
	grounds := []string{dir}
	if _, ok := source.Within(filepath.Join(dir, "x"), "."); ok {
		grounds = append(grounds, ".")
	}
	err := source.CheckOutput(output, grounds...)
	if err == nil {
		err = probe(parent)
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w: choose another with --%[1]s", flag, output, err)
	}
	return nil
}

// probe makes a file in dir, or in the nearest directory above that is there, and removes it.
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

// pushFrom delivers to a registry what is built from the directory dir, with its proof.
func (a *app) pushFrom(dir string) func(*job, int) (deliver, error) {
	return func(j *job, _ int) (deliver, error) {
		if a.Predicate != "" {
			return nil, plan.Faults{{Field: "predicate", Value: a.Predicate, Problem: "this build makes its own", Hint: "give it with an ARCHIVE, or leave it out"}}
		}
		target := j.target
		if j.plan == nil { // why is told by itself, and names that are filled in are not known
			target = publish.Target{Repository: j.settings.Repository, Tags: j.settings.Tags}
			if strings.Contains(target.Repository+strings.Join(target.Tags, ""), "{{") {
				return nil, nil
			}
		}
		return a.push(dir, target)
	}
}

// noteSkipped says which tags of an image are none.
func noteSkipped(display *progress.Display, name string, tags, skipped []string) {
	for _, tag := range skipped {
		display.Note(fmt.Sprintf("%s gets no tag by %q: nothing remains when it is filled in", name, tag))
	}
	if skipped != nil && tags == nil {
		display.Note(name + " is found by its digest alone")
	}
}

// push delivers to a registry, with its proof.
func (a *app) push(dir string, target publish.Target) (deliver, error) {
	var faults plan.Faults
	for _, f := range target.Validate() {
		faults = append(faults, plan.Fault{Field: f.Field, Value: f.Value, Problem: f.Problem, Hint: f.Hint})
	}
	prover, err := a.newProver(dir)
	if faults != nil {
		err = errors.Join(faults, err)
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, d *delivery) (string, error) {
		session, err := publish.Begin(d.client, target)
		if err != nil {
			return "", err
		}
		repository, err := name.NewRepository(target.Repository)
		if err != nil {
			return "", err
		}
		var ref name.Digest
		var documents []attest.Document
		group, groupCtx := errgroup.WithContext(ctx)
		group.Go(func() error {
			return d.step("push", func(io.Writer) (err error) {
				ref, err = session.Content(groupCtx, d.built.Artifact)
				return err
			})
		})
		group.Go(func() (err error) {
			documents, err = prover.documents(groupCtx, d, repository.Name())
			return err
		})
		if err := group.Wait(); err != nil {
			return "", err
		}
		if err := prover.attach(ctx, d, session, repository, documents); err != nil {
			return "", err
		}
		d.Reference = ref.String()
		if len(target.Tags) > 0 {
			d.tag = func(ctx context.Context) error {
				err := d.step("tag", func(io.Writer) error { return session.Tag(ctx) })
				if err == nil {
					d.Tags = target.Tags
				}
				return err
			}
		}
		return d.Reference, nil
	}, nil
}
