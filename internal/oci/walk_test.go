package oci

import (
	"archive/tar"
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWalk(t *testing.T) {
	noise := make([]byte, 300_000)
	_, err := rand.NewChaCha8([32]byte{}).Read(noise)
	require.NoError(t, err)
	zeros := make([]byte, 900_000)
	files := []File{FromBytes("/a/noise", 0o755, noise), FromBytes("/b/zeros", 0o644, zeros), text("/c", "c"), link("/d", "c")}
	for name, compression := range map[string]Compression{"gzip": {}, "zstd": {Zstd: true}} {
		t.Run(name, func(t *testing.T) {
			l, err := NewLayer(t.Context(), newCache(t), files, epoch, compression)
			require.NoError(t, err)
			read := map[string][]byte{}
			walked, err := Walk(t.Context(), l, func(e Entry, content io.Reader) error {
				raw, err := io.ReadAll(content)
				read[e.Path] = raw
				return err
			})
			require.NoError(t, err)
			assert.Equal(t, map[string][]byte{"/a/noise": noise, "/b/zeros": zeros, "/c": []byte("c")}, read)
			packed, unpacked, err := Sizes(imageOf(t, amd64, l))
			require.NoError(t, err)
			assert.Equal(t, packed, walked.Compressed)
			assert.Equal(t, unpacked, walked.Unpacked)
			require.Len(t, walked.Files, 3)
			// Noise does not get smaller, and zeros are next to nothing.
			assert.InDelta(t, 300_000, walked.Files[0].Compressed, 40_000)
			assert.Less(t, walked.Files[1].Compressed, int64(60_000))
			total := int64(0)
			for _, f := range walked.Files {
				assert.GreaterOrEqual(t, f.Compressed, int64(0), f.Path)
				total += f.Compressed
			}
			assert.LessOrEqual(t, total, walked.Compressed)
		})
	}
}

// What nobody reads is counted, too; whiteouts are no files.
func TestWalkPastContent(t *testing.T) {
	l := rawLayer(t,
		tar.Header{Typeflag: tar.TypeReg, Name: "etc/.wh.gone"},
		tar.Header{Typeflag: tar.TypeReg, Name: "etc/long", Linkname: strings.Repeat("x", 5000)},
		tar.Header{Typeflag: tar.TypeDir, Name: "etc/dir/"},
		tar.Header{Typeflag: tar.TypeReg, Name: "etc/last", Linkname: "last"})
	var seen bytes.Buffer
	walked, err := Walk(t.Context(), l, func(e Entry, content io.Reader) error {
		seen.WriteString(e.Path + " ")
		if e.Path != "/etc/last" {
			return nil
		}
		_, err := io.Copy(&seen, content)
		return err
	})
	require.NoError(t, err)
	assert.Equal(t, "/etc/long /etc/last last", seen.String())
	assert.Equal(t, []Entry{{Path: "/etc/long", Size: 5000, Compressed: 5000}, {Path: "/etc/last", Size: 4, Compressed: 4}}, walked.Files)
	assert.Equal(t, walked.Compressed, walked.Unpacked, "it is not compressed")
}

func TestWalkDamaged(t *testing.T) {
	l := rawLayer(t, tar.Header{Typeflag: tar.TypeReg, Name: "../out", Linkname: "x"})
	_, err := Walk(t.Context(), l, func(Entry, io.Reader) error { return nil })
	require.ErrorContains(t, err, "leads out of the image")
	require.ErrorContains(t, err, "reading the layer sha256:")
}
