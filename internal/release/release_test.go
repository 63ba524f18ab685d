package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const changelog = `# Changelog

## Unreleased

- Later.

## 1.2.3 - 2026-03-01

- The first.

## 1.2.2 - 2026-02-01

- Before.
`

// clone copies what is in the repository, or would be, into a directory of its own, with a changelog that has version 1.2.3. Its
// toolchain is the one that runs the test, so that none is downloaded.
func clone(t *testing.T) string {
	t.Helper()
	list, err := exec.Command("git", "-C", "../..", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	require.NoError(t, err)
	dir := t.TempDir()
	for _, name := range strings.Split(strings.TrimRight(string(list), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			continue // it was deleted, and that is not committed
		}
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "CHANGELOG.md"), []byte(changelog), 0o644))
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	require.NoError(t, err)
	// Without the line, it is that of the go line.
	mod = regexp.MustCompile(`(?m)^go .*\n\ntoolchain .*$`).ReplaceAll(mod, []byte("go "+strings.TrimPrefix(runtime.Version(), "go")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), mod, 0o644))
	return dir
}

// edit replaces a text in a file that has it once.
func edit(t *testing.T, file, old, text string) {
	t.Helper()
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(got), old), "%q in %s", old, file)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(got), old, text, 1)), 0o644))
}

// A release from one clone has the bytes of a release from another, and install.sh installs them, and nothing else.
func TestRelease(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("packages are of Linux: their completions come from this machine's program")
	}
	own := []platform{{"linux", runtime.GOARCH}}
	first := clone(t)
	made := t.TempDir()
	require.NoError(t, run(t.Context(), first, "v1.2.3", filepath.Join(made, "v1.2.3"), own, true))

	entries, err := os.ReadDir(filepath.Join(made, "v1.2.3"))
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	program := own[0].file()
	assert.Len(t, names, 7, "%v", names)
	notes, err := os.ReadFile(filepath.Join(made, "v1.2.3", "notes.md"))
	require.NoError(t, err)
	assert.Equal(t, "- The first.\n", string(notes))
	sums, err := os.ReadFile(filepath.Join(made, "v1.2.3", "checksums.txt"))
	require.NoError(t, err)
	assert.Equal(t, 4, strings.Count(string(sums), "\n"), "%s", sums)
	check := exec.Command("sha256sum", "--check", "--strict", "checksums.txt")
	check.Dir = filepath.Join(made, "v1.2.3")
	out, err := check.CombinedOutput()
	require.NoError(t, err, "%s", out)

	t.Run("another clone has the same bytes", func(t *testing.T) {
		defer syscall.Umask(syscall.Umask(0o077))
		t.Setenv("GOFLAGS", "-tags=other")
		t.Setenv("GOAMD64", "v3")
		t.Setenv("TZ", "Asia/Tokyo")
		second := clone(t)
		edit(t, filepath.Join(second, "install.sh"), installed(t, filepath.Join(second, "install.sh")), installed(t, filepath.Join(first, "install.sh")))
		again := t.TempDir()
		require.NoError(t, run(t.Context(), second, "v1.2.3", again, own, false))
		got, err := os.ReadFile(filepath.Join(again, "checksums.txt"))
		require.NoError(t, err)
		assert.Equal(t, string(sums), string(got))
	})

	t.Run("a release that was not prepared", func(t *testing.T) {
		err := run(t.Context(), clone(t), "v1.2.3", t.TempDir(), own, false)
		assert.ErrorContains(t, err, "prepare it again with -write")
	})

	t.Run("Debian's package", func(t *testing.T) {
		var deb string
		for _, name := range names {
			if strings.HasSuffix(name, ".deb") {
				deb = name
			}
		}
		assert.Equal(t, "slipway_1.2.3-1_"+runtime.GOARCH+".deb", deb)
		dpkg, err := exec.LookPath("dpkg-deb")
		if err != nil {
			t.Skip("there is no dpkg-deb on the PATH")
		}
		out, err := exec.Command(dpkg, "--contents", filepath.Join(made, "v1.2.3", deb)).CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Regexp(t, `(?m)^-rwxr-xr-x root/root +\d+ 2026-03-01 00:00 \./usr/bin/slipway$`, string(out))
		assert.Contains(t, string(out), "./usr/share/bash-completion/completions/slipway")
		assert.Contains(t, string(out), "./usr/share/doc/slipway/copyright")
	})

	server := httptest.NewServer(http.FileServer(http.Dir(made)))
	defer server.Close()
	// install runs the script of a clone, and returns its exit status, its last words, and the version that is installed then.
	install := func(t *testing.T, clone string, args ...string) (status int, said, version string) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "new", "bin")
		cmd := exec.Command("sh", append(append([]string{filepath.Join(clone, "install.sh")}, args...), dir)...)
		cmd.Env = append(os.Environ(), "SLIPWAY_DOWNLOADS="+server.URL)
		out, _ := cmd.CombinedOutput()
		left, _ := os.ReadDir(dir)
		if cmd.ProcessState.ExitCode() != 0 {
			assert.Empty(t, left, "what was not installed left something behind")
			return cmd.ProcessState.ExitCode(), string(out), ""
		}
		assert.Len(t, left, 1)
		text, err := exec.Command(filepath.Join(dir, "slipway"), "version").CombinedOutput()
		require.NoError(t, err, "%s", text)
		return 0, string(out), string(text)
	}

	t.Run("install", func(t *testing.T) {
		status, said, version := install(t, first)
		require.Zero(t, status, said)
		assert.Contains(t, said, "installed slipway v1.2.3 as ")
		assert.Equal(t, "slipway v1.2.3\n", version)
		status, said, version = install(t, first, "--this-source")
		require.Zero(t, status, said)
		assert.Equal(t, "slipway v1.2.3\n", version)
	})

	t.Run("install from another source", func(t *testing.T) {
		other := clone(t)
		edit(t, filepath.Join(other, "install.sh"), installed(t, filepath.Join(other, "install.sh")), installed(t, filepath.Join(first, "install.sh")))
		require.NoError(t, os.WriteFile(filepath.Join(other, "cmd", "slipway", "more.go"), []byte("package main\n"), 0o644))
		status, said, _ := install(t, other, "--this-source")
		assert.Equal(t, 3, status)
		assert.Contains(t, said, "the source has changed since v1.2.3")
		status, said, _ = install(t, other)
		assert.Zero(t, status, said)
	})

	t.Run("install before the first release", func(t *testing.T) {
		status, said, _ := install(t, unreleased(t))
		assert.Equal(t, 3, status)
		assert.Contains(t, said, "no released programs: go install ")
	})

	t.Run("install for another system", func(t *testing.T) {
		other := clone(t)
		edit(t, filepath.Join(other, "install.sh"), installed(t, filepath.Join(other, "install.sh")), strings.ReplaceAll(installed(t, filepath.Join(first, "install.sh")), program, "slipway_plan9_mips"))
		status, said, _ := install(t, other)
		assert.Equal(t, 3, status)
		assert.Contains(t, said, "no released program for linux_"+runtime.GOARCH)
	})

	t.Run("install what another put there", func(t *testing.T) {
		file := filepath.Join(made, "v1.2.3", program)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		text[len(text)/2]++
		require.NoError(t, os.WriteFile(file, text, 0o755))
		status, said, _ := install(t, first)
		assert.Equal(t, 1, status)
		assert.Contains(t, said, "so it was not installed")
	})

	t.Run("install what is missing", func(t *testing.T) {
		require.NoError(t, os.Remove(filepath.Join(made, "v1.2.3", program)))
		status, said, _ := install(t, first)
		assert.Equal(t, 1, status)
		assert.Contains(t, said, "name a mirror in SLIPWAY_DOWNLOADS")
	})
}

// installed is what install.sh says of the release.
func installed(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "# release: begin\n")
	require.True(t, found)
	lines, _, found := strings.Cut(rest, "# release: end\n")
	require.True(t, found)
	return lines
}

// unreleased is a clone before the first release.
func unreleased(t *testing.T) string {
	t.Helper()
	dir := clone(t)
	file := filepath.Join(dir, "install.sh")
	edit(t, file, installed(t, file), "version=\nsource=\ndigests=\n")
	return dir
}

func TestNotARelease(t *testing.T) {
	dir := clone(t)
	for version, want := range map[string]string{
		"1.2.3":  `version "1.2.3": it is not like v1.2.3`,
		"v1.2":   "it is not like v1.2.3",
		"latest": "it is not like v1.2.3",
		"v9.9.9": `CHANGELOG.md has no heading for the version: add "## 9.9.9 - YEAR-MONTH-DAY"`,
		"v1.2.4": "CHANGELOG.md has no heading",
	} {
		assert.ErrorContains(t, run(t.Context(), dir, version, t.TempDir(), platforms, false), want)
	}
}

// The formula has the digest of each program that it names.
func TestFormula(t *testing.T) {
	digests := map[string]string{}
	for i, p := range platforms {
		digests[p.file()] = strings.Repeat(string(rune('a'+i)), 64)
	}
	text := formula("v1.2.3", digests)
	for _, p := range platforms {
		if p.os == "windows" {
			continue
		}
		assert.Contains(t, text, "/v1.2.3/"+p.file()+"\"\n      sha256 \""+digests[p.file()]+"\"")
	}
	assert.NotContains(t, text, "<no value>")

	ruby, err := exec.LookPath("ruby")
	if err != nil && os.Getenv("REQUIRE_TEST_TOOLS") == "" {
		t.Skip("NOT TESTED, for want of the program ruby (apt-get install ruby)")
	}
	require.NoError(t, err)
	cmd := exec.Command(ruby, "-wc")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, "Syntax OK\n", string(out), "no warning either")
}
