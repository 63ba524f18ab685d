//go:build unix

package main

import (
	"bytes"
	"debug/elf"
	"debug/gosym"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

const year = 365 * 24 * time.Hour

// An image is built again a year later, by another user, in another directory and time zone, under another umask, with empty caches: it is
// equal. Every program that takes part has a clock that is a year ahead: Slipway, the Go command, the compiler and the linker.
func TestReproducedAYearLater(t *testing.T) {
	testtool.NeedTime(t, "compiles a part of the standard library again")
	testtool.NeedRoot(t, "another user")
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		testtool.Skip(t, "linux/amd64, for whose programs the test can change the clock")
	}
	host := registrytest.Start(t).Host
	pushBases(t, host)
	source := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(source, "go.mod"), []byte("module example.com/hello\n\ngo 1.26.8\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(source, "main.go"), []byte("package main\n\nfunc main() { println(\"hello\") }\n"), 0o644))
	publish := []string{"publish", "--sbom", "none", "--platform", "linux/amd64", "--tag", "v1", "--repository"}
	mirrors := "SLIPWAY_MIRRORS=gcr.io=" + host
	published := must(t, slipwayCommand(t, []string{mirrors}, append(publish, host+"/today", source)...))

	const user = 1234
	later, err := os.MkdirTemp("", "a-year-later-")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(later)) })
	bin := filepath.Join(later, "go", "bin")
	slipway, err := exec.LookPath("slipway")
	require.NoError(t, err)
	putClockForward(t, slipway, filepath.Join(bin, "slipway"))
	root := must(t, exec.Command("go", "env", "GOROOT"))
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	for _, e := range entries {
		if e.Name() != "bin" && e.Name() != "pkg" {
			require.NoError(t, os.Symlink(filepath.Join(root, e.Name()), filepath.Join(later, "go", e.Name())))
		}
	}
	tools := filepath.Join("pkg", "tool", "linux_amd64")
	putClockForward(t, filepath.Join(root, "bin", "go"), filepath.Join(bin, "go"))
	for _, tool := range []string{"asm", "compile", "link"} {
		putClockForward(t, filepath.Join(root, tools, tool), filepath.Join(later, "go", tools, tool))
	}
	require.NoError(t, os.Symlink(filepath.Join(root, "pkg", "include"), filepath.Join(later, "go", "pkg", "include")))
	elsewhere, home := filepath.Join(later, "elsewhere", "hello"), filepath.Join(later, "home")
	require.NoError(t, os.MkdirAll(home, 0o755))
	require.NoError(t, os.CopyFS(elsewhere, os.DirFS(source)))
	require.NoError(t, filepath.WalkDir(later, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.Type() == os.ModeSymlink {
			return err
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(year)); err != nil {
			return err
		}
		return os.Lchown(path, user, user)
	}))
	run := func(args ...string) (string, error) {
		cmd := exec.Command("sh", append([]string{"-c", `umask 077; exec slipway "$@"`, "sh"}, args...)...)
		cmd.Dir = home
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
		cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin", "HOME=" + home, "TZ=Asia/Tokyo", "TMPDIR=" + later, mirrors}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	said, err := run("reproduce", "--source", elsewhere, host+"/today:v1")
	require.NoError(t, err, said)
	assert.Contains(t, said, "equal      linux/amd64  sha256:")

	// The same from the beginning.
	said, err = run(append(publish, host+"/later", elsewhere)...)
	require.NoError(t, err, said)
	_, digest, _ := strings.Cut(published, "@")
	assert.Contains(t, said, host+"/later@"+digest)

	// Their clocks were a year ahead: Slipway records when it began, and the Go command when it cached a package.
	client, err := registry.New(registry.Options{})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	ref, err := name.NewDigest(host + "/later@" + digest)
	require.NoError(t, err)
	provenance, err := attest.Provenance(t.Context(), client, ref, nil)
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(year), *provenance.RunDetails.Metadata.StartedOn, time.Hour)
	cached, err := filepath.Glob(filepath.Join(home, ".cache", "go-build", "*", "*-a"))
	require.NoError(t, err)
	require.NotEmpty(t, cached)
	entry, err := os.ReadFile(cached[0])
	require.NoError(t, err)
	fields := strings.Fields(string(entry))
	at, err := strconv.ParseInt(fields[len(fields)-1], 10, 64)
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(year), time.Unix(0, at), time.Hour)
}

// putClockForward copies a Go program for linux/amd64, so that the time in the copy is a year later: time.Now adds a number of seconds that the
// compiler has put into its code.
func putClockForward(t *testing.T, from, to string) {
	t.Helper()
	const seconds = (1969*365 + 1969/4 - 1969/100 + 1969/400 - (1884*365 + 1884/4 - 1884/100 + 1884/400)) * 86400 // from 1885 to 1970
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	file, err := elf.NewFile(bytes.NewReader(content))
	require.NoError(t, err)
	table, err := file.Section(".gopclntab").Data()
	require.NoError(t, err)
	text := file.Section(".text")
	functions, err := gosym.NewTable(nil, gosym.NewLineTable(table, text.Addr))
	require.NoError(t, err)
	now := functions.LookupFunc("time.Now")
	require.NotNil(t, now, from)
	code := content[now.Entry-text.Addr+text.Offset : now.End-text.Addr+text.Offset]
	number := binary.LittleEndian.AppendUint32(nil, seconds)
	require.Equal(t, 1, bytes.Count(code, number), "%s: time.Now is compiled in another way", from)
	binary.LittleEndian.PutUint32(code[bytes.Index(code, number):], seconds+uint32(year/time.Second))
	require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
	require.NoError(t, os.WriteFile(to, content, 0o755))
}
