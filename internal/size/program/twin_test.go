package program

import (
	"debug/elf"
	"debug/gosym"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/testtool"
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
	f, _ := compile("-s -w")
	_, twin := compile("-w")
	assert.GreaterOrEqual(t, share(t, f, twin), 0.98)
}

// So is that of programs that others have written.
func TestStrippedPublicPrograms(t *testing.T) {
	if runtime.GOOS != "linux" {
		testtool.Skip(t, "a machine whose programs are ELF files")
	}
	strip := testtool.Need(t, "strip", "binutils")
	for _, name := range []string{"go", "cosign", "cosign2", "oras", "gofumpt", "staticcheck", "actionlint"} {
		t.Run(name, func(t *testing.T) {
			original := testtool.Need(t, name, "as .ci/run builds it")
			twin, err := elf.Open(original)
			require.NoError(t, err)
			defer twin.Close()
			out := filepath.Join(t.TempDir(), name)
			text, err := exec.Command(strip, "-o", out, original).CombinedOutput()
			require.NoError(t, err, string(text))
			f, err := os.Open(out)
			require.NoError(t, err)
			defer f.Close()
			assert.GreaterOrEqual(t, share(t, f, twin), 0.98)
		})
	}
}

// share is the share of a stripped program's code that is given to the package that the symbols of its twin name.
func share(t *testing.T, f *os.File, twin *elf.File) float64 {
	t.Helper()
	stripped, err := elf.NewFile(f)
	require.NoError(t, err)
	_, err = stripped.Symbols()
	require.ErrorIs(t, err, elf.ErrNoSymbols)
	table, err := findTable(newMemory(stripped, f), stripped)
	require.NoError(t, err)
	functions, err := table.functions()
	require.NoError(t, err)
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
		// By themselves, names that begin with "go." would be those of old linkers: go.yaml.in/yaml, too.
		name := (&gosym.Sym{Name: "./" + generated.ReplaceAllString(s.Name, "")}).PackageName()
		want, err := url.PathUnescape(strings.TrimPrefix(name, "./"))
		require.NoError(t, err)
		if functions[i].pkg == want {
			right += min(s.Size, functions[i].end-s.Value)
		} else if want != "" {
			t.Logf("%s has the package %s, and not %s", s.Name, functions[i].pkg, want)
		}
	}
	t.Logf("%.2f %% of %d bytes", 100*float64(right)/float64(total), total)
	return float64(right) / float64(total)
}
