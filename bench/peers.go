package main

import (
	"path"
	"path/filepath"
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
	slipwayOnly = "slipway, no proof"
)

// peer is a tool, and how it is called.
type peer struct {
	name string
	// commands are run one after the other and timed together.
	commands func(*lab, *project) [][]string
	environ  func(*lab, *project) []string
}

func nothing(*lab, *project) []string { return nil }

func peers(*project) []peer {
	return []peer{
		{slipway, slipwayCommands(), nothing},
		{slipwayOnly, slipwayCommands("--sbom=none", "--provenance=false"), nothing},
		{koCached, koCommands, func(l *lab, p *project) []string {
			return append(koEnviron(l, p), "KOCACHE="+filepath.Join(l.dir, "kocache"))
		}},
		{ko, koCommands, koEnviron},
		{goBuild, goCommands, nothing},
	}
}

// slipwayCommands call slipway once for each program.
func slipwayCommands(flags ...string) func(*lab, *project) [][]string {
	return func(l *lab, p *project) [][]string {
		var all [][]string
		for _, pkg := range p.packages {
			args := []string{
				filepath.Join(l.dir, "slipway"), "publish", "--engine=host", "--progress=plain",
				"--base=" + l.base(), "--platform=" + strings.Join(platforms, ","),
				"--package=" + pkg, "--repository=" + l.repository("slipway", p, pkg), "--tag=latest",
			}
			all = append(all, append(args, flags...))
		}
		return all
	}
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
