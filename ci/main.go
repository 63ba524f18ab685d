// Slipway ships Go programs as minimal container images.
//
// It downloads and verifies a Go module's dependencies, cross-compiles static programs, checks them, puts them on a
// distroless, Alpine or scratch runtime, and publishes one image for all platforms. Without arguments it ships the
// program in the directory that it is called from:
//
//	dagger call build terminal
//	dagger call publish --repository ghcr.io/me/api --tags v1.2.3
//
// Everything is decided before anything runs: `dagger call plan` shows it. Where slipway.yaml lists several images:
//
//	dagger call image --name api build terminal
//	dagger call publish-all
package main

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/ci/internal/dagger"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Slipway is one Go module or workspace, with the settings for shipping it.
type Slipway struct {
	// +private
	Source *dagger.Directory
	// Settings is a plan.Config as JSON: the engine stores fields of types that it knows.
	// +private
	Settings string
	// +private
	Netrc *dagger.Secret
	// +private
	GitHost string
	// +private
	GitToken *dagger.Secret
	// +private
	SSH *dagger.Socket
	// +private
	Goprivate string
	// +private
	Goproxy *dagger.Secret
	// +private
	VulnDB *dagger.Directory
	// +private
	Mirrors []string
	// +private
	RegistryConfig *dagger.Secret
	// Bases are containers to build on, which are in Source, too.
	// +private
	Bases []*dagger.Container
	// +private
	ModuleCache *dagger.CacheVolume
	// +private
	BuildCache *dagger.CacheVolume
	// Cache is the repository of the cache, and Caching what is done with it; empty for what slipway.yaml says.
	// +private
	Cache string
	// +private
	Caching CacheMode
	// RegistryServices are registries by RegistryHosts.
	// +private
	RegistryHosts []string
	// +private
	RegistryServices []*dagger.Service
	// +private
	Username string
	// +private
	Password *dagger.Secret
	// Sboms is the format of the bills of materials; empty if nobody asked for attestations.
	// +private
	Sboms Sbom
	// +private
	NoProvenance bool
	// +private
	SignKey *dagger.Secret
	// +private
	SignPassword *dagger.Secret
	// Chosen is the name of an image of slipway.yaml; empty for the only one that there is.
	// +private
	Chosen string
	// Directory is that of the source in its repository, for the provenance; empty for its top, and if that is not known.
	// +private
	Directory string
}

// create is the constructor, whose arguments follow from the table of settings: see settings.gen.go.
func create(
	ctx context.Context, ws *dagger.Workspace, source *dagger.Directory, caCerts []*dagger.File, config plan.Config, netrc, gitToken *dagger.Secret,
	gitHost string, ssh *dagger.Socket, goprivate string, goproxy *dagger.Secret, vulndbFiles *dagger.Directory,
	mirrors []string, registryConfig *dagger.Secret,
) (*Slipway, error) {
	file, directory := []string{plan.IgnoreFile}, ""
	if source == nil {
		var err error
		if directory, err = ws.Path(ctx); err != nil {
			return nil, err
		}
		ignored, err := ignoredBy(ctx, ws.Directory(".", dagger.WorkspaceDirectoryOpts{Include: file}))
		if err != nil {
			return nil, err
		}
		source = ws.Directory(".", dagger.WorkspaceDirectoryOpts{Exclude: ignored})
	} else {
		ignored, err := ignoredBy(ctx, source.Filter(dagger.DirectoryFilterOpts{Include: file}))
		if err != nil {
			return nil, err
		}
		source = source.Filter(dagger.DirectoryFilterOpts{Exclude: ignored})
	}
	if vulndbFiles != nil {
		config.VulnDB = "file:///vulndb"
	}
	var certs strings.Builder
	for _, file := range caCerts {
		text, err := file.Contents(ctx)
		if err != nil {
			return nil, err
		}
		certs.WriteString(text + "\n")
	}
	config.CACerts = certs.String()
	settings, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	return &Slipway{
		Source: source, Settings: string(settings), Netrc: netrc, GitHost: gitHost, GitToken: gitToken, SSH: ssh, Goprivate: goprivate,
		Goproxy: goproxy, VulnDB: vulndbFiles, Mirrors: mirrors, RegistryConfig: registryConfig, Directory: strings.TrimPrefix(directory, "."),
	}, nil
}

// number is a number as a setting; 0 is none.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// texts are values of a type of Dagger's as a setting.
func texts[T ~string](list []T) []string {
	var all []string
	for _, value := range list {
		all = append(all, string(value))
	}
	return all
}

// alone is the value of a setting that is given without one; nil where it is not given.
func alone(given bool, value string) []string {
	if !given {
		return nil
	}
	return []string{value}
}

// setting is the value of an enum as the command spells it.
func setting[E ~string](value E) string {
	return strings.ToLower(strings.ReplaceAll(string(value), "_", "-"))
}

// ignoredBy are the patterns of files that a build does not get: git's own, and those of the .dockerignore in a directory. What
// .gitignore names stays: generated code may be ignored and still be needed.
func ignoredBy(ctx context.Context, dir *dagger.Directory) ([]string, error) {
	entries, err := dir.Entries(ctx)
	if err != nil {
		return nil, err
	}
	text := ""
	if len(entries) > 0 {
		if text, err = dir.File(plan.IgnoreFile).Contents(ctx); err != nil {
			return nil, err
		}
	}
	return plan.Ignored(text)
}
