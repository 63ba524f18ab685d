package program

import (
	"debug/elf"
	"debug/gosym"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// generated begins the names of functions that the compiler makes for a type.
var generated = regexp.MustCompile(`^type:\.(eq|hash)\.(\[\d+\])*`)

// The code of a stripped program is given to the packages that the symbols of its twin name.
func TestTwin(t *testing.T) {
	compile := func(flags string) (*os.File, *elf.File) {
		out := filepath.Join(t.TempDir(), "twin")
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags="+flags, "-o", out, "github.com/slipway-ci/slipway/internal/goversions")
		cmd.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
		text, err := cmd.CombinedOutput()
		require.NoError(t, err, string(text))
		f, err := os.Open(out)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, f.Close()) })
		file, err := elf.NewFile(f)
		require.NoError(t, err)
		return f, file
	}
	f, stripped := compile("-s -w")
	table, err := findTable(newMemory(stripped, f), stripped)
	require.NoError(t, err)
	functions, err := table.functions()
	require.NoError(t, err)
	_, twin := compile("-w")
	symbols, err := twin.Symbols()
	require.NoError(t, err)
	var right, total uint64
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) != elf.STT_FUNC || s.Size == 0 {
			continue
		}
		total += s.Size
		i, found := slices.BinarySearchFunc(functions, s.Value, func(f function, at uint64) int {
			switch {
			case f.end <= at:
				return -1
			case f.entry > at:
				return 1
			}
			return 0
		})
		if !found {
			continue
		}
		want, err := url.PathUnescape((&gosym.Sym{Name: generated.ReplaceAllString(s.Name, "")}).PackageName())
		require.NoError(t, err)
		if functions[i].pkg == want {
			right += min(s.Size, functions[i].end-s.Value)
		} else if want != "" {
			t.Logf("%s has the package %s, and not %s", s.Name, functions[i].pkg, want)
		}
	}
	share := float64(right) / float64(total)
	t.Logf("%.2f %% of %d bytes", 100*share, total)
	assert.GreaterOrEqual(t, share, 0.98)
}
