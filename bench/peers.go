package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// platforms are what every tool builds for.
var platforms = []string{"linux/amd64", "linux/arm64"}

// The names of the tools that are compared.
const (
	slipway     = "slipway"
	ko          = "ko"
	koCached    = "ko, KOCACHE"
	goBuild     = "go build"
	buildKit    = "BuildKit"
	slipwayOnly = "slipway, no attestations"
	// Those of a new machine.
	slipwayUncached = "slipway, no --cache"
	slipwayFilling  = "slipway, empty cache"
	koTarball       = "ko, tarball of caches"
)

// peer is a tool, and how it is called.
type peer struct {
	name string
	// commands are run one after the other and timed together.
	commands func(*lab, *project) [][]string
	environ  func(*lab, *project) []string
}

func nothing(*lab, *project) []string { return nil }

// peers are Slipway and the tools that it is measured against in a case, those whose name matches. BuildKit is one where its daemon
// is at hand, as BUILDKIT_HOST says. Neither it nor ko with its own cache are in cold, which is without caches.
func peers(p *project, k kind, against *regexp.Regexp) []peer {
	all := []peer{
		{slipway, slipwayCommands(), nothing},
		{slipwayOnly, slipwayCommands("--sbom=none", "--provenance=false"), nothing},
		{koCached, koCommands, func(l *lab, p *project) []string {
			return append(koEnviron(l, p), "KOCACHE="+filepath.Join(l.dir, "kocache"))
		}},
		{ko, koCommands, koEnviron},
		{goBuild, goCommands, nothing},
	}
	if k.fresh {
		all = []peer{
			{slipway, sharedCommands(), nothing},
			{slipwayFilling, sharedCommands("--cache-mode=refresh"), nothing},
			{slipwayUncached, slipwayCommands(), nothing},
			{ko, koCommands, koEnviron},
			{koTarball, tarballCommands, koEnviron},
			{goBuild, goCommands, nothing},
		}
	}
	if p.container && !k.cold && os.Getenv("BUILDKIT_HOST") != "" {
		all = append(all, peer{buildKit, buildKitCommands, func(*lab, *project) []string { return []string{"BUILDKIT_HOST=" + os.Getenv("BUILDKIT_HOST")} }})
	}
	return slices.DeleteFunc(all, func(other peer) bool {
		leaves := other.name == slipwayFilling || other.name == ko && k.fresh && against.MatchString(koTarball) // what others take
		return other.name != slipway && !leaves && !against.MatchString(other.name) || other.name == koCached && k.cold
	})
}

// slipwayCommands call slipway once: for the one program, or for all images of slipway.yaml.
func slipwayCommands(flags ...string) func(*lab, *project) [][]string {
	return func(l *lab, p *project) [][]string {
		args := append([]string{filepath.Join(l.dir, "slipway"), "publish", "--engine=host", "--progress=plain", "--go=" + l.goVersion}, flags...)
		if p.many {
			return [][]string{append(args, "--all")}
		}
		pkg := p.packages[0]
		return [][]string{append(args, "--base="+l.base(), "--platform="+strings.Join(platforms, ","),
			"--package="+pkg, "--repository="+l.repository("slipway", p, pkg), "--tag=latest")}
	}
}

// sharedCommands are those of Slipway with a cache in the registry.
func sharedCommands(flags ...string) func(*lab, *project) [][]string {
	return func(l *lab, p *project) [][]string {
		return slipwayCommands(append(flags, "--cache="+l.repository("cache", p, p.name))...)(l, p)
	}
}

// tarball is that of Go's caches.
func (l *lab) tarball(p *project) string { return filepath.Join(l.dir, p.name+".tar.zst") }

// tarballCommands are those of ko, and what people do for it in CI: both of Go's caches come from a tarball, and go into one.
func tarballCommands(l *lab, p *project) [][]string {
	restore := `mkdir -p "$2"; [ ! -f "$1" ] || zstd -q -d -c "$1" | tar -x -C "$2"`
	return slices.Concat([][]string{l.onTarball(p, restore)}, koCommands(l, p), [][]string{l.saveTarball(p)})
}

// saveTarball is the command that makes the tarball.
func (l *lab) saveTarball(p *project) []string {
	return l.onTarball(p, `tar -c -C "$2" go mod | zstd -q -f -o "$1"`)
}

func (l *lab) onTarball(p *project, script string) []string {
	return []string{"sh", "-c", script, "sh", l.tarball(p), l.cold()}
}

// buildKitCommands build the Dockerfile that slipway renders, which has its own caches.
func buildKitCommands(l *lab, p *project) [][]string {
	return [][]string{{
		"buildctl", "build", "--frontend=dockerfile.v0", "--local=context=" + p.dir, "--local=dockerfile=" + l.dockerfile(p),
		"--opt=platform=" + strings.Join(platforms, ","),
		"--output=type=image,push=true,registry.insecure=true,name=" + l.repository("buildkit", p, p.packages[0]) + ":latest",
	}}
}

// dockerfile is the directory of a project's Dockerfile.
func (l *lab) dockerfile(p *project) string { return filepath.Join(l.dir, "dockerfile", p.name) }

// render writes the project's Dockerfile.
func (l *lab) render(ctx context.Context, p *project) error {
	cmd := exec.CommandContext(ctx, filepath.Join(l.dir, "slipway"), "dockerfile", "--base="+l.base(), "--package="+p.packages[0], p.dir)
	cmd.Env = l.environ
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("rendering the Dockerfile of %s: %w", p.name, err)
	}
	if err := os.MkdirAll(l.dockerfile(p), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.dockerfile(p), "Dockerfile"), text, 0o644)
}

func koCommands(l *lab, p *project) [][]string {
	args := []string{filepath.Join(l.dir, "ko"), "build", "--platform=" + strings.Join(platforms, ",")}
	return [][]string{append(args, p.packages...)}
}

func koEnviron(l *lab, p *project) []string {
	return []string{"KO_DOCKER_REPO=" + l.registry + "/ko/" + p.name, "KO_DEFAULTBASEIMAGE=" + l.base()}
}

// goCommands are what Slipway runs of the Go command at the least: one go build per platform, one after the other, with the
// same flags.
func goCommands(l *lab, p *project) [][]string {
	var all [][]string
	for _, platform := range platforms {
		goos, arch, _ := strings.Cut(platform, "/")
		args := []string{
			"env", "CGO_ENABLED=0", "GOOS=" + goos, "GOARCH=" + arch,
			"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(l.dir, "bare", p.name, arch) + "/",
		}
		all = append(all, append(args, p.packages...))
	}
	return all
}

func (l *lab) base() string { return l.registry + "/base/static:v1" }

func (l *lab) repository(tool string, p *project, pkg string) string {
	return path.Join(l.registry, tool, p.name, path.Base(pkg))
}
