package enginetest

import (
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/plan"
)

// platforms: the variants reach the compiler; assertPrograms inspects the result.
func (s suite) platforms(t *testing.T) {
	result := s.mustBuild(t, extract(t, hello), plan.Config{
		Runtime: "scratch", Platforms: []string{"linux/arm/v6", "linux/riscv64", "linux/amd64/v2"},
	})
	assert.Len(t, result.Images, 3)
}

// reproducible: the same source gives the same digest, wherever it is.
func (s suite) reproducible(t *testing.T) {
	var digests []string
	for range 2 {
		result := s.mustBuild(t, extract(t, hello), plan.Config{Runtime: "scratch"})
		digest, err := result.Artifact.Digest()
		require.NoError(t, err)
		digests = append(digests, digest.String())
	}
	assert.Equal(t, digests[0], digests[1])
}

// failures: what the user's source can be at fault for, reported by the Go command. The error shows what it printed, and
// what mends it.
func (s suite) failures(t *testing.T) {
	replace := func(tree, from, to string) string {
		require.Contains(t, tree, from)
		return strings.ReplaceAll(tree, from, to)
	}
	for name, test := range map[string]struct {
		tree string
		want []string
	}{
		"compile error": {replace(hello, `println("hello")`, "undefinedFunction()"), []string{"main.go:3:", "undefined: undefinedFunction", "linux/amd64"}},
		"incomplete go.sum": {
			replace(quote, "rsc.io/sampler v1.3.0 h1:7uVkIFmeBqHfdjD+gZwtXXI+RODJ2Wc4O7MPEh/QiW4=\n", ""),
			[]string{"go.sum", "go mod tidy"},
		},
		"tampered go.sum": {
			replace(quote, "h1:7uVkIFmeBqHfdjD+gZwtXXI", "h1:7uVkIFmeBqHfdjD+gZwtXXJ"),
			[]string{"checksum mismatch", "rsc.io/sampler@v1.3.0", "compare go.sum with version control"},
		},
		"untidy go.mod": {replace(quote, "require rsc.io/quote v1.5.2\n", ""), []string{"rsc.io/quote", "go mod tidy"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := s.build(t.Context(), t, extract(t, test.tree), plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}})
			require.Error(t, err)
			for _, want := range test.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
}

// guard: what is wrong with a program stops the build.
func (s suite) guard(t *testing.T) {
	_, _, err := s.build(t.Context(), t, extract(t, hello), plan.Config{
		Runtime: "scratch", Platforms: []string{"linux/amd64"}, LDFlags: "-s=false -w=false",
	})
	require.ErrorContains(t, err, "not stripped")
}

// debug: the debugger is in the image, for the image's platform, beside a program that has its symbols.
func (s suite) debug(t *testing.T) {
	result := s.mustBuild(t, extract(t, hello), plan.Config{Runtime: "scratch", Debug: true, Platforms: []string{"linux/arm64"}})
	files := Files(t, result.Images[0])
	assert.Equal(t, "-rwxr-xr-x 0:0", files["/app/dlv"].Owned())
	info, err := buildinfo.Read(strings.NewReader(files["/app/dlv"].Content))
	require.NoError(t, err)
	assert.Equal(t, "github.com/go-delve/delve/cmd/dlv", info.Path)
	debugger, err := elf.NewFile(strings.NewReader(files["/app/dlv"].Content))
	require.NoError(t, err)
	assert.Equal(t, elf.EM_AARCH64, debugger.Machine)
	program, err := elf.NewFile(strings.NewReader(files["/app/hello"].Content))
	require.NoError(t, err)
	assert.NotNil(t, program.Section(".symtab"))
}

// cancel: a build that is given up ends soon, says so, and leaves nothing in the temporary directory.
func (s suite) cancel(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	plan, err := plan.Resolve(ctx, os.DirFS(extract(t, hello)), plan.Config{Runtime: "scratch"})
	require.NoError(t, err)
	report := stepHook(func(name string) {
		if name == "compile" {
			cancel(stop)
		}
	})
	_, err = build.BuildOne(ctx, s.newEngine(t), extract(t, hello), plan, report)
	require.ErrorIs(t, err, stop)
	left, err := filepath.Glob(filepath.Join(tmp, "*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

// stepHook is a Reporter that is called at the beginning of each step.
type stepHook func(name string)

func (h stepHook) Step(_, name string) build.Step {
	h(name)
	return build.Discard.Step("", name)
}
