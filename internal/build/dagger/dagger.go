// Package dagger carries plans out on a Dagger engine.
//
// A [Build] describes containers and directories, and nothing runs until one of them is asked for: what the engine has in its
// cache is not done again. The engine package of the command and the Dagger module are both thin faces of it.
package dagger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"dagger.io/dagger"
	spec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/build/guard"
	"github.com/slipway-ci/slipway/internal/build/placement"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/gocommand"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/registry"
)

// Directories of the builder container.
const (
	sourceDir = "/src"
	outDir    = "/out"
	tempDir   = "/tmp/slipway"
)

// Build is a plan on a Dagger engine.
type Build struct {
	client    *dagger.Client
	source    *dagger.Directory
	plan      *plan.Plan
	private   Private
	directory func(string) *dagger.Directory
	volumes   map[string]*dagger.CacheVolume
	report    func(text string)
}

// Private is what finds and fetches private modules. None of it reaches an image, a log or a cache key.
type Private struct {
	// Netrc is a file with logins, in the form of ~/.netrc.
	Netrc *dagger.Secret
	// SSH is the socket of an SSH agent.
	SSH *dagger.Socket
	// Proxy is GOPROXY: the URL of a proxy may hold a login.
	Proxy *dagger.Secret
	// Env are other variables for the Go command, such as GOPRIVATE. They are no secrets.
	Env map[string]string
}

// New describes the build of source, which plan was made for.
func New(client *dagger.Client, source *dagger.Directory, plan *plan.Plan, private Private) *Build {
	return &Build{client: client, source: source, plan: plan, private: private, report: func(string) {}}
}

// tools is the container that compiles, on the engine's own platform, with everything that the commands need but for modules and
// source. c is nil for commands that are not of one platform.
func (b *Build) tools(c *plan.Compile) *dagger.Container {
	ctr := b.client.Container().From(b.plan.Builder).With(b.trusting)
	if b.plan.Prepare != nil {
		ctr = ctr.WithExec(b.plan.Prepare)
	}
	if c != nil && c.C != nil && c.C.Install != nil {
		ctr = ctr.WithExec(c.C.Install)
	}
	return ctr.With(withEnv(b.plan.Env)).With(b.withCaches).With(b.withPrivate)
}

// trusting is a container that trusts what the plan says, besides the public root certificates.
func (b *Build) trusting(ctr *dagger.Container) *dagger.Container {
	if b.plan.CACerts == "" {
		return ctr
	}
	return ctr.WithExec([]string{"sh", "-c", "{ echo; cat; } >>" + plan.CABundle}, dagger.ContainerWithExecOpts{Stdin: b.plan.CACerts})
}

// withCaches is a container with the Go command's caches.
func (b *Build) withCaches(ctr *dagger.Container) *dagger.Container {
	for _, c := range b.plan.Caches {
		volume := b.volumes[c.Env]
		if volume == nil {
			volume = b.client.CacheVolume(c.Name)
		}
		ctr = ctr.WithMountedCache(c.Path, volume).WithEnvVariable(c.Env, c.Path)
	}
	return ctr
}

// withEnv sets variables in one order.
func withEnv(env map[string]string) dagger.WithContainerFunc {
	return func(ctr *dagger.Container) *dagger.Container {
		for _, k := range slices.Sorted(maps.Keys(env)) {
			ctr = ctr.WithEnvVariable(k, env[k])
		}
		return ctr
	}
}

// withoutEnv is a container without variables that withEnv has set.
func withoutEnv(env map[string]string) dagger.WithContainerFunc {
	return func(ctr *dagger.Container) *dagger.Container {
		for _, k := range slices.Sorted(maps.Keys(env)) {
			ctr = ctr.WithoutEnvVariable(k)
		}
		return ctr
	}
}

// builder is tools with the modules downloaded and verified: only an edit of the files that decide on modules repeats that.
func (b *Build) builder(c *plan.Compile) *dagger.Container {
	ctr := b.tools(c).WithWorkdir(path.Join(sourceDir, b.plan.Source.Dir))
	if b.plan.Dependencies.Download != nil {
		// Filter and not a list of files: one round trip however many there are.
		ctr = ctr.
			WithDirectory(sourceDir, b.source.Filter(dagger.DirectoryFilterOpts{Include: b.plan.Dependencies.Files})).
			WithExec(inShell(b.plan.Dependencies.DownloadScript())).
			WithExec(inShell(b.plan.Dependencies.VerifyScript()))
	}
	return ctr
}

func inShell(script string) []string { return []string{"sh", "-c", script} }

// Capabilities are those of a Dagger engine whose programs are put into images by Slipway's own code, for builds that find private modules
// by these variables.
func Capabilities(env map[string]string) plan.Capabilities {
	return plan.Capabilities{NoVCS: true, Race: plan.RaceWithCGO, Git: env["GOPRIVATE"] != "" || env["GONOPROXY"] != ""}
}

// ContainerCapabilities are those of [Build.Container].
func ContainerCapabilities(env map[string]string) plan.Capabilities {
	c := Capabilities(env)
	c.NoLayouts = true // it imports archives alone
	c.NoDebian = true  // which is done on this side of the session
	c.NoFileCapabilities = true
	return c
}

func (b *Build) withPrivate(ctr *dagger.Container) *dagger.Container {
	ctr = ctr.With(withEnv(b.private.Env))
	if b.private.Proxy != nil {
		ctr = ctr.WithSecretVariable("GOPROXY", b.private.Proxy)
	}
	if b.private.Netrc != nil {
		ctr = ctr.WithMountedSecret("/root/.netrc", b.private.Netrc)
	}
	if b.private.SSH != nil {
		ctr = ctr.WithUnixSocket("/run/ssh-agent.sock", b.private.SSH).WithEnvVariable("SSH_AUTH_SOCK", "/run/ssh-agent.sock")
	}
	return ctr
}

// Programs compiles for these platforms of the plan, checks the programs, and returns a directory for each.
func (b *Build) Programs(ctx context.Context, compiles ...plan.Compile) ([]*dagger.Directory, error) {
	if err := b.Guard(ctx, compiles...); err != nil {
		return nil, err
	}
	directories := make([]*dagger.Directory, len(compiles))
	for i, c := range compiles {
		directories[i] = b.programs(c)
	}
	return directories, nil
}

// Builder is the container that compiles for a platform of the plan, in the source's directory: with the modules and the source, the
// Go command's caches, and its environment.
func (b *Build) Builder(c plan.Compile) *dagger.Container {
	source := b.source
	if files := b.plan.Source.Files; files != nil {
		source = source.Filter(dagger.DirectoryFilterOpts{Include: files})
	}
	return b.withSource(&c, source).With(withEnv(c.Env))
}

// programs is the directory of the programs for a platform of the plan.
func (b *Build) programs(c plan.Compile) *dagger.Directory {
	ctr := b.Builder(c)
	for _, command := range c.Commands(outDir) {
		ctr = ctr.WithExec(command)
	}
	programs := ctr.Directory(outDir)
	if d := b.plan.Debugger; d != nil {
		// Apart from the source: no edit of that compiles the debugger again.
		compiled := b.tools(nil).WithWorkdir("/").WithExec(d.Download).With(withEnv(c.Env)).With(withEnv(d.Env)).
			WithExec(d.Command(b.modules(), outDir))
		programs = programs.WithFile(d.Name, compiled.File(path.Join(outDir, d.Name)))
	}
	for _, other := range b.plan.OtherModules {
		of := *b
		of.plan = other.Only(c.Platform)
		programs = programs.WithDirectory("/", of.programs(of.plan.Compile[0]))
	}
	return programs
}

// withSource is builder with the source, and with what is made from it.
func (b *Build) withSource(c *plan.Compile, source *dagger.Directory) *dagger.Container {
	ctr := b.builder(c).WithDirectory(sourceDir, b.prebuilt(source))
	if b.plan.Generate != nil {
		ctr = ctr.WithExec(b.plan.Generate)
	}
	return ctr
}

// Tidy returns what go mod tidy changes.
func (b *Build) Tidy(ctx context.Context) (*dagger.Changeset, error) {
	// Not builder: what is to be tidied may not be fit for downloading by it.
	ctr := b.tools(nil).WithDirectory(sourceDir, b.source).WithWorkdir(path.Join(sourceDir, b.plan.Source.Dir))
	return b.changes(ctx, ctr, []string{"go", "mod", "tidy"}, "tidying go.mod")
}

// Generated returns what the command that writes code, which the plan has, changes.
func (b *Build) Generated(ctx context.Context) (*dagger.Changeset, error) {
	return b.changes(ctx, b.builder(nil).WithDirectory(sourceDir, b.prebuilt(b.source)), b.plan.Generate, "generating code")
}

// changes returns what a command changes in the source.
func (b *Build) changes(ctx context.Context, ctr *dagger.Container, command []string, what string) (*dagger.Changeset, error) {
	before := ctr.Directory(sourceDir)
	changes, err := ctr.WithExec(command).Directory(sourceDir).Changes(before).Sync(ctx)
	return changes, b.explain(what, err)
}

// List runs go list with args for the packages of c, in the container that compiles them, and returns what it prints, and where the
// source is in that.
func (b *Build) List(ctx context.Context, c plan.Compile, args ...string) (out, root string, err error) {
	out, err = b.Builder(c).WithExec(slices.Concat([]string{"go", "list"}, c.ListFlags(), args, c.AllPackages())).Stdout(ctx)
	return out, sourceDir, b.explain("listing packages for "+c.Platform.String(), err)
}

// modules is the directory of the module cache.
func (b *Build) modules() string {
	i := slices.IndexFunc(b.plan.Caches, func(c plan.Cache) bool { return c.Env == "GOMODCACHE" })
	return b.plan.Caches[i].Path
}

// Export brings the programs for a platform of the plan into the directory out, on this side of the session.
func (b *Build) Export(ctx context.Context, c plan.Compile, out string) error {
	_, err := b.programs(c).Export(ctx, out)
	return b.explain("compiling for "+c.Platform.String(), err)
}

// Modules downloads and verifies the modules.
func (b *Build) Modules(ctx context.Context) error {
	_, err := b.builder(nil).Sync(ctx)
	return b.explain("downloading and verifying modules", err)
}

// Container is the image for a platform of the plan, as a container that is ready to run. No program of that platform runs
// while it is made: files are only placed. The programs have been checked.
func (b *Build) Container(ctx context.Context, c plan.Compile) (*dagger.Container, error) {
	if err := b.Guard(ctx, c); err != nil {
		return nil, err
	}
	return b.container(ctx, c)
}

// container is Container of programs that have been checked.
func (b *Build) container(ctx context.Context, c plan.Compile) (*dagger.Container, error) {
	plan := b.plan.Image.For(c.Platform)
	platform := dagger.Platform(c.Platform.String())
	ctr := b.client.Container(dagger.ContainerOpts{Platform: platform})
	if plan.Base != "" {
		var err error
		if ctr, err = b.from(ctr, plan.Base); err != nil {
			return nil, err
		}
	}
	ctr = ctr.With(b.installed)
	files, err := b.fileSystem(ctx, ctr.Rootfs())
	if err != nil {
		return nil, err
	}
	layers, err := placement.Layers(ctx, files, plan)
	if err != nil {
		return nil, err
	}
	for _, layer := range layers {
		ctr = ctr.WithDirectory("/", b.layer(layer, c))
	}
	ctr = ctr.WithUser(plan.User).WithWorkdir(plan.WorkingDir)
	if plan.Entrypoint != nil {
		ctr = ctr.WithEntrypoint(plan.Entrypoint)
	}
	if len(plan.Args) > 0 {
		ctr = ctr.WithDefaultArgs(plan.Args)
	}
	if h := plan.Healthcheck; h != nil {
		ctr = ctr.WithDockerHealthcheck(h.Command, dagger.ContainerWithDockerHealthcheckOpts{
			Interval: duration(h.Interval), Timeout: duration(h.Timeout), StartPeriod: duration(h.StartPeriod), Retries: h.Retries,
		})
	}
	for _, kv := range plan.Env {
		k, v, _ := strings.Cut(kv, "=")
		ctr = ctr.WithEnvVariable(k, v)
	}
	if plan.Path != nil {
		was, err := ctr.EnvVariable(ctx, "PATH")
		if err != nil {
			return nil, fmt.Errorf("reading the environment of the base %s: %w", plan.Base, err)
		}
		ctr = ctr.WithEnvVariable("PATH", strings.Join(append([]string{cmp.Or(was, oci.DefaultPath)}, plan.Path...), ":"))
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
	if plan.Base == "" || local(plan.Base) {
		return ctr, nil
	}
	found, err := b.resolved(ctx, plan.Base, platform)
	if err != nil {
		return nil, err
	}
	return ctr.WithAnnotation(spec.AnnotationBaseImageName, found.Name).WithAnnotation(spec.AnnotationBaseImageDigest, found.Digest), nil
}

// duration is empty for none.
func duration(d plan.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// installed is a container of the base with the packages of the plan.
func (b *Build) installed(ctr *dagger.Container) *dagger.Container {
	if b.plan.Image.Install == nil {
		return ctr
	}
	return ctr.WithUser("0").WithExec(b.plan.Image.Install)
}

// resolved is an image of a registry by its full name, which has a digest only where there is no tag, and by its digest. An
// empty platform is the engine's.
func (b *Build) resolved(ctx context.Context, name string, platform dagger.Platform) (provenance.Image, error) {
	ref, err := b.client.Container(dagger.ContainerOpts{Platform: platform}).From(name).ImageRef(ctx)
	if err != nil {
		return provenance.Image{}, fmt.Errorf("finding the image %s: %w", name, err)
	}
	full, digest, _ := strings.Cut(ref, "@")
	if !strings.Contains(path.Base(full), ":") {
		full = ref
	}
	return provenance.Image{Name: full, Digest: digest}, nil
}

// local reports whether a base is a file or directory of the source.
func local(base string) bool {
	return strings.HasPrefix(base, "oci:") || strings.HasPrefix(base, "oci-archive:")
}

// from is ctr with a base.
func (b *Build) from(ctr *dagger.Container, base string) (*dagger.Container, error) {
	if archive, ok := strings.CutPrefix(base, "oci-archive:"); ok {
		return ctr.Import(b.source.File(archive)), nil
	}
	return ctr.From(base), nil
}

// Guard compiles for these platforms side by side and checks the programs, which come to this side of the session for it.
func (b *Build) Guard(ctx context.Context, compiles ...plan.Compile) (err error) {
	dir, err := temporary.NewDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Remove()) }()
	group, groupCtx := errgroup.WithContext(ctx)
	for i, c := range compiles {
		out := filepath.Join(dir.Path, strconv.Itoa(i))
		group.Go(func() error {
			if err := b.Export(groupCtx, c, out); err != nil {
				return err
			}
			var faults []error
			for _, part := range b.plan.Only(c.Platform).Parts() {
				_, err := guard.CheckAll(out, part, part.Compile[0])
				faults = append(faults, err)
			}
			return errors.Join(faults...)
		})
	}
	return group.Wait()
}

// WithVolumes is b with these volumes for caches, by the variables that name their directories to Go, and its own for others.
func (b *Build) WithVolumes(volumes map[string]*dagger.CacheVolume) *Build {
	with := *b
	with.volumes = volumes
	return &with
}

// Plan is what the build carries out.
func (b *Build) Plan() *plan.Plan { return b.plan }

// BuilderImage is the image that compiles, with its digest.
func (b *Build) BuilderImage(ctx context.Context) (provenance.Image, error) {
	return b.resolved(ctx, b.plan.Builder, "")
}

// Archive is the image of a platform as an OCI archive.
type Archive struct {
	Platform string
	File     *dagger.File
	// Annotations are those of its manifest, which the engine does not read.
	Annotations map[string]string
}

// Login is one for a registry; without a password, it is the engine's own.
type Login struct {
	User     string
	Password *dagger.Secret
}

// Push has the engine push images as one index, by a login, and returns the reference by digest. The engine unpacks the archives,
// compresses all layers again, and writes its own manifests, histories and dates, so the digest differs from the one that the
// images have together. It compresses with gzip unless zstd is forced.
func (b *Build) Push(ctx context.Context, images []Archive, to registry.Target, login Login) (string, error) {
	opts := dagger.ContainerPublishOpts{}
	if b.plan.Image.Compression.Format == plan.Zstd {
		opts.ForcedCompression = dagger.ImageLayerCompressionZstd
	}
	containers := make([]*dagger.Container, len(images))
	for i, image := range images {
		containers[i] = b.client.Container(dagger.ContainerOpts{Platform: dagger.Platform(image.Platform)}).Import(image.File)
		for _, k := range slices.Sorted(maps.Keys(image.Annotations)) {
			containers[i] = containers[i].WithAnnotation(k, image.Annotations[k])
		}
	}
	opts.PlatformVariants = containers
	pusher := b.client.Container()
	if login.Password != nil {
		pusher = pusher.WithRegistryAuth(to.Repository, login.User, login.Password)
	}
	var ref string
	var err error
	for _, tag := range to.Tags {
		ref, err = pusher.Publish(ctx, to.Repository+":"+tag, opts)
		if err != nil {
			return "", pushError(to.Repository+":"+tag, err)
		}
	}
	_, digest, ok := strings.Cut(ref, "@")
	if !ok {
		return "", fmt.Errorf("the engine returned %q, which names no digest", ref)
	}
	return to.Repository + "@" + digest, nil
}

// pushError is the engine's error for a push.
func pushError(ref string, err error) error {
	if slices.ContainsFunc(refusals, func(text string) bool { return strings.Contains(err.Error(), text) }) {
		return fmt.Errorf("pushing to %s: the registry wants a login: %w: give a login by with-login or --registry-config, or log in with docker login where the dagger command runs", ref, err)
	}
	return fmt.Errorf("pushing to %s: %w", ref, err)
}

// refusals are what the engine's errors say of a login that a registry refuses: the status of an answer, or what containerd makes of
// one with a challenge that it has no login for. Source: ErrInvalidAuthorization in
// https://github.com/containerd/containerd/blob/v2.2.3/core/remotes/docker/resolver.go
var refusals = []string{"401 Unauthorized", "403 Forbidden", "authorization failed"}

// explain turns the engine's error for a failed command into one that shows what the command printed.
func (b *Build) explain(what string, err error) error {
	var failed *dagger.ExecError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &failed):
		return Failed(what, err)
	}
	hint, ofGo := "", failed.Cmd[0] == "go"
	if slices.Equal(failed.Cmd, inShell(b.plan.Dependencies.VerifyScript())) {
		ofGo, what, hint = true, "verifying modules", "The module cache was changed after the download: prune the engine's cache volume go-mod."
	} else if slices.Equal(failed.Cmd, inShell(b.plan.Dependencies.DownloadScript())) {
		ofGo, what = true, "downloading modules"
	} else if slices.Equal(failed.Cmd, b.plan.Generate) {
		what = "generating code"
	} else if p := b.plan.Prebuild; p != nil && (slices.Equal(failed.Cmd, p.Command) || slices.Equal(failed.Cmd, haveOutputs(p))) {
		what = "running the prebuild"
	} else if slices.Equal(failed.Cmd, b.plan.Image.Install) {
		what, hint = "installing packages in the image", "It runs programs of the image's platform: the engine needs that machine's kind, or binfmt_misc and QEMU."
	}
	status := fmt.Errorf("exit status %d", failed.ExitCode)
	if !ofGo {
		return gocommand.NewOtherError(what, failed.Cmd[0], failed.Stdout+failed.Stderr, hint, status)
	}
	return gocommand.NewError(what, failed.Stdout+failed.Stderr, hint, status)
}
