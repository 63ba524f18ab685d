package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	sdk "dagger.io/dagger"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/engine"
	"github.com/slipway-ci/slipway/engine/dagger/session"
	"github.com/slipway-ci/slipway/engine/host"
	"github.com/slipway-ci/slipway/image"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/internal/source"
	"github.com/slipway-ci/slipway/internal/temporary"
	"github.com/slipway-ci/slipway/pipeline"
	"github.com/slipway-ci/slipway/project"
	"github.com/slipway-ci/slipway/proof"
	"github.com/slipway-ci/slipway/publish"
	"github.com/slipway-ci/slipway/registry"
	"github.com/slipway-ci/slipway/sbom"
)

func (a *app) buildCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "build [flags] [NAME...] [DIR]",
		Short: "Build an image into an archive or a folder",
		Long: `Build the Go module in DIR (default: the current folder) into a container image: download and
verify its modules, compile it for every platform, check the programs, and assemble one image.
With slipway.yaml there, build the images that are named, or all of them: a word is a folder unless
the file has an image of that name. The path of each result goes to standard output.`,
		Example: `  slipway build                        the only program here, for amd64 and arm64
  slipway build --runtime scratch --port 8080 ./services/api
  slipway build --load && docker run --rm api:latest
  slipway build --package ./cmd/server --stamp main.version=v1.2.3 --output dist/server.tar
  slipway build api worker             two of the images in slipway.yaml
  slipway build --all --changed-since origin/main`,
		RunE: func(c *cobra.Command, args []string) error {
			names, dir, err := nameArgs(args)
			if err != nil {
				return err
			}
			jobs, err := a.jobs(c.Context(), dir, names, pipeline.ResolveAll)
			return a.work(c.Context(), dir, a.All || names != nil, jobs, err, a.writeFrom(dir))
		},
	}
	f := a.flags(c)
	f.all(&a.options)
	f.changedSince(&a.options)
	f.plan(&a.settings)
	f.text(&a.Output, "output", "`PATH` of the result: an OCI archive of all platforms if it ends in .tar, else an OCI layout folder, which is added to; default: dist/NAME.tar")
	f.yes(&a.Load, "load", "also load the image for this machine's platform into docker, podman or nerdctl, as NAME:latest")
	f.work(&a.options)
	f.json(&a.options, "write the result as JSON")
	return c
}

func (a *app) publishCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "publish [flags] [NAME...] [DIR|ARCHIVE]",
		Short: "Build an image and push it to a registry",
		Long: `Build the Go module in DIR (default: the current folder) as slipway build does, and push the
image; or push what slipway build wrote into ARCHIVE, as it is. Bills of materials and provenance
are attached to it, and signed with --sign-key. Tags move last, when everything that they lead to is
there. Credentials are those of docker login. The image's reference by digest goes to standard
output.`,
		Example: `  slipway publish --repository ghcr.io/me/api --tag v1.2.3 --tag latest
  slipway publish --repository ghcr.io/me/api dist/api.tar
  slipway publish --all --repository 'ghcr.io/me/{{.Name}}' --tag '{{.Git.Tag}}'
  kubectl set image deployment/api api="$(slipway publish --repository ghcr.io/me/api)"`,
		RunE: func(c *cobra.Command, args []string) error {
			names, dir, err := nameArgs(args)
			switch {
			case err != nil:
				return err
			case len(names) == 0 && isArchive(dir):
				return a.publishArchive(c, dir)
			}
			jobs, err := a.pushed(c.Context(), dir, names)
			if err == nil && a.Provenance {
				go func() { _, _ = a.readSource(c.Context(), dir) }() // git takes as long as a build without changes
			}
			return a.work(c.Context(), dir, a.All || names != nil, jobs, err, a.pushFrom(dir))
		},
	}
	f := a.flags(c)
	f.all(&a.options)
	f.changedSince(&a.options)
	f.text(&a.Repository, "repository", "`REPOSITORY` to push to, with its registry, like ghcr.io/me/api; a template, like ghcr.io/me/{{.Name}}")
	f.commas(&a.Tags, "tag", "`TAG` to move to the image, like {{.Git.Tag}}; a template; several by commas; default: none, the image is found by its digest")
	f.text(&a.SBOM, "sbom", "`FORMAT` of the bills of materials that are attached: "+strings.Join(append(sbomFormats(), noSBOM), ", ")+"; default: cyclonedx", append(sbomFormats(), noSBOM)...)
	f.yes(&a.Provenance, "provenance", "attach where the image comes from: source, settings, builder, time")
	f.text(&a.Predicate, "predicate", "`FILE` with the provenance of an ARCHIVE, of which slipway itself knows nothing: a predicate of SLSA v1, in JSON")
	f.text(&a.SignKey, "sign-key", "private `KEY` to sign the image and what is attached with, as cosign does: a file, or env:VARIABLE; COSIGN_PASSWORD decrypts it")
	f.plan(&a.settings)
	f.work(&a.options)
	f.json(&a.options, "write the result as JSON")
	return c
}

// engines are the values of --engine.
var engines = []string{"auto", "host", "dagger"}

// result is what a command that built something writes as JSON.
type result struct {
	Name string `json:"name"`
	// Digest is that of the index, or of the manifest where there is one platform.
	Digest    string           `json:"digest"`
	Output    string           `json:"output,omitempty"`
	Loaded    string           `json:"loaded,omitempty"`
	Reference string           `json:"reference,omitempty"`
	Tags      []string         `json:"tags,omitempty"`
	Platforms []platformResult `json:"platforms"`
}

type platformResult struct {
	Platform string `json:"platform"`
	Digest   string `json:"digest"`
	// Sizes in bytes: of the programs, of the image as it is pulled, and as it is on a node's disk.
	BinarySize   int64 `json:"binarySize"`
	ImageSize    int64 `json:"imageSize"`
	UnpackedSize int64 `json:"unpackedSize"`
}

// delivery is a built image on its way to the user.
type delivery struct {
	job     *job // nil for an archive
	built   *engine.Result
	client  *registry.Client
	display *progress.Display
	notes   sbom.Notes
	lane    string // what its steps are told under
	result
	// tag moves the tags of what has been pushed, when all images of the run are up; nil where none are moved.
	tag func(ctx context.Context) error
	// said is what standard output is to say, err why there is nothing to say.
	said string
	err  error
}

// deliver puts the image somewhere and returns what standard output is to say.
type deliver func(ctx context.Context, d *delivery) (string, error)

// deliveries bounds how many images are written or pushed at a time.
const deliveries = 4

// work is what build and publish have in common: all but where images go. Whatever can be found wrong without building is found
// first; planErr is what is wrong with the jobs. list says that results are told as a list, even if there is one.
func (a *app) work(ctx context.Context, dir string, list bool, jobs []*job, planErr error, to func(*job, int) (deliver, error)) (err error) {
	delivers := make([]deliver, max(len(jobs), 1))
	var deliverErrs []error
	if a.environment == nil {
		for i := range delivers {
			// What is wrong with where it goes is told beside what is wrong with the source.
			j := &job{settings: project.Image{Repository: a.Repository, Tags: a.Tags}}
			if i < len(jobs) {
				j = jobs[i]
			}
			delivers[i], err = to(j, len(jobs))
			deliverErrs = append(deliverErrs, err)
		}
	}
	client, clientErr := a.registry(a.Mirrors)
	display, displayErr := progress.New(a.Progress, a.stderr, a.environ)
	logins, loginsErr := a.readLogins()
	if err := errors.Join(planErr, a.knownEngine(), once(deliverErrs), loginsErr, requests(clientErr, displayErr)); err != nil {
		return err
	}
	defer client.Close()
	defer display.Close()

	environ, forget, err := a.login(logins)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, forget()) }()
	if jobs, delivers, err = a.changed(ctx, dir, jobs, delivers, environ, display); err != nil {
		return err
	}
	if len(jobs) == 0 {
		return a.finish(display, nil, list)
	}
	for _, j := range jobs {
		noteSkipped(display, j.plan.Name, j.target.Tags, j.skipped)
	}
	bases, err := openBases(ctx, client)
	if err != nil {
		return err
	}
	kind := a.engineKind()
	versions, packages := map[string][]string{}, map[string]bool{}
	for _, j := range jobs {
		versions[j.plan.Go.Version] = append(versions[j.plan.Go.Version], j.plan.Name)
		for _, p := range j.plan.BuilderPackages {
			packages[p] = true
		}
	}
	for _, version := range slices.Sorted(maps.Keys(versions)) {
		display.Note("engine: " + kind + ", " + strings.Join(versions[version], ", ") + " with go" + version)
	}
	if kind == "host" && len(packages) > 0 {
		display.Note("not installed on this machine: " + strings.Join(slices.Sorted(maps.Keys(packages)), ", ") + "; what is on the PATH is used")
	}
	a.noteIgnored(display, jobs[0].plan)
	var builder engine.Engine = host.New(bases, environ)
	if kind == "dagger" {
		client, err := connect(ctx)
		if err != nil {
			return err
		}
		defer client.Close()
		builder = session.New(client, bases, environ)
	}
	plans := make([]*pipeline.Plan, len(jobs))
	all := make([]*delivery, len(jobs))
	for i, j := range jobs {
		plans[i] = j.plan
		all[i] = &delivery{job: j, client: client, display: display, notes: bases.Store, result: result{Name: j.plan.Name}}
		if list {
			all[i].lane = j.plan.Name
		}
	}
	slots := make(chan struct{}, deliveries)
	builder.Build(ctx, dir, plans, display, func(i int, built *engine.Result, err error) {
		d := all[i]
		if d.built, d.err = built, err; err != nil {
			return
		}
		if _, root := d.job.plan.Image.Labels[pipeline.RootLabel]; root {
			display.Warn(cmp.Or(d.lane, "the program") + " runs as root, since --allow-root permits it; the image says so in the label " + pipeline.RootLabel)
		}
		slots <- struct{}{}
		d.run(ctx, delivers[i])
		<-slots
	})
	moveTags(ctx, all)
	return a.finish(display, all, list)
}

// noteIgnored names, once, what would change go build and changes nothing here.
func (a *app) noteIgnored(display *progress.Display, plan *pipeline.Plan) {
	env := maps.Clone(plan.Env)
	if len(plan.Compile) == 1 {
		maps.Copy(env, plan.Compile[0].Env)
	}
	if ignored := goenv.Ignored(a.environ, env); len(ignored) > 0 {
		display.Note("of the environment, " + strings.Join(ignored, ", ") + " would change go build and changes nothing here: slipway build --help lists the settings")
	}
}

// moveTags moves the tags of all images, but none if one of the images is not up. Once a tag could not be moved, no image's
// follow.
func moveTags(ctx context.Context, all []*delivery) {
	var stopped atomic.Bool
	for _, d := range all {
		if d.err != nil {
			return
		}
	}
	var group errgroup.Group
	group.SetLimit(deliveries)
	for _, d := range all {
		if d.tag == nil {
			continue
		}
		group.Go(func() error {
			if stopped.Load() {
				return nil
			}
			if d.err = d.tag(ctx); d.err != nil {
				stopped.Store(true)
			}
			return nil
		})
	}
	_ = group.Wait() // each has its error
}

// finish tells what became of the images. See work for list.
func (a *app) finish(display *progress.Display, all []*delivery, list bool) error {
	var rows []progress.Row
	results := []result{}
	var said strings.Builder
	var failed []string
	var errs []error
	for _, d := range all {
		if d.err != nil {
			failed = append(failed, d.Name)
			errs = append(errs, d.err)
			rows = append(rows, progress.Row{Name: d.lane, Failed: true})
			continue
		}
		rows = append(rows, d.rows()...)
		results = append(results, d.result)
		fmt.Fprintln(&said, d.said)
	}
	if len(all) == 1 && errs != nil {
		return errs[0]
	}
	if rows != nil {
		display.Table(rows)
	}
	_ = display.Close() // the work is done, whether or not everything about it could be shown
	var err error
	switch {
	case a.JSON && (list || len(all) == 0):
		err = a.printJSON(results)
	case a.JSON:
		err = a.printJSON(results[0])
	default:
		_, err = io.WriteString(a.stdout, said.String())
	}
	if errs != nil {
		return errors.Join(err, failures(all, failed))
	}
	return err
}

// failures says which images failed, and why: images that failed for the same reason together.
func failures(all []*delivery, failed []string) error {
	var reasons []string
	names := map[string][]string{}
	for _, d := range all {
		if d.err == nil {
			continue
		}
		reason := d.err.Error()
		if names[reason] == nil {
			reasons = append(reasons, reason)
		}
		names[reason] = append(names[reason], d.Name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d images failed: %s", len(failed), len(all), strings.Join(failed, ", "))
	for _, reason := range reasons {
		fmt.Fprintf(&b, "\n%s: %s", strings.Join(names[reason], ", "), reason)
	}
	b.WriteString(untagged(all))
	return errors.New(b.String())
}

// untagged says whose tags have not moved although their images are up, after one that failed.
func untagged(all []*delivery) string {
	var moved, waiting []string
	for _, d := range all {
		switch {
		case d.Tags != nil:
			moved = append(moved, d.Name)
		case d.tag != nil && d.err == nil:
			waiting = append(waiting, d.Name)
		}
	}
	switch {
	case waiting == nil:
		return ""
	case moved == nil:
		return fmt.Sprintf("\nno tag has moved, since tags move when all images are up; these are up, by their digests: %s", strings.Join(waiting, ", "))
	default:
		return fmt.Sprintf("\ntags have moved of %s, and not of %s", strings.Join(moved, ", "), strings.Join(waiting, ", "))
	}
}

func (a *app) knownEngine() error {
	if a.Engine == "" || slices.Contains(engines, a.Engine) {
		return nil
	}
	return requests(pipeline.Faults{{Field: "engine", Value: a.Engine, Problem: "no such engine", Remedy: "choose from " + strings.Join(engines, ", ")}})
}

// engineKind decides what builds: where a Dagger session is at hand, its engine, since whoever began it wants its caches.
func (a *app) engineKind() string {
	switch {
	case a.Engine != "" && a.Engine != "auto":
		return a.Engine
	case slices.ContainsFunc(a.environ, func(kv string) bool { return strings.HasPrefix(kv, "DAGGER_SESSION_PORT=") }):
		return "dagger"
	default:
		return "host"
	}
}

// connect joins the Dagger session at hand, or begins one by the dagger command.
func connect(ctx context.Context) (*sdk.Client, error) {
	client, err := sdk.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to a Dagger engine: %w: run slipway by dagger run, check that an engine can be reached, or use --engine host", err)
	}
	return client, nil
}

// cacheLimit is the size in bytes that the cache is brought back to when a command begins.
const cacheLimit = 4 << 30

// openBases opens the cache: of base images, and of what builds keep for the next one.
func openBases(ctx context.Context, client *registry.Client) (*image.Bases, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("there is no folder for caches: %w: set HOME or XDG_CACHE_HOME", err)
	}
	store, err := image.OpenStore(filepath.Join(dir, "slipway"))
	if err != nil {
		return nil, err
	}
	if err := store.Forget(cacheLimit); err != nil {
		return nil, fmt.Errorf("making room in the cache %s: %w", filepath.Join(dir, "slipway"), err)
	}
	return &image.Bases{Store: store, Remote: client, Context: ctx}, nil
}

// run delivers.
func (d *delivery) run(ctx context.Context, deliver deliver) {
	d.err = errors.Join(d.deliver(ctx, deliver), d.built.Close())
}

func (d *delivery) deliver(ctx context.Context, deliver deliver) error {
	digest, err := d.built.Artifact.Digest()
	if err != nil {
		return err
	}
	d.Digest = digest.String()
	if d.said, err = deliver(ctx, d); err != nil {
		return err
	}
	for _, img := range d.built.Images {
		row := platformResult{Platform: img.Platform, BinarySize: img.BinarySize}
		digest, err := img.Image.Digest()
		if err != nil {
			return err
		}
		row.Digest = digest.String()
		if row.ImageSize, row.UnpackedSize, err = image.Sizes(img.Image); err != nil {
			return err
		}
		d.Platforms = append(d.Platforms, row)
	}
	return nil
}

func (d *delivery) rows() []progress.Row {
	var rows []progress.Row
	for _, p := range d.Platforms {
		rows = append(rows, progress.Row{Name: d.lane, Platform: p.Platform, Binary: p.BinarySize, Image: p.ImageSize, Unpacked: p.UnpackedSize, Digest: p.Digest})
	}
	return rows
}

// plan is nil for an archive.
func (d *delivery) plan() *pipeline.Plan {
	if d.job == nil {
		return nil
	}
	return d.job.plan
}

// step reports what f does.
func (d *delivery) step(name string, f func(io.Writer) error) error {
	step := d.display.Step(d.lane, name)
	err := f(step)
	step.End(err)
	return err
}

// writeFrom delivers what is built from the directory dir as write does.
func (a *app) writeFrom(dir string) func(*job, int) (deliver, error) {
	return func(j *job, images int) (deliver, error) { return a.write(dir, j, images) }
}

// write delivers into a file or folder, and into a container runtime where that is asked for. It is one of several images.
func (a *app) write(dir string, j *job, images int) (deliver, error) {
	plan := j.plan
	if plan == nil {
		return nil, nil
	}
	output := a.Output
	form, _, named := strings.Cut(output, ":")
	switch {
	case named && slices.Contains([]string{"oci", "oci-archive", "docker-archive"}, form): // as skopeo has it, and --base
		return nil, pipeline.Faults{{Field: "output", Value: output, Problem: "an output is a path and nothing else", Remedy: "leave out " + form + ": at the beginning; what ends in .tar becomes an OCI archive, anything else an OCI layout"}}
	case output == "":
		output = filepath.Join(defaultOutput, plan.Name+".tar")
	case images > 1 && strings.HasSuffix(output, ".tar"):
		return nil, pipeline.Faults{{Field: "output", Value: output, Problem: "one archive for several images", Remedy: "name a folder, which becomes an OCI layout with all of them, or leave it out"}}
	}
	if err := a.writable("output", output, filepath.Dir(output), dir); err != nil {
		return nil, err
	}
	var load *loader
	if a.Load {
		var err error
		if load, err = newLoader(plan); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, d *delivery) (string, error) {
		d.Output = output
		err := d.step("write", func(io.Writer) error {
			if strings.HasSuffix(output, ".tar") {
				return a.making(filepath.Dir(output), func() error { return image.WriteArchive(ctx, output, d.built.Artifact, plan.Name) })
			}
			return a.making(output, func() error { return image.WriteLayout(ctx, output, d.built.Artifact, plan.Name) })
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

// pushFrom delivers to a registry what is built from the folder dir, with its proof.
func (a *app) pushFrom(dir string) func(*job, int) (deliver, error) {
	return func(j *job, _ int) (deliver, error) {
		if a.Predicate != "" {
			return nil, pipeline.Faults{{Field: "predicate", Value: a.Predicate, Problem: "this build makes its own", Remedy: "give it with an ARCHIVE, or leave it out"}}
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
	var faults pipeline.Faults
	for _, f := range target.Validate() {
		faults = append(faults, pipeline.Fault{Field: f.Field, Value: f.Value, Problem: f.Problem, Remedy: f.Remedy})
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
		var documents []proof.Document
		group, groupCtx := errgroup.WithContext(ctx)
		group.Go(func() error {
			return d.step("push", func(io.Writer) (err error) {
				ref, err = session.Content(groupCtx, d.built.Artifact, nil)
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
