package debian

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// mirror is Debian's own archive.
func mirror(t *testing.T, number string) *Archive {
	t.Helper()
	release, err := Find(number)
	require.NoError(t, err)
	client, err := registry.New(registry.Options{Bounds: registry.Bounds{Tries: 2}})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	c, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	first := release.Suites[0]
	if err := client.Fetch(ctx, current+first.Archive+"/dists/"+first.Name+"/InRelease", func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }); err != nil {
		testtool.Skip(t, "Debian's archive: "+err.Error())
	}
	return &Archive{Release: release, Store: unpack.Store{Cache: c, Fetch: client.Fetch}}
}

// The packages of a minimal image, those for cgo, and some programs are verified, resolved and unpacked, and their scripts are known. A package whose script
// is not known any more is named with the digest to write down once it was read.
func TestDebian(t *testing.T) {
	testtool.NeedTime(t, "it fetches from Debian's archive, and reads all of it")
	for number, more := range map[string][]string{"12": {"libssl3"}, "13": {
		"bash", "curl", "default-mysql-client", "e2fsprogs", "fuse3", "git", "jq", "libpam-runtime", "libssl3t64", "nginx", "postgresql-client",
		"python3", "tcpdump",
	}} {
		t.Run(number, func(t *testing.T) {
			a := mirror(t, number)
			for _, architecture := range []string{"amd64", "arm64"} {
				want := append([]string{"base-files", "ca-certificates", "libc6", "media-types", "netbase", "tzdata"}, more...)
				selection, err := a.Resolve(t.Context(), Request{Architecture: architecture, Names: want})
				require.NoError(t, err)
				var names []string
				for _, p := range selection.Packages {
					names = append(names, p.Name)
				}
				assert.Subset(t, names, append(want, "libgcc-s1"))
				assert.NotContains(t, names, "debconf")
				assert.Len(t, selection.Dates, 3)

				for _, p := range selection.Packages {
					require.NoError(t, a.fetch(t.Context(), p, time.Time{}))
					found, err := a.unpack(t.Context(), p)
					require.NoError(t, err)
					for _, name := range installScripts {
						if script := found.Control[name]; script != nil && reviewed[p.Name] != nil && !harmless(script) {
							assert.Contains(t, reviewed[p.Name], scriptDigest(script, p.Version), "%s of %s was not read", name, p.Name)
						}
					}
				}
				files, err := a.Files(t.Context(), selection.Packages, time.Time{}, &System{})
				require.NoError(t, err)
				at := func(name string) oci.File {
					i := slices.IndexFunc(files, func(f oci.File) bool { return f.Path == name })
					require.GreaterOrEqual(t, i, 0, name)
					return files[i]
				}
				assert.Contains(t, content(t, at("/etc/ssl/certs/ca-certificates.crt")), "-----BEGIN CERTIFICATE-----")
				assert.Contains(t, content(t, at("/usr/lib/os-release")), `VERSION_ID="`+number+`"`)
				assert.Equal(t, "usr/lib", at("/lib").Link)
				assert.NotEmpty(t, at("/usr/share/zoneinfo/Europe/Berlin").Size)
				assert.Contains(t, content(t, at("/var/lib/dpkg/status.d/libc6")), "Source: glibc\n")
				for _, f := range files {
					assert.NotContains(t, f.Path, "/./")
				}
			}
		})
	}
}
