package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

func sampleFiles() []File {
	owned := text("/home/app/notes", "owned")
	owned.UID, owned.GID = 65532, 65533
	return []File{
		FromBytes("/app/server", 0o755, []byte("program")),
		{Path: "/tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
		{Path: "/home", Mode: fs.ModeDir | 0o700, UID: 1, GID: 2},
		link("/app/latest", "server"),
		FromBytes("/app/setuid", fs.ModeSetuid|fs.ModeSetgid|0o755, nil),
		text("/app-data", "sorted by its path"),
		owned,
	}
}

func headers(t testing.TB, l v1.Layer) (found []*tar.Header) {
	t.Helper()
	content, err := l.Uncompressed()
	require.NoError(t, err)
	defer content.Close()
	r := tar.NewReader(content)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return found
		}
		require.NoError(t, err)
		found = append(found, h)
	}
}

func TestLayerHeaders(t *testing.T) {
	var got []string
	for _, h := range headers(t, newLayer(t, sampleFiles()...)) {
		got = append(got, fmt.Sprintf("%c %04o %d:%d %s %d %s", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Name, h.Size, h.Linkname))
		assert.True(t, h.ModTime.Equal(epoch), h.Name)
		assert.Empty(t, h.Uname+h.Gname)
		assert.Empty(t, h.PAXRecords)
		assert.Equal(t, tar.FormatUSTAR, h.Format)
	}
	assert.Equal(t, []string{
		"5 0755 0:0 app/ 0 ",
		"0 0644 0:0 app-data 18 ",
		"2 0777 0:0 app/latest 0 server",
		"0 0755 0:0 app/server 7 ",
		"0 6755 0:0 app/setuid 0 ",
		"5 0700 1:2 home/ 0 ",
		"5 0755 0:0 home/app/ 0 ",
		"0 0644 65532:65533 home/app/notes 5 ",
		"5 1777 0:0 tmp/ 0 ",
	}, got)
}

func TestLayerIsValid(t *testing.T) {
	l := newLayer(t, append(sampleFiles(), text("/"+strings.Repeat("long/", 60)+"name", "x"))...)
	require.NoError(t, validate.Layer(l))
	mediaType, err := l.MediaType()
	require.NoError(t, err)
	assert.Equal(t, types.OCILayer, mediaType)
	content, err := l.Compressed()
	require.NoError(t, err)
	defer content.Close()
	head := make([]byte, 10)
	_, err = io.ReadFull(content, head)
	require.NoError(t, err)
	assert.Equal(t, make([]byte, 5), head[3:8], "neither name nor time")
}

func TestLayerIsDeterministic(t *testing.T) {
	want := newLayer(t, sampleFiles()...)
	diffID, err := want.DiffID()
	require.NoError(t, err)
	// What a release made before, it makes again: other bytes here are a change that users see.
	assert.Equal(t, "sha256:a147a8ee84b8357bb64612c9ffa2f79a817f6d050fecc0c576a53db1fef95db3", diffID.String())
	rapid.Check(t, func(r *rapid.T) {
		files := rapid.Permutation(sampleFiles()).Draw(r, "files")
		store, err := cache.Open(t.TempDir())
		require.NoError(r, err)
		l, err := NewLayer(t.Context(), store, files, epoch.In(time.FixedZone("elsewhere", 3600)).Add(time.Millisecond), Compression{})
		require.NoError(r, err)
		require.Equal(r, mustDigest(t, want), mustDigest(t, l))
	})
}

// Whatever the compression, the content is the same, and the same each time.
func TestCompression(t *testing.T) {
	plain := newLayer(t, sampleFiles()...)
	diffID := must(plain.DiffID())
	store := newCache(t) // one for all: another compression must not find this one's layers
	seen := map[string]string{}
	for name, test := range map[string]struct {
		c         Compression
		mediaType types.MediaType
	}{
		"gzip":    {Compression{}, types.OCILayer},
		"gzip:6":  {Compression{Level: 6}, types.OCILayer},
		"gzip:9":  {Compression{Level: 9}, types.OCILayer},
		"zstd":    {Compression{Zstd: true}, types.OCILayerZStd},
		"zstd:3":  {Compression{Zstd: true, Level: 3}, types.OCILayerZStd},
		"zstd:22": {Compression{Zstd: true, Level: 22}, types.OCILayerZStd},
	} {
		l, err := NewLayer(t.Context(), store, sampleFiles(), epoch, test.c)
		require.NoError(t, err, name)
		packed, plain := must(l.Compressed()), must(l.Uncompressed()) // validate.Layer knows gzip alone
		digest, size, err := v1.SHA256(packed)
		require.NoError(t, err, name)
		assert.Equal(t, mustDigest(t, l), digest, name)
		assert.Equal(t, must(l.Size()), size, name)
		inner, _, err := v1.SHA256(plain)
		require.NoError(t, err, name)
		assert.Equal(t, diffID, inner, name)
		require.NoError(t, errors.Join(packed.Close(), plain.Close()))
		assert.Equal(t, diffID, must(l.DiffID()), name)
		assert.Equal(t, test.mediaType, must(l.MediaType()), name)
		again, err := NewLayer(t.Context(), newCache(t), sampleFiles(), epoch, test.c)
		require.NoError(t, err, name)
		assert.Equal(t, mustDigest(t, l), mustDigest(t, again), name)
		recalled, err := NewLayer(t.Context(), store, sampleFiles(), epoch, test.c)
		require.NoError(t, err, name)
		assert.Equal(t, must(l.MediaType()), must(recalled.MediaType()), name)
		seen[name] = mustDigest(t, l).Hex
		manifest, err := imageOf(t, amd64, l).Manifest()
		require.NoError(t, err, name)
		assert.Equal(t, test.mediaType, manifest.Layers[0].MediaType, name)
	}
	assert.Equal(t, seen["gzip"], seen["gzip:6"])
	assert.Equal(t, seen["zstd"], seen["zstd:3"])
	assert.Equal(t, mustDigest(t, plain).Hex, seen["gzip"])
	delete(seen, "gzip:6")
	delete(seen, "zstd:3")
	assert.Len(t, slices.Compact(slices.Sorted(maps.Values(seen))), 4)
	_, err := NewLayer(t.Context(), store, sampleFiles(), epoch, Compression{Level: 99})
	assert.Error(t, err)
}

func TestLayerRefusesWhatIsWrong(t *testing.T) {
	other := text("/a", "x")
	other.Size = 2
	more := text("/a", "xyz")
	more.Size = 2
	broken := File{Path: "/a", Mode: 0o644, Open: func() (io.ReadCloser, error) { return nil, errors.New("cannot open") }}
	for name, test := range map[string]struct {
		files []File
		want  string
	}{
		"fewer bytes":       {[]File{other}, "adding /a to a layer: it has 1 bytes instead of 2"},
		"more bytes":        {[]File{more}, "adding /a to a layer: it has more than 2 bytes"},
		"cannot open":       {[]File{broken}, "adding /a to a layer: cannot open"},
		"twice":             {[]File{text("/a", ""), text("/a", "")}, "/a is there twice"},
		"file as directory": {[]File{text("/a", ""), text("/a/b", "")}, "/a/b cannot be below /a"},
		"link as directory": {[]File{link("/a", "c"), text("/a/b/c", "")}, "/a/b/c cannot be below /a"},
		"relative":          {[]File{text("a", "")}, `"a" is not the path`},
		"not clean":         {[]File{text("/a/../b", "")}, `"/a/../b" is not the path`},
		"slash at its end":  {[]File{text("/a/", "")}, `"/a/" is not the path`},
		"root":              {[]File{{Path: "/", Mode: fs.ModeDir}}, `"/" is not the path`},
		"whiteout":          {[]File{text("/a/.wh.b", "")}, "would delete"},
		"below a whiteout":  {[]File{text("/.wh.a/b", "")}, "would delete"},
		"link to nowhere":   {[]File{link("/a", "")}, "points nowhere"},
		"no content":        {[]File{{Path: "/a", Mode: 0o644}}, "no content"},
		"device":            {[]File{{Path: "/a", Mode: fs.ModeDevice}}, "neither file"},
		"zero in the path":  {[]File{text("/a\x00", "")}, "is not the path"},
		"zero in a link":    {[]File{link("/a", "\x00")}, "adding /a"},
		"negative identity": {[]File{{Path: "/a", Mode: fs.ModeDir, UID: -1}}, "/a has the owner -1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			store := newCache(t)
			_, err := NewLayer(t.Context(), store, test.files, epoch, Compression{})
			require.ErrorContains(t, err, test.want)
			entries, err := os.ReadDir(filepath.Join(dirOf(store), "blobs", "sha256"))
			require.NoError(t, err)
			assert.Empty(t, entries)
		})
	}
}

func TestLayerStopsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := newCache(t)
	_, err := NewLayer(ctx, store, []File{{Path: "/endless", Mode: 0o644, Size: 1 << 40, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(readerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })), nil
	}}}, epoch, Compression{})
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, leftovers(t, dirOf(store)))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestLayerFailsWhenItsBlobIsGone(t *testing.T) {
	store := newCache(t)
	l, err := NewLayer(t.Context(), store, sampleFiles(), epoch, Compression{})
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(dirOf(store)))
	_, err = l.Compressed()
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = l.Uncompressed()
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestInflate(t *testing.T) {
	var gzipped, zstded bytes.Buffer
	for w := range map[io.WriteCloser]bool{gzip.NewWriter(&gzipped): true, must(zstd.NewWriter(&zstded)): true} {
		_, err := io.WriteString(w, "content")
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
	for packed, want := range map[string]string{gzipped.String(): "content", zstded.String(): "content", "plain": "plain", "": ""} {
		closed := false
		plain, err := inflate(&inflated{strings.NewReader(packed), "", func() error { closed = true; return nil }})
		require.NoError(t, err)
		raw, err := io.ReadAll(plain)
		require.NoError(t, err)
		assert.Equal(t, want, string(raw))
		require.NoError(t, plain.Close())
		assert.True(t, closed)
	}
	_, err := inflate(io.NopCloser(strings.NewReader("\x1f\x8b\x00\x00 no more of gzip")))
	require.Error(t, err)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestSizes(t *testing.T) {
	l := newLayer(t, text("/a", strings.Repeat("a", 10_000)))
	packed, unpacked, err := Sizes(imageOf(t, amd64, l, l))
	require.NoError(t, err)
	size, err := l.Size()
	require.NoError(t, err)
	assert.Equal(t, 2*size, packed)
	assert.EqualValues(t, 2*(512+10_240+1024), unpacked, "header, content in blocks of 512 bytes, end")
}

func TestFromDisk(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte("on disk"), 0o600))
	f, err := FromDisk(nil, "/a", 0o755, name)
	require.NoError(t, err)
	assert.Equal(t, mustDigest(t, newLayer(t, FromBytes("/a", 0o755, []byte("on disk")))), mustDigest(t, newLayer(t, f)))
	_, err = FromDisk(nil, "/a", 0o755, filepath.Dir(name))
	require.ErrorContains(t, err, "not a regular file")
	_, err = FromDisk(nil, "/a", 0o755, name+"x")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

const bigSize = 64 << 20

// bigFile has content that compresses, yet not to nothing.
func bigFile() File {
	block := make([]byte, 1<<20)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range block {
		block[i] = byte(source.IntN(16))
	}
	return File{Path: "/big", Mode: 0o755, Size: bigSize, Open: func() (io.ReadCloser, error) {
		rest := bytes.NewReader(nil)
		return io.NopCloser(io.LimitReader(readerFunc(func(p []byte) (int, error) {
			if rest.Len() == 0 {
				rest.Reset(block)
			}
			return rest.Read(p)
		}), bigSize)), nil
	}}
}

func TestLayerNeedsLittleMemory(t *testing.T) {
	testtool.NeedTime(t, "64 MB are compressed three times")
	store, file := newCache(t), bigFile()
	allocated := func(f func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	var l v1.Layer
	for c, limit := range map[Compression]uint64{{}: bigSize / 16, {Zstd: true}: bigSize / 2, {Zstd: true, Level: 22}: bigSize} {
		made := allocated(func() {
			var err error
			l, err = NewLayer(t.Context(), store, []File{file}, epoch, c)
			require.NoError(t, err)
		})
		assert.Less(t, made, limit, c)
	}
	written := allocated(func() {
		require.NoError(t, WriteArchive(t.Context(), filepath.Join(t.TempDir(), "a.tar"), imageOf(t, amd64, l), ""))
	})
	assert.Less(t, written, uint64(bigSize/16))
}

func BenchmarkNewLayer(b *testing.B) {
	store, file := newCache(b), bigFile()
	b.ReportAllocs()
	b.SetBytes(bigSize)
	for b.Loop() {
		_, err := NewLayer(b.Context(), store, []File{file}, epoch, Compression{})
		require.NoError(b, err)
	}
}
