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
	// Settings is a plan.Config as JSON: the engine keeps what it can name.
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
	// Chosen is the name of an image of slipway.yaml; empty for the only one that there is.
	// +private
	Chosen string
}

// What the program runs in.
type Runtime string

const (
	// Root certificates, time zones and a non-root user; no shell, no libc. The production default.
	Distroless Runtime = "DISTROLESS"
	// Distroless with glibc, for cgo.
	DistrolessBase Runtime = "DISTROLESS_BASE"
	// A shell and a package manager, for debugging.
	Alpine Runtime = "ALPINE"
	// What Slipway puts there and nothing more: root certificates, /tmp and a user.
	Scratch Runtime = "SCRATCH"
)

// How a program with C gets its C library.
type Cgo string

const (
	// From the runtime, which must have glibc, such as DISTROLESS_BASE.
	Dynamic Cgo = "DYNAMIC"
	// Linked into the program, so that it runs on any runtime. It is musl's.
	Static Cgo = "STATIC"
)

// How the layers of an image are compressed.
type Compression string

const (
	// What every registry and runtime takes.
	Gzip Compression = "GZIP"
	// Smaller and faster to unpack, but not every registry and runtime takes it.
	Zstd Compression = "ZSTD"
)

// New takes what is to be shipped.
func New(
	ctx context.Context,
	ws *dagger.Workspace,
	// Directory of a Go module or workspace. Default: the directory that you call from, without .git and what its .dockerignore
	// names.
	// +optional
	source *dagger.Directory,
	// Main packages to build, as directories of the source like ./cmd/server. The first is the image's entrypoint. Default: the
	// only one there is.
	// +optional
	packages []string,
	// Platforms to build for, like linux/arm/v7. Default: linux/amd64 and linux/arm64.
	// +optional
	platforms []string,
	// What the program runs in. Default: DISTROLESS.
	// +optional
	runtime Runtime,
	// Image to build on instead of the runtime's own, with a tag or digest; or oci-archive:FILE, an archive in the source.
	// +optional
	base string,
	// Version of Go to compile with; 1.26 means its newest patch release, latest-patch that of what go.mod says. Default:
	// what go.mod says.
	// +optional
	goVersion string,
	// Build constraints to satisfy, as go build -tags takes them.
	// +optional
	buildTags []string,
	// More flags for the linker, after -s -w.
	// +optional
	ldflags string,
	// String variables to set at link time, as main.version=v1.2.3.
	// +optional
	stamps []string,
	// Compile with cgo, and how to link. Default: without.
	// +optional
	cgo Cgo,
	// Run go generate before anything is compiled.
	// +optional
	generate bool,
	// Packages to install in the builder: Alpine's, or Debian's for cgo DYNAMIC.
	// +optional
	builderPackages []string,
	// Version of the Go Cryptographic Module to link, as GOFIPS140 takes it, for FIPS 140-3 mode; true means v1.0.0, which has a
	// certificate. Default: none.
	// +optional
	fips string,
	// Experiments of the Go toolchain, like jsonv2, as GOEXPERIMENT takes them.
	// +optional
	goExperiments []string,
	// Compile the time zones in: SCRATCH and ALPINE have none.
	// +optional
	tzdata bool,
	// Make an image for a remote debugger: not stripped, not optimised, and run under Delve, which listens on port 40000.
	// +optional
	debugger bool,
	// Packages of Alpine to install in the image; for ALPINE.
	// +optional
	runtimePackages []string,
	// Root certificates, in PEM, that the image and the build trust besides the public ones.
	// +optional
	caCerts []*dagger.File,
	// Ports that the program listens on, like 8080 or 53/udp.
	// +optional
	ports []string,
	// Environment variables of the image, as KEY=VALUE.
	// +optional
	environment []string,
	// Default arguments of the program.
	// +optional
	args []string,
	// Numeric user to run as, UID or UID:GID. Default: 65532:65532, and 1000:1000 on ALPINE and SCRATCH.
	// +optional
	user string,
	// Permit user 0.
	// +optional
	allowRoot bool,
	// Labels of the image, as KEY=VALUE.
	// +optional
	labels []string,
	// Annotations of the manifests, as KEY=VALUE.
	// +optional
	annotations []string,
	// Files and directories of the source for the image, as SOURCE:DESTINATION or SOURCE:DESTINATION:MODE.
	// +optional
	files []string,
	// Directories of the image that the program may write to, like /data. It may write nowhere else but in /tmp.
	// +optional
	writable []string,
	// Compression of the image's layers. Default: GZIP.
	// +optional
	compression Compression,
	// Time of everything in the image, in seconds since 1970.
	// +optional
	sourceDateEpoch int,
	// Commit that labels, annotations and provenance name: its hash. Default: none.
	// +optional
	revision string,
	// Logins for private modules, in the form of ~/.netrc.
	// +optional
	netrc *dagger.Secret,
	// Token for private modules on the server git-host, over HTTPS.
	// +optional
	gitToken *dagger.Secret,
	// Server that git-token is for.
	// +default="github.com"
	gitHost string,
	// Socket of an SSH agent, for private modules that git fetches.
	// +optional
	ssh *dagger.Socket,
	// Patterns of private modules, as GOPRIVATE takes them, like github.com/me/*. Git fetches them.
	// +optional
	goprivate string,
	// Module proxies, as GOPROXY takes them; secret, for it may hold a login.
	// +optional
	goproxy *dagger.Secret,
	// URL of the database of vulnerabilities. Default: https://vuln.go.dev.
	// +optional
	vulndb string,
	// Directory with a database of vulnerabilities, in place of one on a server.
	// +optional
	vulndbFiles *dagger.Directory,
) (_ *Slipway, err error) {
	defer worded(&err)
	file := []string{plan.IgnoreFile}
	if source == nil {
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
		vulndb = "file:///vulndb"
	}
	var certs strings.Builder
	for _, file := range caCerts {
		text, err := file.Contents(ctx)
		if err != nil {
			return nil, err
		}
		certs.WriteString(text + "\n")
	}
	epoch := ""
	if sourceDateEpoch != 0 {
		epoch = strconv.Itoa(sourceDateEpoch)
	}
	settings, err := json.Marshal(plan.Config{
		Packages: packages, Platforms: platforms, Runtime: strings.ToLower(strings.ReplaceAll(string(runtime), "_", "-")), Base: base,
		Go: goVersion, BuildTags: buildTags, LDFlags: ldflags, Stamps: stamps, CGO: strings.ToLower(string(cgo)),
		Generate: generate, BuilderPackages: builderPackages, FIPS: fips, GoExperiments: goExperiments, TZData: tzdata, Debug: debugger,
		Ports: ports, Env: environment, Args: args, User: user, AllowRoot: allowRoot, Labels: labels, Annotations: annotations,
		Files: files, Writable: writable, Compression: strings.ToLower(string(compression)), Revision: revision, SourceDateEpoch: epoch,
		RuntimePackages: runtimePackages, CACerts: certs.String(), VulnDB: vulndb,
	})
	if err != nil {
		return nil, err
	}
	return &Slipway{source, string(settings), netrc, gitHost, gitToken, ssh, goprivate, goproxy, vulndbFiles, ""}, nil
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
