package image

import (
	"archive/tar"
	"io"
	"io/fs"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func entry(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Linkname: content}
}

func folder(name string) tar.Header {
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
			folder("./"), folder("./etc/"), entry("./etc/passwd", "new"), entry("gone/.wh.file", ""),
			entry("opaque/.wh..wh..opq", ""), entry("opaque/new", "new"), entry("dir", "now a file"),
			entry(".wh.whole", ""), entry("whole/added", "added"), folder("replaced/"), entry("replaced/file", "inside"),
			tar.Header{Typeflag: tar.TypeLink, Name: "hard", Linkname: "etc/passwd"},
		),
		newLayer(t, text("/etc/other", "top")),
	)
	for path, want := range map[string]string{
		"/etc/passwd": "new", "etc/passwd": "new", "/etc/./x/../passwd": "new", "/etc/group": "group", "/etc/other": "top",
		"/lib64/ld-linux-x86-64.so.2": "loader", "/abs": "group", "/up": "group", "/hard": "new", "/dir": "now a file",
		"/opaque/new": "new", "/whole/added": "added", "/replaced/file": "inside", "/etc/alternatives/editor": "ed",
		"/most": strings.Repeat("x", readLimit),
	} {
		got, err := ReadFile(img, path)
		require.NoError(t, err, path)
		require.Equal(t, want, string(got), path)
	}
	for _, path := range []string{"/gone/file", "/opaque/old", "/dir/file", "/whole/deep/file", "/nothing", "/dangling", "/etc/passwd/x"} {
		_, err := ReadFile(img, path)
		require.ErrorIs(t, err, fs.ErrNotExist, path)
		require.ErrorContains(t, err, path)
	}
	for path, want := range map[string]string{"/big": "more than the 1048576", "/etc": "not a regular file", "/loop": "circle", "/replaced": "not a regular file"} {
		_, err := ReadFile(img, path)
		require.ErrorContains(t, err, want)
	}
}

func TestStat(t *testing.T) {
	img := imageOf(t, amd64, newLayer(t,
		link("/lib64", "usr/lib64"), text("/usr/lib64/ld-linux-x86-64.so.2", strings.Repeat("x", readLimit+1))))
	info, err := Stat(img, "/lib64/ld-linux-x86-64.so.2")
	require.NoError(t, err)
	assert.EqualValues(t, readLimit+1, info.Size())
	info, err = Stat(img, "/lib64")
	require.NoError(t, err)
	assert.True(t, info.IsDir())
	_, err = Stat(img, "/lib/ld-musl-x86_64.so.1")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// unread is a layer that must not be read.
type unread struct {
	v1.Layer
	t *testing.T
}

func (u unread) Uncompressed() (io.ReadCloser, error) {
	u.t.Error("a lower layer was read")
	return u.Layer.Uncompressed()
}

func TestLookupReadsNoMoreThanItMust(t *testing.T) {
	img := imageOf(t, amd64, unread{newLayer(t, text("/a", "low")), t}, rawLayer(t, entry("a", "top"), entry("dir/.wh..wh..opq", "")))
	got, err := ReadFile(img, "/a")
	require.NoError(t, err)
	assert.Equal(t, "top", string(got))
	_, err = ReadFile(img, "/dir/x")
	require.ErrorIs(t, err, fs.ErrNotExist)
}
