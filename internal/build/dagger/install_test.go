package dagger_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	sdk "dagger.io/dagger"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/build/dagger/session"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/debian"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/alpinetest"
	"github.com/slipway-ci/slipway/internal/test/daggertest"
	"github.com/slipway-ci/slipway/internal/test/debiantest"
	"github.com/slipway-ci/slipway/internal/test/enginetest"
	"github.com/slipway-ci/slipway/internal/test/packagetest"
)

// installed is a plan of an image with packages, and what builds it with an engine.
type installed struct {
	dir  string
	plan *plan.Plan
	with func(func(*oci.Bases) build.Engine) *build.Result
}

// withAlpine has packages of Alpine, on a base.
func withAlpine(t *testing.T) installed {
	t.Helper()
	r := alpinetest.Start(t)
	r.Add("curl", "8.17.0-r1", alpinetest.Regular("usr/bin/curl", "curl"), alpinetest.Script("pre-install", "#!/bin/sh\naddgroup -S curl\nadduser -S -H -h / -u 7 -G curl -g '' curl\n"))
	var entries []enginetest.Entry
	for name, text := range r.Base() {
		entries = append(entries, enginetest.Regular(strings.TrimPrefix(name, "/"), 0o644, 0, text))
	}
	config := plan.Config{Runtime: "alpine", Base: "oci:" + enginetest.WriteBase(t, entries), RuntimePackages: []string{"curl"}}
	return withPackages(t, config, "https://"+alpinetest.Host, r.Address)
}

// withDebian has packages of Debian, and nothing else.
func withDebian(t *testing.T) installed {
	t.Helper()
	r := debiantest.Start(t)
	known := debian.Releases["13"]
	t.Cleanup(func() { debian.Releases["13"] = known })
	debian.Releases["13"] = debian.Release{Number: "13", Codename: "trixie", Suites: known.Suites[:1], Keys: r.Keys()}
	for _, name := range []string{"base-files", "ca-certificates", "media-types", "netbase", "tzdata", "tzdata-legacy"} {
		r.Add(name, "13", "", debiantest.Regular("/usr/share/"+name, name))
	}
	r.Add("curl", "8.14", "", debiantest.Regular("/usr/bin/curl", "curl"), debiantest.Control("postinst", "#!/bin/sh\naddgroup --system curl\n"))
	return withPackages(t, plan.Config{Runtime: "debian", RuntimePackages: []string{"curl"}}, "https://deb.debian.org", r.Address)
}

func withPackages(t *testing.T, config plan.Config, host, address string) installed {
	t.Helper()
	dir := program(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/app\n\ngo 1.26.8\n"), 0o644))
	config.Platforms = []string{"linux/amd64"}
	p := resolve(t, dir, config)
	return installed{dir, p, func(of func(*oci.Bases) build.Engine) *build.Result {
		store, err := cache.Open(t.TempDir())
		require.NoError(t, err)
		result, err := build.BuildOne(t.Context(), of(&oci.Bases{Cache: store, Dir: dir, Fetch: func(ctx context.Context, url string, read func(io.Reader) error) error {
			return packagetest.Fetch(ctx, strings.Replace(url, host, address, 1), read)
		}}), dir, p, build.Discard)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, result.Close()) })
		return result
	}}
}

// onDagger is Dagger's engine of a client.
func onDagger(client *sdk.Client, dir string) func(*oci.Bases) build.Engine {
	return func(bases *oci.Bases) build.Engine {
		return session.Of(func(p *plan.Plan) *dagger.Build {
			return dagger.New(client, client.Host().Directory(dir), p, dagger.Private{})
		}, bases)
	}
}

func onHost(bases *oci.Bases) build.Engine { return host.New(bases, os.Environ()) }

func digest(t *testing.T, r *build.Result) v1.Hash {
	t.Helper()
	digest, err := r.Artifact.Digest()
	require.NoError(t, err)
	return digest
}

// Packages of Alpine are installed on this side of the session, by the code that the host engine has: the image is the same to the byte. What
// that adds to the base is a layer of the image, below those with files, and what files are added to, such as the list of users, is what it left.
func TestPackagesAreInstalled(t *testing.T) {
	image := withAlpine(t)
	recorded := daggertest.Start(t, compiles(image.dir, image.plan))
	result := image.with(onDagger(connect(t), image.dir))

	files := enginetest.Files(t, result.Images[0])
	assert.Equal(t, "curl", files["/usr/bin/curl"].Content)
	assert.Contains(t, files["/etc/passwd"].Content, "curl:x:7:100:")
	assert.Contains(t, files["/etc/passwd"].Content, ":/:/sbin/nologin\napp:x:1000:1000:")
	assert.Contains(t, files["/lib/apk/db/installed"].Content, "\nP:curl\nV:8.17.0-r1\n")
	assert.Contains(t, files, "/app/app")
	config, err := result.Images[0].ConfigFile()
	require.NoError(t, err)
	var history []string
	for _, h := range config.History {
		history = append(history, h.CreatedBy)
	}
	assert.Equal(t, "slipway: packages", history[slices.IndexFunc(history, func(h string) bool { return h != "" })])
	for _, chain := range recorded.Asked() {
		assert.NotContains(t, execs(chain), image.plan.Image.Install)
	}

	assert.Equal(t, digest(t, image.with(onHost)), digest(t, result))
}

// So it is with packages of Debian, which make the whole image.
func TestPackagesOfDebianAreInstalled(t *testing.T) {
	image := withDebian(t)
	daggertest.Start(t, compiles(image.dir, image.plan))
	result := image.with(onDagger(connect(t), image.dir))
	files := enginetest.Files(t, result.Images[0])
	assert.Equal(t, "curl", files["/usr/bin/curl"].Content)
	assert.Contains(t, files["/etc/group"].Content, "curl:x:100:")
	assert.Contains(t, files["/var/lib/dpkg/status.d/curl"].Content, "Package: curl\n")
	assert.Contains(t, files, "/app/app")
	assert.Equal(t, digest(t, image.with(onHost)), digest(t, result))
}
