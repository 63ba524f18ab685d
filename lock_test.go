package slipway

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/distro"
)

func TestPackageChanges(t *testing.T) {
	const request = "debian-13 linux/amd64 curl"
	lock := func(all ...distro.Package) map[string]distro.Selection {
		return map[string]distro.Selection{request: {Packages: all}}
	}
	from := lock(distro.Package{Name: "curl", Version: "1", SHA256: "a"}, distro.Package{Name: "libc6", Version: "1", SHA256: "b"}, distro.Package{Name: "old", Version: "1"})
	to := lock(
		distro.Package{Name: "curl", Version: "1.1", Path: "debian-security/pool/curl.deb", SHA256: "c"},
		distro.Package{Name: "libc6", Version: "2", Path: "debian/pool/libc6.deb", SHA256: "d"}, distro.Package{Name: "new", Version: "3"})
	require.Equal(t, []string{
		"package curl for linux/amd64: 1.1 has security fixes since 1", "package libc6 for linux/amd64: 2 is newer than 1",
		"package new for linux/amd64: new, 3", "package old for linux/amd64: no longer needed",
	}, packageChanges(from, to))
	require.Empty(t, packageChanges(from, from))
	require.Equal(t, []string{"packages for linux/amd64: new, 3 of " + request}, packageChanges(nil, from))
}
