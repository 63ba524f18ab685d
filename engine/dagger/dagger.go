// Package dagger carries plans out on a Dagger engine.
//
// A [Build] describes containers and folders, and nothing runs until one of them is asked for: what the engine has in its
// cache is not done again. The engine package of the command and the Dagger module are both thin faces of it.
package dagger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"dagger.io/dagger"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/image/roots"
	"github.com/slipway-ci/slipway/internal/gocommand"
	"github.com/slipway-ci/slipway/internal/guard"
	"github.com/slipway-ci/slipway/pipeline"
	"github.com/slipway-ci/slipway/publish/target"
)

// Folders of the builder container.
const (
	sourceDir = "/src"
	outDir    = "/out"
)

// Build is a plan on a Dagger engine.
type Build struct {
	client  *dagger.Client
	source  *dagger.Directory
	plan    *pipeline.Plan
	private Private
}

// Private is what finds and fetches private modules. None of it reaches an image, a log or a cache key.
type Private struct {
	// Netrc is a file with logins, in the form of ~/.netrc.
	Netrc *dagger.Secret
	// SSH is the socket of an SSH agent.
	SSH *dagger.Socket
	// Env are variables for the Go command, such as GOPRIVATE and GOPROXY: the URL of a proxy may hold a login.
	Env map[string]*dagger.Secret
}

// New describes the build of source, which plan was made for.
func New(client *dagger.Client, source *dagger.Directory, plan *pipeline.Plan, private Private) *Build {
	return &Build{client, source, plan, private}
}

// builder is the container that compiles, on the engine's own platform, before anything of the source is in it: its
// modules are downloaded and verified, and only an edit of go.mod and its like repeats that.
func (b *Build) builder() *dagger.Container {
	dir := path.Join(sourceDir, b.plan.Source.Dir)
	ctr := b.client.Container().From(b.plan.Builder)
	for _, k := range slices.Sorted(maps.Keys(b.plan.Env)) {
		ctr = ctr.WithEnvVariable(k, b.plan.Env[k])
	}
	for _, c := range b.plan.Caches {
		ctr = ctr.WithMountedCache(c.Path, b.client.CacheVolume(c.Name)).WithEnvVariable(c.Env, c.Path)
	}
	ctr = ctr.With(b.withPrivate).WithWorkdir(dir)
	if b.plan.Dependencies.Download != nil {
		// Filter and not a list of files: one round trip however many there are.
		ctr = ctr.
			WithDirectory(sourceDir, b.source.Filter(dagger.DirectoryFilterOpts{Include: b.plan.Dependencies.Files})).
			WithExec(b.plan.Dependencies.Download).
			WithExec(b.plan.Dependencies.Verify)
	}
	return ctr
}

func (b *Build) withPrivate(ctr *dagger.Container) *dagger.Container {
	for _, k := range slices.Sorted(maps.Keys(b.private.Env)) {
		ctr = ctr.WithSecretVariable(k, b.private.Env[k])
	}
	if b.private.Netrc != nil {
		ctr = ctr.WithMountedSecret("/root/.netrc", b.private.Netrc)
	}
	if b.private.SSH != nil {
		ctr = ctr.WithUnixSocket("/run/ssh-agent.sock", b.private.SSH).WithEnvVariable("SSH_AUTH_SOCK", "/run/ssh-agent.sock")
	}
	return ctr
}

// Programs is the folder of the programs for a platform of the plan.
func (b *Build) Programs(c pipeline.Compile) *dagger.Directory {
	source := b.source
	if files := b.plan.Source.Files; files != nil {
		source = source.Filter(dagger.DirectoryFilterOpts{Include: files})
	}
	ctr := b.builder().WithDirectory(sourceDir, source)
	for _, k := range slices.Sorted(maps.Keys(c.Env)) {
		ctr = ctr.WithEnvVariable(k, c.Env[k])
	}
	return ctr.WithExec(c.Command(outDir)).Directory(outDir)
}

// Export brings the programs for a platform of the plan into the folder out, on this side of the session.
func (b *Build) Export(ctx context.Context, c pipeline.Compile, out string) error {
	_, err := b.Programs(c).Export(ctx, out)
	return b.explain("compiling for "+c.Platform.String(), err)
}

// Modules downloads and verifies the modules.
func (b *Build) Modules(ctx context.Context) error {
	_, err := b.builder().Sync(ctx)
	return b.explain("downloading and verifying modules", err)
}

// Container is the image for a platform of the plan, as a container that is ready to run. No program of that platform runs
// while it is made: files are only placed.
func (b *Build) Container(ctx context.Context, c pipeline.Compile) (*dagger.Container, error) {
	plan := b.plan.Image
	platform := dagger.Platform(c.Platform.String())
	ctr := b.client.Container(dagger.ContainerOpts{Platform: platform})
	if plan.Base != "" {
		ctr = ctr.From(plan.Base)
	}
	base := ctr.Rootfs()
	for _, layer := range plan.Layers {
		dir, err := b.layer(ctx, layer, base, c)
		if err != nil {
			return nil, err
		}
		ctr = ctr.WithDirectory("/", dir, dagger.ContainerWithDirectoryOpts{Owner: "0:0"})
	}
	ctr = ctr.WithUser(plan.User).WithWorkdir(plan.WorkingDir).WithEntrypoint(plan.Entrypoint)
	if len(plan.Args) > 0 {
		ctr = ctr.WithDefaultArgs(plan.Args)
	}
	for _, kv := range plan.Env {
		k, v, _ := strings.Cut(kv, "=")
		ctr = ctr.WithEnvVariable(k, v)
	}
	for _, p := range plan.Ports {
		number, protocol, _ := strings.Cut(p, "/")
		port, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("port %s: %w", p, err)
		}
		ctr = ctr.WithExposedPort(port, dagger.ContainerWithExposedPortOpts{Protocol: dagger.NetworkProtocol(strings.ToUpper(protocol))})
	}
	for _, k := range slices.Sorted(maps.Keys(plan.Labels)) {
		ctr = ctr.WithLabel(k, plan.Labels[k])
	}
	for _, k := range slices.Sorted(maps.Keys(plan.Annotations)) {
		ctr = ctr.WithAnnotation(k, plan.Annotations[k])
	}
	if plan.Base == "" {
		return ctr, nil
	}
	ref, err := b.client.Container(dagger.ContainerOpts{Platform: platform}).From(plan.Base).ImageRef(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding the base %s: %w", plan.Base, err)
	}
	_, digest, _ := strings.Cut(ref, "@")
	return ctr.WithAnnotation(oci.AnnotationBaseImageName, plan.Base).WithAnnotation(oci.AnnotationBaseImageDigest, digest), nil
}

// specialDir makes a folder whose mode has a sticky bit and its like in the builder: the engine's own call drops them.
func (b *Build) specialDir(f pipeline.File) *dagger.Directory {
	const root = "/rootfs"
	return b.client.Container().From(b.plan.Builder).
		WithExec([]string{"install", "-d", "-m", f.Mode.String(), root + f.Path}).
		Directory(root)
}

// layer is the content of a layer.
func (b *Build) layer(ctx context.Context, layer pipeline.Layer, base *dagger.Directory, c pipeline.Compile) (*dagger.Directory, error) {
	dir := b.client.Directory()
	for _, f := range layer.Files {
		mode := int(f.Mode)
		switch {
		case f.Dir && mode > 0o777:
			dir = dir.WithDirectory("/", b.specialDir(f))
		case f.Dir:
			dir = dir.WithNewDirectory(f.Path, dagger.DirectoryWithNewDirectoryOpts{Permissions: mode})
		case f.Program != "":
			dir = dir.WithFile(f.Path, b.Programs(c).File(f.Program), dagger.DirectoryWithFileOpts{Permissions: mode})
		case f.Source != "":
			dir = dir.WithFile(f.Path, b.source.File(f.Source), dagger.DirectoryWithFileOpts{Permissions: mode})
		case f.Certificates:
			dir = dir.WithNewFile(f.Path, string(roots.PEM()), dagger.DirectoryWithNewFileOpts{Permissions: mode})
		case f.Append != "":
			content, err := base.File(strings.TrimPrefix(f.Path, "/")).Contents(ctx)
			if err != nil {
				return nil, fmt.Errorf("reading %s of the base %s: %w", f.Path, b.plan.Image.Base, err)
			}
			dir = dir.WithNewFile(f.Path, f.Appended(content), dagger.DirectoryWithNewFileOpts{Permissions: mode})
		default:
			dir = dir.WithNewFile(f.Path, f.Text, dagger.DirectoryWithNewFileOpts{Permissions: mode})
		}
	}
	return dir.WithTimestamps(int(b.plan.Image.Created)), nil
}

// Guard compiles for these platforms side by side and checks the programs, which come to this side of the session for it.
func (b *Build) Guard(ctx context.Context, compiles ...pipeline.Compile) (err error) {
	dir, err := os.MkdirTemp("", "slipway-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	group, groupCtx := errgroup.WithContext(ctx)
	for i, c := range compiles {
		out := filepath.Join(dir, strconv.Itoa(i))
		group.Go(func() error {
			if err := b.Export(groupCtx, c, out); err != nil {
				return err
			}
			_, err := guard.CheckAll(out, b.plan, c)
			return err
		})
	}
	return group.Wait()
}

// Check runs one of the plan's checks.
func (b *Build) Check(ctx context.Context, name string) error {
	check, ok := b.plan.Check(name)
	if !ok {
		return fmt.Errorf("the plan has no check %s", name)
	}
	ctr := b.builder()
	if check.Command != nil {
		ctr = ctr.WithDirectory(sourceDir, b.source).WithExec(check.Command)
	}
	_, err := ctr.Sync(ctx)
	return b.explain("check "+name, err)
}

// Plan is what the build carries out.
func (b *Build) Plan() *pipeline.Plan { return b.plan }

// images checks the programs of all platforms, and returns their containers in the plan's order.
func (b *Build) images(ctx context.Context) ([]*dagger.Container, error) {
	if err := b.Guard(ctx, b.plan.Compile...); err != nil {
		return nil, err
	}
	containers := make([]*dagger.Container, len(b.plan.Compile))
	for i, c := range b.plan.Compile {
		var err error
		if containers[i], err = b.Container(ctx, c); err != nil {
			return nil, err
		}
	}
	return containers, nil
}

// Archive is one OCI archive of all platforms.
func (b *Build) Archive(ctx context.Context) (*dagger.File, error) {
	containers, err := b.images(ctx)
	if err != nil {
		return nil, err
	}
	return b.client.Container().AsTarball(dagger.ContainerAsTarballOpts{PlatformVariants: containers}), nil
}

// Login is an account of a registry.
type Login struct {
	User     string
	Password *dagger.Secret
}

// Publish pushes all platforms as one index, under each of the tags, or under none but its digest's if there are none. It
// returns the reference by digest. A nil login is the engine's own.
func (b *Build) Publish(ctx context.Context, to target.Target, login *Login) (string, error) {
	containers, err := b.images(ctx)
	if err != nil {
		return "", err
	}
	// The login is of this container alone: those of the platforms are the same with and without it.
	pusher := b.client.Container()
	if login != nil {
		host, _, _ := strings.Cut(to.Repository, "/")
		pusher = pusher.WithRegistryAuth(host, login.User, login.Password)
	}
	var ref string
	for _, tag := range to.Tags {
		ref, err = pusher.Publish(ctx, to.Repository+":"+tag, dagger.ContainerPublishOpts{PlatformVariants: containers})
		if err != nil {
			return "", fmt.Errorf("pushing to %s:%s: %w", to.Repository, tag, err)
		}
	}
	_, digest, ok := strings.Cut(ref, "@")
	if !ok {
		return "", fmt.Errorf("the engine returned %q, which names no digest", ref)
	}
	return to.Repository + "@" + digest, nil
}

// explain turns the engine's error for a failed command into one that shows what the command printed.
func (b *Build) explain(what string, err error) error {
	var failed *dagger.ExecError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &failed):
		return fmt.Errorf("%s: %w", what, err)
	}
	remedy := ""
	if slices.Equal(failed.Cmd, b.plan.Dependencies.Verify) {
		what, remedy = "verifying modules", "The module cache was changed after the download: prune the engine's cache volume go-mod."
	} else if slices.Equal(failed.Cmd, b.plan.Dependencies.Download) {
		what = "downloading modules"
	}
	return gocommand.NewError(what, failed.Stdout+failed.Stderr, remedy, fmt.Errorf("exit status %d", failed.ExitCode))
}
