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

	sdk "dagger.io/dagger"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/engine"
	"github.com/slipway-ci/slipway/engine/dagger/session"
	"github.com/slipway-ci/slipway/engine/host"
	"github.com/slipway-ci/slipway/image"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/pipeline"
	"github.com/slipway-ci/slipway/proof"
	"github.com/slipway-ci/slipway/publish"
	"github.com/slipway-ci/slipway/registry"
)

func (a *app) buildCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "build [flags] [DIR]",
		Short: "Build an image into an archive or a folder",
		Long: `Build the Go module in DIR (default: the current folder) into a container image: download and
verify its modules, compile it for every platform, check the programs, and assemble one image.
The path of the result goes to standard output.`,
		Example: `  slipway build                        the only program here, for amd64 and arm64
  slipway build --runtime scratch --port 8080 ./services/api
  slipway build --load && docker run --rm api:latest
  slipway build --package ./cmd/server --stamp main.version=v1.2.3 --output dist/server.tar`,
		Args: oneDir,
		RunE: func(c *cobra.Command, args []string) error {
			return a.work(c.Context(), dirOf(args), a.write)
		},
	}
	f := a.flags(c)
	f.plan(&a.settings)
	f.text(&a.Output, "output", "`PATH` of the result: an OCI archive of all platforms if it ends in .tar, else an OCI layout folder, which is added to; default: dist/NAME.tar")
	f.yes(&a.Load, "load", "also load the image for this machine's platform into docker, podman or nerdctl, as NAME:latest")
	f.work(&a.options)
	f.json(&a.options, "write the result as JSON")
	return c
}

func (a *app) publishCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "publish [flags] [DIR|ARCHIVE]",
		Short: "Build an image and push it to a registry",
		Long: `Build the Go module in DIR (default: the current folder) as slipway build does, and push the
image; or push what slipway build wrote into ARCHIVE, as it is. Bills of materials and provenance
are attached to it, and signed with --sign-key. Tags move last, when everything that they lead to is
there. Credentials are those of docker login. The image's reference by digest goes to standard
output.`,
		Example: `  slipway publish --repository ghcr.io/me/api --tag v1.2.3 --tag latest
  slipway publish --repository ghcr.io/me/api dist/api.tar
  kubectl set image deployment/api api="$(slipway publish --repository ghcr.io/me/api)"`,
		Args: oneDir,
		RunE: func(c *cobra.Command, args []string) error {
			if source := dirOf(args); isArchive(source) {
				return a.publishArchive(c, source)
			} else {
				return a.work(c.Context(), source, a.pushFrom(source))
			}
		},
	}
	f := a.flags(c)
	f.text(&a.Repository, "repository", "`REPOSITORY` to push to, with its registry, like ghcr.io/me/api")
	f.commas(&a.Tags, "tag", "`TAG` to move to the image; several by commas; default: none, the image is found by its digest")
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
	plan    *pipeline.Plan
	config  pipeline.Config
	built   *engine.Result
	client  *registry.Client
	display *progress.Display
	result
}

// deliver puts the image somewhere and returns what standard output is to say.
type deliver func(ctx context.Context, d *delivery) (string, error)

// work is what build and publish have in common: all but where the image goes. Whatever can be found wrong without
// building is found first.
func (a *app) work(ctx context.Context, dir string, to func(*pipeline.Plan) (deliver, error)) (err error) {
	plan, config, planErr := a.planBy(ctx, dir, pipeline.Resolve)
	var deliver deliver
	var deliverErr error
	if a.environment == nil {
		deliver, deliverErr = to(plan)
	}
	client, clientErr := registry.New(registry.Options{Mirrors: a.Mirrors})
	display, displayErr := progress.New(a.Progress, a.stderr, a.environ)
	logins, loginsErr := a.readLogins()
	if err := errors.Join(planErr, a.knownEngine(), deliverErr, loginsErr, requests(clientErr, displayErr)); err != nil {
		return err
	}
	defer client.Close()
	defer display.Close()

	bases, err := openBases(client)
	if err != nil {
		return err
	}
	kind := a.engineKind()
	display.Note("engine: " + kind + ", " + plan.Name + " with go" + plan.Go.Version)
	if kind == "host" && len(a.config.BuilderPackages) > 0 {
		display.Note("not installed on this machine: " + strings.Join(a.config.BuilderPackages, ", ") + "; what is on the PATH is used")
	}
	environ, forget, err := a.login(logins)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, forget()) }()
	var builder engine.Engine = host.New(bases, environ)
	if kind == "dagger" {
		client, err := connect(ctx)
		if err != nil {
			return err
		}
		defer client.Close()
		builder = session.New(client, bases, environ)
	}
	built, err := builder.Build(ctx, dir, plan, display)
	if err != nil {
		return err
	}
	if _, root := plan.Image.Labels[pipeline.RootLabel]; root {
		display.Warn("the program runs as root, since --allow-root permits it; the image says so in the label " + pipeline.RootLabel)
	}
	return a.finish(ctx, deliver, &delivery{plan: plan, config: config, built: built, client: client, display: display, result: result{Name: plan.Name}})
}

// finish delivers, and says so.
func (a *app) finish(ctx context.Context, deliver deliver, d *delivery) error {
	said, err := d.deliver(ctx, deliver)
	if err = errors.Join(err, d.built.Close()); err != nil {
		return err
	}
	d.display.Table(d.rows())
	_ = d.display.Close() // the work is done, whether or not everything about it could be shown
	if a.JSON {
		return a.printJSON(d.result)
	}
	_, err = fmt.Fprintln(a.stdout, said)
	return err
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
func openBases(client *registry.Client) (*image.Bases, error) {
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
	return &image.Bases{Store: store, Remote: client}, nil
}

func (d *delivery) deliver(ctx context.Context, deliver deliver) (string, error) {
	digest, err := d.built.Artifact.Digest()
	if err != nil {
		return "", err
	}
	d.Digest = digest.String()
	said, err := deliver(ctx, d)
	if err != nil {
		return "", err
	}
	for _, img := range d.built.Images {
		row := platformResult{Platform: img.Platform, BinarySize: img.BinarySize}
		digest, err := img.Image.Digest()
		if err != nil {
			return "", err
		}
		row.Digest = digest.String()
		if row.ImageSize, row.UnpackedSize, err = image.Sizes(img.Image); err != nil {
			return "", err
		}
		d.Platforms = append(d.Platforms, row)
	}
	return said, nil
}

func (d *delivery) rows() []progress.Row {
	var rows []progress.Row
	for _, p := range d.Platforms {
		rows = append(rows, progress.Row{Platform: p.Platform, Binary: p.BinarySize, Image: p.ImageSize, Unpacked: p.UnpackedSize, Digest: p.Digest})
	}
	return rows
}

// step reports what f does.
func (d *delivery) step(name string, f func(io.Writer) error) error {
	step := d.display.Step("", name)
	err := f(step)
	step.End(err)
	return err
}

// write delivers into a file or folder, and into a container runtime where that is asked for.
func (a *app) write(plan *pipeline.Plan) (deliver, error) {
	if plan == nil {
		return nil, nil
	}
	output := a.Output
	if output == "" {
		output = filepath.Join("dist", plan.Name+".tar")
	}
	if err := writable(filepath.Dir(output)); err != nil {
		return nil, fmt.Errorf("output %q: %w: choose another with --output", output, err)
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
				return image.WriteArchive(ctx, output, d.built.Artifact, plan.Name)
			}
			return image.WriteLayout(ctx, output, d.built.Artifact, plan.Name)
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

// writable finds out, before the work and without leaving a trace, whether files can be made in dir after it. Folders that
// are not there yet will be made.
func writable(dir string) error {
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
	probe, err := os.CreateTemp(dir, ".slipway-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// pushFrom delivers to a registry what is built from the folder dir, with its proof.
func (a *app) pushFrom(dir string) func(*pipeline.Plan) (deliver, error) {
	return func(*pipeline.Plan) (deliver, error) {
		if a.Predicate != "" {
			return nil, requests(pipeline.Faults{{Field: "predicate", Value: a.Predicate, Problem: "this build makes its own", Remedy: "give it with an ARCHIVE, or leave it out"}})
		}
		return a.push(dir)
	}
}

// push delivers to a registry, with its proof.
func (a *app) push(dir string) (deliver, error) {
	target := publish.Target{Repository: a.Repository, Tags: a.Tags}
	var faults []error
	for _, fault := range target.Validate() {
		faults = append(faults, fault)
	}
	prover, err := a.newProver(dir)
	if err := requests(append(faults, err)...); err != nil {
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
		d.Reference, d.Tags = ref.String(), target.Tags
		return d.Reference, d.step("tag", func(io.Writer) error { return session.Tag(ctx) })
	}, nil
}
