package oci_test

import (
	"archive/tar"
	"bytes"
	"io"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
)

// What others put above a base is taken over entry by entry, whiteouts and owners included, and is the same whenever they did it.
func TestAdded(t *testing.T) {
	layerAt := func(when time.Time) v1.Layer {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range []tar.Header{
			{Typeflag: tar.TypeDir, Name: "usr/", Mode: 0o755},
			{Typeflag: tar.TypeReg, Name: "usr/curl", Mode: 0o4755, Uid: 7, Gid: 8, Size: 4, Uname: "curl"},
			{Typeflag: tar.TypeReg, Name: "usr/.wh.old", Mode: 0o644},
			{Typeflag: tar.TypeSymlink, Name: "usr/link", Linkname: "curl", Mode: 0o777},
		} {
			h.ModTime, h.AccessTime, h.Format = when, when, tar.FormatPAX
			require.NoError(t, w.WriteHeader(&h))
			if h.Size > 0 {
				_, err := io.WriteString(w, "curl")
				require.NoError(t, err)
			}
		}
		require.NoError(t, w.Close())
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }, tarball.WithMediaType(types.OCILayer))
		require.NoError(t, err)
		return layer
	}
	below, err := random.Layer(100, types.OCILayer)
	require.NoError(t, err)
	base, err := mutate.AppendLayers(empty.Image, below)
	require.NoError(t, err)
	store, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	when := time.Unix(1_000_000, 0)
	var digests []v1.Hash
	for _, at := range []time.Time{time.Unix(5, 9), time.Unix(2_000_000_000, 1)} {
		img, err := mutate.AppendLayers(base, layerAt(at))
		require.NoError(t, err)
		added, err := oci.Added(t.Context(), store, img, base, when, oci.Compression{Zstd: true})
		require.NoError(t, err)
		require.Len(t, added, 1)
		digest, err := added[0].Digest()
		require.NoError(t, err)
		digests = append(digests, digest)
		mediaType, err := added[0].MediaType()
		require.NoError(t, err)
		assert.Equal(t, types.OCILayerZStd, mediaType)
		content, err := added[0].Uncompressed()
		require.NoError(t, err)
		r := tar.NewReader(content)
		var names []string
		for h, err := r.Next(); err != io.EOF; h, err = r.Next() {
			require.NoError(t, err)
			names = append(names, h.Name)
			assert.Equal(t, when, h.ModTime, h.Name)
			assert.Zero(t, h.AccessTime)
			if h.Name == "usr/curl" {
				text, err := io.ReadAll(r)
				require.NoError(t, err)
				assert.Equal(t, "curl", string(text))
				assert.EqualValues(t, 0o4755, h.Mode)
				assert.Equal(t, []int{7, 8}, []int{h.Uid, h.Gid})
			}
		}
		assert.Equal(t, []string{"usr/", "usr/curl", "usr/.wh.old", "usr/link"}, names)
		require.NoError(t, content.Close())
	}
	assert.Equal(t, digests[0], digests[1])

	other, err := mutate.AppendLayers(empty.Image, layerAt(when), layerAt(when))
	require.NoError(t, err)
	for _, img := range []v1.Image{other, empty.Image} {
		_, err = oci.Added(t.Context(), store, img, base, when, oci.Compression{})
		assert.ErrorContains(t, err, "does not begin with the layers of the base")
	}
}
