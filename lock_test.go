package slipway

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
)

func TestPackageChanges(t *testing.T) {
	const request = "debian-13 linux/amd64 curl"
	lock := func(packages ...plan.LockedPackage) map[string]plan.PackageLock {
		return map[string]plan.PackageLock{request: {Packages: packages}}
	}
	from := lock(plan.LockedPackage{Name: "curl", Version: "1", SHA256: "a"}, plan.LockedPackage{Name: "libc6", Version: "1", SHA256: "b"}, plan.LockedPackage{Name: "old", Version: "1"})
	to := lock(
		plan.LockedPackage{Name: "curl", Version: "1.1", Path: "debian-security/pool/curl.deb", SHA256: "c"},
		plan.LockedPackage{Name: "libc6", Version: "2", Path: "debian/pool/libc6.deb", SHA256: "d"}, plan.LockedPackage{Name: "new", Version: "3"})
	require.Equal(t, []string{
		"package curl for linux/amd64: 1.1 has security fixes since 1", "package libc6 for linux/amd64: 2 is newer than 1",
		"package new for linux/amd64: new, 3", "package old for linux/amd64: no longer needed",
	}, packageChanges(from, to))
	require.Empty(t, packageChanges(from, from))
	require.Equal(t, []string{"packages for linux/amd64: new, 3 of " + request}, packageChanges(nil, from))
}
