package host

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
)

// A compiler with the triplet's name is the best, then any other that compiles for the platform; the machine's own is one of
// them where the machine is of that kind.
func TestFindCompiler(t *testing.T) {
	find := func(arch string, there ...string) string {
		t.Helper()
		bin := t.TempDir()
		for _, name := range there {
			require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"), 0o755))
		}
		t.Setenv("PATH", bin)
		cc, err := FindCompiler(plan.Compile{
			Platform: plan.Platform{OS: "linux", Architecture: arch},
			C:        &plan.C{Compiler: "triplet-gcc", Others: []string{"other-gcc"}, Native: []string{"gcc", "cc"}, Hint: "install it"},
		})
		if err != nil {
			assert.ErrorContains(t, err, "install it")
		}
		return cc
	}
	own, other := runtime.GOARCH, "s390x"
	if own == other {
		other = "amd64"
	}
	assert.Equal(t, "triplet-gcc", find(other, "cc", "gcc", "other-gcc", "triplet-gcc"))
	assert.Equal(t, "other-gcc", find(own, "cc", "gcc", "other-gcc"))
	assert.Empty(t, find(other, "cc", "gcc"), "the machine's own compiles for another platform")
	if runtime.GOOS == "linux" {
		assert.Equal(t, "gcc", find(own, "cc", "gcc"))
		assert.Equal(t, "cc", find(own, "cc"))
	}
}
