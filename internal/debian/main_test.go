package debian

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
	"github.com/slipway-ci/slipway/internal/test/debiantest"
	"github.com/slipway-ci/slipway/internal/test/packagetest"
)

// repository is an archive that a test makes.
type repository struct {
	*debiantest.Repository
	t *testing.T
}

func newRepository(t *testing.T) *repository { return &repository{debiantest.Start(t), t} }

func (r *repository) add(name, version, fields string, with ...func(*debiantest.Package)) distro.Package {
	r.t.Helper()
	return r.Add(name, version, fields, with...)
}

// archive is the repository as Debian's archive, with a cache of its own.
func (r *repository) archive() *Archive {
	r.t.Helper()
	c, err := cache.Open(r.t.TempDir())
	require.NoError(r.t, err)
	return &Archive{
		Release: Release{Number: "13", Codename: "trixie", Suites: []Suite{{"debian", "trixie"}}, Keys: r.Keys()},
		Store: unpack.Store{Cache: c, Fetch: func(ctx context.Context, url string, read func(io.Reader) error) error {
			return packagetest.Fetch(ctx, strings.Replace(strings.Replace(url, current, r.Address+"/", 1), snapshot, r.Address+"/snapshot/", 1), read)
		}},
	}
}
