package alpine

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/test/alpinetest"
	"github.com/slipway-ci/slipway/internal/test/packagetest"
)

// systemFiles are those of a base.
func systemFiles(t *testing.T, files map[string]string, more ...oci.File) *oci.FileSystem {
	t.Helper()
	base, err := oci.NewFileSystem(t.Context(), nil)
	require.NoError(t, err)
	for name, text := range files {
		more = append(more, oci.FromBytes(name, 0o644, []byte(text)))
	}
	_, err = base.Place(more)
	require.NoError(t, err)
	return base
}

// system is a base with files.
func system(t *testing.T, files map[string]string, more ...oci.File) *System {
	t.Helper()
	s, err := ReadSystem(t.Context(), systemFiles(t, files, more...))
	require.NoError(t, err)
	return s
}

// archive is a repository as Alpine's, for a base, with a cache of its own.
func archive(t *testing.T, r *alpinetest.Repository, base *System) *Archive {
	t.Helper()
	c, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	return &Archive{Base: base, Architecture: "x86_64", Store: unpack.Store{Cache: c, Fetch: func(ctx context.Context, url string, read func(io.Reader) error) error {
		return packagetest.Fetch(ctx, strings.Replace(url, "https://"+alpinetest.Host, r.Address, 1), read)
	}}}
}

// install installs packages, and returns what comes into the image by path.
func install(t *testing.T, a *Archive, names []string, chosen ...distro.Package) map[string]oci.File {
	t.Helper()
	files, err := a.Files(t.Context(), chosen, names)
	require.NoError(t, err)
	byPath := map[string]oci.File{}
	for _, f := range files {
		byPath[f.Path] = f
	}
	return byPath
}

func content(t *testing.T, f oci.File) string {
	t.Helper()
	require.NotNil(t, f.Open, f.Path)
	text, err := unpack.Read(f)
	require.NoError(t, err)
	return string(text)
}
