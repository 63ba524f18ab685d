package host_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/enginetest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// A program with C is the same wherever a machine has the headers of its libraries, as Debian's compilers for other machines have them
// elsewhere than its own.
func TestHeadersElsewhere(t *testing.T) {
	testtool.NeedTime(t, "the standard library is compiled for a C compiler that is no other test's")
	gcc := testtool.Need(t, "gcc", "gcc")
	base := enginetest.WriteBase(t, []enginetest.Entry{enginetest.Regular("etc/os-release", 0o644, 0, "x")})
	config := plan.Config{CGO: "dynamic", Runtime: "distroless-base", Base: "oci:" + base, Platforms: []string{"linux/amd64"}}
	const module = "module example.com/headers\n\ngo 1.26.8\n"
	built := func(cache, text string) string {
		t.Helper()
		headers, bin := t.TempDir(), t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(headers, "answer.h"), []byte("static int answer(void) { return 42; }\n"), 0o644))
		compiler := "#!/bin/sh\nexec '" + gcc + "' -I '" + headers + "' \"$@\"\n"
		require.NoError(t, os.WriteFile(filepath.Join(bin, "x86_64-linux-gnu-gcc"), []byte(compiler), 0o755))
		t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
		dir := writeTree(t, map[string]string{"go.mod": module, "main.go": text})
		p, err := plan.Resolve(t.Context(), os.DirFS(dir), config)
		require.NoError(t, err)
		result, err := build.BuildOne(t.Context(), newEngine(t, "GOCACHE="+cache), dir, p, build.Discard)
		require.NoError(t, err)
		defer func() { assert.NoError(t, result.Close()) }()
		digest, err := result.Artifact.Digest()
		require.NoError(t, err)
		return digest.String()
	}
	// The Go command takes one compiler for the other, so each has a cache. The standard library is in both.
	one, other := t.TempDir(), filepath.Join(t.TempDir(), "cache")
	built(one, "package main\n\nimport \"C\"\n\nfunc main() {}\n")
	require.NoError(t, os.CopyFS(other, os.DirFS(one)))
	const program = "package main\n\n// #include <answer.h>\nimport \"C\"\n\nfunc main() { println(C.answer()) }\n"
	assert.Equal(t, built(one, program), built(other, program))
}
