//go:build apk_e2e

package alpine

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/test/alpinetest"
)

// write lays files below a directory, as root.
func write(t *testing.T, root string, files []oci.File) {
	t.Helper()
	for _, f := range files {
		at := filepath.Join(root, f.Path)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		switch {
		case f.Mode.IsDir():
			require.NoError(t, os.MkdirAll(at, 0o755))
		case f.Link != "":
			require.NoError(t, os.Symlink(f.Link, at))
			continue
		default:
			require.NoError(t, os.WriteFile(at, []byte(content(t, f)), 0o644))
		}
		require.NoError(t, os.Chown(at, f.UID, f.GID))
		require.NoError(t, os.Chmod(at, f.Mode.Perm()|f.Mode&fs.ModeSetgid))
	}
}

// apk, which is on the PATH, installs what this package does, and writes the same database; and it reads ours, and finds nothing amiss.
func TestApk(t *testing.T) {
	r := alpinetest.Start(t)
	app(r)
	r.Add("lib", "1-r0", alpinetest.Info("provides", "so:lib.so.1=1.0"), dir("usr"), dir("usr/lib"), alpinetest.Regular("usr/lib/lib.so.1", "library"))
	r.Add("lib", "0.9-r0", alpinetest.Info("provides", "so:lib.so.1=1.0"))
	r.Add("tool", "2_rc1-r0", alpinetest.Info("depend", "so:lib.so.1"), alpinetest.Info("depend", "app~1"), alpinetest.Info("depend", "!lib<1"), alpinetest.Info("depend", "virtual"))
	r.Add("first", "1-r0", alpinetest.Info("provides", "virtual"), alpinetest.Info("provider_priority", "5"))
	r.Add("second", "1-r0", alpinetest.Info("provides", "virtual"), alpinetest.Info("provider_priority", "7"))
	r.Add("tool-pyc", "2_rc1-r0", alpinetest.Info("install_if", "tool=2_rc1-r0 app"))
	r.Add("tool-doc", "2_rc1-r0", alpinetest.Info("install_if", "tool=2_rc1-r0 docs"))

	base := r.Base()
	base["/etc/apk/world"] = "busybox\n"
	var onDisk []oci.File
	for name, text := range base {
		onDisk = append(onDisk, oci.FromBytes(name, 0o644, []byte(text)))
	}
	s := system(t, base)
	a := archive(t, r, s)
	selection, err := a.Resolve(t.Context(), []string{"tool"}, nil)
	require.NoError(t, err)
	ours := install(t, a, []string{"tool"}, selection.Packages...)

	run := func(root string, args ...string) string {
		out, err := exec.Command("apk", append([]string{"--root", root, "--arch", "x86_64"}, args...)...).Output()
		require.NoError(t, err, string(out))
		return string(out)
	}
	theirs := t.TempDir()
	write(t, theirs, onDisk)
	require.NoError(t, os.WriteFile(filepath.Join(theirs, "etc/apk/repositories"), []byte(r.Address+strings.TrimPrefix(alpinetest.Main, alpinetest.Host)+"\n"), 0o644))
	run(theirs, "add", "--no-scripts", "--no-cache", "tool")
	sorted := func(text, separator string) []string {
		all := strings.Split(strings.TrimSpace(text), separator)
		slices.Sort(all)
		return all
	}
	for name, separator := range map[string]string{"/lib/apk/db/installed": "\n\n", "/lib/apk/db/triggers": "\n", "/etc/apk/world": "\n"} {
		text, err := os.ReadFile(filepath.Join(theirs, name))
		require.NoError(t, err)
		assert.Equal(t, sorted(string(text), separator), sorted(content(t, ours[name]), separator), name)
	}

	root := t.TempDir()
	write(t, root, slices.DeleteFunc(onDisk, func(f oci.File) bool { _, ok := ours[f.Path]; return ok }))
	var all []oci.File
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		all = append(all, ours[name])
	}
	write(t, root, all)
	assert.Equal(t, run(theirs, "info", "-v"), run(root, "info", "-v"))
	assert.Equal(t, "app-1.0-r2 contains:\nusr/bin/app\nusr/bin/hard\nusr/bin/soft\n\n", run(root, "info", "-L", "app"))
	assert.Empty(t, run(root, "audit", "--check-permissions", "--recursive", "/usr", "/var"))
	run(root, "del", "--no-scripts", "--no-network", "tool")
	assert.NoFileExists(t, filepath.Join(root, "usr/bin/app"))
}
