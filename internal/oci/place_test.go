package oci

import (
	"archive/tar"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// placedBase is a base as distributions make them, with links of all kinds.
func placedBase(t *testing.T) *FileSystem {
	dir := func(name string, mode int64, owner int) tar.Header {
		return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode, Uid: owner, Gid: owner, ModTime: time.Unix(77, 0)}
	}
	symlink := func(name, target string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
	}
	return fileSystem(t, imageOf(t, amd64, rawLayer(t,
		dir("./", 0o755, 0), dir("tmp/", 0o1777, 0), dir("/usr/", 0o755, 0), dir("./usr/lib", 0o755, 0), symlink("lib", "usr/lib"),
		dir("home/nonroot/", 0o700, 65532), symlink("var/run", "/run"), symlink("data", "mnt/data"), symlink("up", "../../../../usr"),
		symlink("loop", "loop"), symlink("chain", "up/lib"), symlink("etc/localtime", "/usr/share/zoneinfo/UTC"),
		rawFile("etc/passwd", "root"), tar.Header{Typeflag: tar.TypeFifo, Name: "usr/pipe"},
		dir("gone/", 0o700, 7), dir("emptied/", 0o711, 8), dir("emptied/in/", 0o700, 9),
		dir("special/", 0o750, 5), symlink("special/rel", "../tmp"),
	), rawLayer(t, rawFile(".wh.gone", ""), rawFile("emptied/.wh..wh..opq", ""), rawFile("lib/libc.so", "c"))))
}

// What is expected was compared with BuildKit's COPY: see the tests of package dockerfile.
func TestPlaceFollowsLinksAndKeepsParents(t *testing.T) {
	type want struct {
		at string
		// parents are those with something else than root's 0755.
		parents map[string]fs.FileMode
	}
	dir := fs.ModeDir
	for name, want := range map[string]want{
		"/tmp/seed":        {"/tmp/seed", map[string]fs.FileMode{"/tmp": dir | fs.ModeSticky | 0o777}},
		"/lib/x.conf":      {"/usr/lib/x.conf", nil},
		"/home/nonroot/x":  {"/home/nonroot/x", map[string]fs.FileMode{"/home/nonroot": dir | 0o700}},
		"/var/run/x/y":     {"/run/x/y", nil},
		"/data/x":          {"/mnt/data/x", nil},
		"/data":            {"/mnt/data", nil},
		"/up/lib/x":        {"/usr/lib/x", nil},
		"/chain/x":         {"/usr/lib/x", nil},
		"/etc/localtime":   {"/usr/share/zoneinfo/UTC", nil},
		"/usr/pipe":        {"/usr/pipe", nil},
		"/gone/x":          {"/gone/x", nil},
		"/emptied/in/x":    {"/emptied/in/x", map[string]fs.FileMode{"/emptied": dir | 0o711}},
		"/special/rel/x":   {"/tmp/x", map[string]fs.FileMode{"/tmp": dir | fs.ModeSticky | 0o777}},
		"/new/directory/x": {"/new/directory/x", nil},
	} {
		t.Run(name, func(t *testing.T) {
			placed, err := placedBase(t).Place([]File{text(name, "content")})
			require.NoError(t, err)
			assert.Equal(t, want.at, placed[len(placed)-1].Path)
			for _, parent := range placed[:len(placed)-1] {
				mode := fs.ModeDir | 0o755
				if other := want.parents[parent.Path]; other != 0 {
					mode = other
					assert.EqualValues(t, 77, parent.Time.Unix(), "its time")
				}
				assert.Equal(t, mode, parent.Mode, parent.Path)
				if parent.Path == "/home/nonroot" {
					assert.Equal(t, 65532, parent.UID)
				}
			}
			_, err = NewLayer(t.Context(), newCache(t), placed, epoch, Compression{})
			require.NoError(t, err)
		})
	}
}

func TestPlaceRefusesWhatCannotBe(t *testing.T) {
	directory := func(path string) File { return File{Path: path, Mode: fs.ModeDir | 0o755} }
	for want, files := range map[string][]File{
		"/etc/passwd is not a directory":           {text("/etc/passwd/x", "")},
		"too many symbolic links":                  {text("/loop/x", "")},
		"there is a directory in its place":        {text("/chain", "")},
		"there is a file in its place":             {directory("/etc/passwd")},
		"are the same file in the image":           {text("/lib/x", ""), text("/usr/lib/x", "")},
		"is not the path of a file in an image":    {text("relative", "")},
		"placing /a/b in the image: /a is not a d": {text("/a", ""), text("/a/b", "")},
	} {
		_, err := placedBase(t).Place(files)
		assert.ErrorContains(t, err, want)
	}
}

func TestPlaceDirectories(t *testing.T) {
	base := placedBase(t)
	placed, err := base.Copy().Place([]File{
		{Path: "/special", Mode: fs.ModeDir | 0o755, UID: 1000, GID: 1000},
		{Path: "/tmp", Mode: fs.ModeDir | 0o755},
		{Path: "/cache", Mode: fs.ModeDir | 0o755, UID: 1000, GID: 1000},
		{Path: "/special/rel", Mode: fs.ModeDir | 0o755},
	})
	require.NoError(t, err)
	got := map[string]File{}
	for _, f := range placed {
		got[f.Path] = f
	}
	assert.Len(t, got, 3)
	assert.Equal(t, fs.ModeDir|0o750, got["/special"].Mode)
	assert.Equal(t, 1000, got["/special"].UID)
	assert.Equal(t, fs.ModeDir|fs.ModeSticky|0o777, got["/tmp"].Mode)
	assert.Equal(t, fs.ModeDir|0o755, got["/cache"].Mode)
	unchanged, err := base.Stat("/special")
	require.NoError(t, err)
	assert.Equal(t, 5, unchanged.UID)
}

// A layer of the same image counts like one of the base.
func TestPlaceKnowsEarlierLayers(t *testing.T) {
	fsys := fileSystem(t, nil)
	_, err := fsys.Place([]File{{Path: "/tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777}, link("/lib", "usr/lib"), text("/etc/passwd", "root")})
	require.NoError(t, err)
	placed, err := fsys.Place([]File{text("/tmp/x", ""), text("/lib/y", "")})
	require.NoError(t, err)
	var paths []string
	for _, f := range placed {
		paths = append(paths, f.Path+" "+f.Mode.String())
	}
	assert.Equal(t, []string{"/tmp dtrwxrwxrwx", "/tmp/x -rw-r--r--", "/usr drwxr-xr-x", "/usr/lib drwxr-xr-x", "/usr/lib/y -rw-r--r--"}, paths)
	got, err := fsys.ReadFile(t.Context(), "/etc/passwd")
	require.NoError(t, err)
	assert.Equal(t, "root", string(got))
}

// What was removed is followed no more, and a base that others have a copy of keeps it.
func TestRemove(t *testing.T) {
	base := placedBase(t)
	files := base.Copy()
	for _, name := range []string{"/etc/localtime", "/var/run", "/lib/libc.so", "/nothing/there"} {
		require.NoError(t, files.Remove(name))
	}
	placed, err := files.Place([]File{text("/etc/localtime", "content"), text("/var/run", "content"), text("/lib/libc.so", "content")})
	require.NoError(t, err)
	var at []string
	for _, f := range placed {
		if f.Mode.IsRegular() {
			at = append(at, f.Path)
		}
	}
	assert.Equal(t, []string{"/etc/localtime", "/usr/lib/libc.so", "/var/run"}, at)
	_, err = base.Stat("/usr/lib/libc.so")
	require.NoError(t, err)
	placed, err = base.Place([]File{text("/etc/localtime", "content")})
	require.NoError(t, err)
	assert.Equal(t, "/usr/share/zoneinfo/UTC", placed[len(placed)-1].Path)
}
