package oci

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
)

func rawFile(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Linkname: content}
}

func directory(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}
}

func TestReadFile(t *testing.T) {
	img := imageOf(t, amd64,
		newLayer(t,
			text("/etc/passwd", "old"), text("/etc/group", "group"), text("/usr/lib64/ld-linux-x86-64.so.2", "loader"),
			link("/lib64", "usr/lib64"), link("/abs", "/etc/group"), link("/up", "../../etc/group"), link("/loop", "loop"),
			text("/gone/file", "x"), text("/opaque/old", "x"), text("/dir/file", "x"), text("/whole/deep/file", "x"),
			text("/replaced", "file"), text("/big", strings.Repeat("x", readLimit+1)), text("/most", strings.Repeat("x", readLimit)),
			link("/etc/alternatives/editor", "../../usr/editor"), text("/usr/editor", "ed"), link("/dangling", "nowhere"),
		),
		rawLayer(t,
			directory("./"), directory("./etc/"), rawFile("./etc/passwd", "new"), rawFile("gone/.wh.file", ""),
			rawFile("opaque/.wh..wh..opq", ""), rawFile("opaque/new", "new"), rawFile("dir", "now a file"),
			rawFile(".wh.whole", ""), rawFile("whole/added", "added"), directory("replaced/"), rawFile("replaced/file", "inside"),
			tar.Header{Typeflag: tar.TypeLink, Name: "hard", Linkname: "etc/passwd"},
		),
		newLayer(t, text("/etc/other", "top")),
	)
	fsys := fileSystem(t, img)
	for path, want := range map[string]string{
		"/etc/passwd": "new", "etc/passwd": "new", "/etc/./x/../passwd": "new", "/etc/group": "group", "/etc/other": "top",
		"/lib64/ld-linux-x86-64.so.2": "loader", "/abs": "group", "/up": "group", "/hard": "new", "/dir": "now a file",
		"/opaque/new": "new", "/whole/added": "added", "/replaced/file": "inside", "/etc/alternatives/editor": "ed",
		"/most": strings.Repeat("x", readLimit),
	} {
		got, err := fsys.ReadFile(t.Context(), path)
		require.NoError(t, err, path)
		require.Equal(t, want, string(got), path)
	}
	for _, path := range []string{"/gone/file", "/opaque/old", "/dir/file", "/whole/deep/file", "/nothing", "/dangling", "/etc/passwd/x"} {
		_, err := fsys.ReadFile(t.Context(), path)
		require.ErrorIs(t, err, fs.ErrNotExist, path)
		require.ErrorContains(t, err, path)
	}
	for path, want := range map[string]string{"/big": "more than the 1048576", "/etc": "not a regular file", "/loop": "circle", "/replaced": "not a regular file"} {
		_, err := fsys.ReadFile(t.Context(), path)
		require.ErrorContains(t, err, want)
	}
}

func TestStat(t *testing.T) {
	img := imageOf(t, amd64, newLayer(t,
		link("/lib64", "usr/lib64"), text("/usr/lib64/ld-linux-x86-64.so.2", strings.Repeat("x", readLimit+1))))
	fsys := fileSystem(t, img)
	info, err := fsys.Stat("/lib64/ld-linux-x86-64.so.2")
	require.NoError(t, err)
	assert.EqualValues(t, readLimit+1, info.Size)
	info, err = fsys.Stat("/lib64")
	require.NoError(t, err)
	assert.True(t, info.Mode.IsDir())
	_, err = fsys.Stat("/lib/ld-musl-x86_64.so.1")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func fileSystem(t testing.TB, img v1.Image) *FileSystem {
	t.Helper()
	fsys, err := NewFileSystem(t.Context(), img)
	require.NoError(t, err)
	return fsys
}

// Layers of a base are read once, and so are the files in them: later builds, of other processes too, have the notes.
func TestFileSystemReadsALayerOnce(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, WriteLayout(t.Context(), filepath.Join(dir, "base"), imageOf(t, amd64, newLayer(t, text("/etc/passwd", "root"), link("/lib", "usr/lib"))), ""))
	for first := range 2 {
		store, err := cache.Open(filepath.Join(dir, "store"))
		require.NoError(t, err)
		base, err := (&Bases{Cache: store}).Resolve(t.Context(), "oci:"+filepath.Join(dir, "base"))
		require.NoError(t, err)
		img, err := base.Image(amd64)
		require.NoError(t, err)
		if first == 1 {
			layers, err := img.Layers()
			require.NoError(t, err)
			digest, err := layers[0].Digest()
			require.NoError(t, err)
			require.NoError(t, os.Remove(filepath.Join(dir, "base", "blobs", "sha256", digest.Hex)))
		}
		fsys := fileSystem(t, img)
		got, err := fsys.ReadFile(t.Context(), "/etc/passwd")
		require.NoError(t, err)
		assert.Equal(t, "root", string(got))
		at, _, err := fsys.walk("/lib/x")
		require.NoError(t, err)
		assert.Equal(t, "/usr/lib/x", at)
	}
}

// What an image says of a layer counts for nothing where the layer says otherwise.
func TestFileSystemRefusesWhatIsFalse(t *testing.T) {
	for name, test := range map[string]struct {
		layer v1.Layer
		want  string
	}{
		"diffID":    {&layer{descriptor: own(newLayer(t, text("/a", "a"))).descriptor, diffID: sha256Of(nil), open: own(newLayer(t, text("/a", "a"))).open}, "damaged or forged"},
		"traversal": {rawLayer(t, rawFile("usr/../../etc/shadow", "x")), "leads out of the image"},
		"hard link": {rawLayer(t, tar.Header{Typeflag: tar.TypeLink, Name: "hard", Linkname: "nothing"}), "not there"},
		"below":     {rawLayer(t, rawFile("a", "x"), rawFile("a/b", "x")), "/a is not a directory"},
	} {
		_, err := NewFileSystem(t.Context(), imageOf(t, amd64, test.layer))
		assert.ErrorContains(t, err, test.want, name)
	}
}

// However big a layer unpacks, and whatever is in its headers, it takes little memory.
func TestFileSystemOfABombNeedsLittleMemory(t *testing.T) {
	store := newCache(t)
	bomb := File{Path: "/zeros", Mode: 0o644, Size: 512 << 20, ID: "", Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(zeros{}, 512<<20)), nil
	}}
	l, err := NewLayer(t.Context(), store, []File{bomb}, epoch, Compression{Zstd: true})
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fileSystem(t, imageOf(t, amd64, l))
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestListingKeepsWhatAnEntryIs(t *testing.T) {
	for _, want := range []entry{
		{path: "/a\tb\n\xff", kind: tar.TypeDir, mode: 0o1777, uid: 65532, gid: 1, time: time.Unix(7, 9), xattrs: map[string]string{"user.a": "\x00\t", "b": ""}},
		{path: "/l", kind: tar.TypeSymlink, mode: 0o777, link: "../x y", time: time.Time{}.Local()},
	} {
		got, err := parseEntry(string(want.line()))
		require.NoError(t, err)
		assert.True(t, want.time.Equal(got.time))
		got.time = want.time
		assert.Equal(t, want, got)
	}
}

func TestWhiteout(t *testing.T) {
	type answer struct {
		gone, emptied string
		is            bool
	}
	for name, want := range map[string]answer{
		"/etc/passwd":        {},
		"/etc/.wh.passwd":    {gone: "/etc/passwd", is: true},
		"/.wh.etc":           {gone: "/etc", is: true},
		"/etc/.wh..wh..opq":  {emptied: "/etc", is: true},
		"/.wh..wh..opq":      {emptied: "/", is: true},
		"/etc/.wh..wh.plnk":  {is: true},
		"/etc/.wh.":          {is: true},
		"/etc/.wh..":         {is: true},
		"/etc/.wh...":        {is: true},
		"/etc/.wh...hidden":  {gone: "/etc/..hidden", is: true},
		"/.wh.etc/passwd":    {}, // which no layer has that Slipway makes
		"/etc/passwd.wh.bak": {},
	} {
		gone, emptied, is := Whiteout(name)
		assert.Equal(t, want, answer{gone, emptied, is}, name)
	}
}
