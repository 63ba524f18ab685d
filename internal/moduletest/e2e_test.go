//go:build dagger_e2e

package moduletest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests call the module as its users do: by the dagger command, from another repository's folder, on whatever engine
// it reaches. With SLIPWAY_E2E_REPOSITORY, a repository that the engine can push to, they publish there.

// user is a folder of a user: a copy of an example, in a repository of its own.
func user(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("../../examples/http-server")))
	require.NoError(t, exec.Command("git", "init", "-q", dir).Run())
	return dir
}

func call(t *testing.T, dir string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "dagger", append([]string{"--progress=plain", "-m", root}, args...)...)
	cmd.Dir = dir
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	return out.String(), said.String(), err
}

func TestFunctions(t *testing.T) {
	dir := user(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"plan"}, "go build -mod=readonly"},
		{[]string{"plan", "--as-json"}, `"name": "http-server"`},
		{[]string{"dockerfile"}, "FROM gcr.io/distroless/static-debian12:nonroot"},
		{[]string{"build", "entrypoint"}, "/app/http-server"},
		{[]string{"build", "user"}, "65532:65532"},
		{[]string{"build", "--platform", "linux/arm64", "platform"}, "linux/arm64"},
		{[]string{"--runtime", "SCRATCH", "--user", "4000", "build", "file", "--path", "/etc/passwd", "contents"}, "app:x:4000:4000:"},
		{[]string{"--stamps", "main.version=v1.2.3", "binary", "size"}, "e+06"},
		{[]string{"binaries", "entries"}, "linux-amd64/\nlinux-arm64/"},
		{[]string{"--runtime", "SCRATCH", "image-archive", "size"}, "e+06"},
		{[]string{"verify"}, ""},
		{[]string{"vet"}, ""},
		{[]string{"test"}, ""},
		{[]string{"ci"}, ""},
	} {
		out, said, err := call(t, dir, append([]string{"call"}, test.args...)...)
		require.NoError(t, err, "%v: %s", test.args, said)
		assert.Contains(t, out, test.want, test.args)
	}
	if repository := os.Getenv("SLIPWAY_E2E_REPOSITORY"); repository != "" {
		out, said, err := call(t, dir, "call", "publish", "--repository", repository, "--tags", "v1,v2")
		require.NoError(t, err, said)
		assert.Contains(t, out, repository+"@sha256:")
	}
}

// The same sentences as the command's.
func TestFaults(t *testing.T) {
	dir := user(t)
	for want, args := range map[string][]string{
		`platform "linux/sparc": unknown architecture "sparc": choose from`:             {"--platforms", "linux/sparc", "build"},
		`user "0": the program would run as root: choose a user like 1000:1000`:         {"--user", "0", "plan"},
		`base "golang:latest": what it means changes from day to day`:                   {"--base", "golang:latest", "plan"},
		`repository "Example.com/Team": repository names are lower case`:                {"publish", "--repository", "Example.com/Team"},
		`platform "linux/s390x": not one of the build's: choose from linux/amd64`:       {"build", "--platform", "linux/s390x"},
		`username and password: one without the other: give both or neither`:            {"publish", "--repository", "a.example/b", "--username", "me"},
		`package "./nosuch": no such folder in the source: name the folder of a main p`: {"--packages", "./nosuch", "build"},
	} {
		_, said, err := call(t, dir, append([]string{"call"}, args...)...)
		require.Error(t, err, args)
		assert.Contains(t, said, want)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "broken.go"), []byte("package main\n\nvar x = undefinedThing\n"), 0o644))
	_, said, err := call(t, dir, "call", "build")
	require.Error(t, err)
	assert.Contains(t, said, "the Go command failed")
	assert.Contains(t, said, "./broken.go:3:9: undefined: undefinedThing")
}

// dagger check is green where all is well, and red where a test fails.
func TestChecks(t *testing.T) {
	dir := user(t)
	_, said, err := call(t, dir, "check")
	require.NoError(t, err, said)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "red_test.go"), []byte("package main\n\nimport \"testing\"\n\nfunc TestRed(t *testing.T) { t.Error(\"it is red\") }\n"), 0o644))
	_, said, err = call(t, dir, "check")
	require.Error(t, err)
	assert.Contains(t, said, "it is red")
}
