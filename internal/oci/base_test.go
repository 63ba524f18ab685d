package oci

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
)

func newBases(t testing.TB) *Bases {
	t.Helper()
	return &Bases{Cache: newCache(t), Remote: newClient(t)}
}

func resolve(t testing.TB, bases *Bases, ref string) *Base {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	base, err := bases.Resolve(ctx, ref)
	require.NoError(t, err)
	cancel() // what is fetched later does not depend on it
	return base
}

func baseImage(t testing.TB, base *Base, platform v1.Platform) v1.Image {
	t.Helper()
	img, err := base.Image(platform)
	require.NoError(t, err)
	return img
}

func TestDockerBaseBecomesOCI(t *testing.T) {
	s := newServer(t)
	x := dockerIndex(t, amd64, arm64)
	s.push(t, "base:1", x)
	base := resolve(t, newBases(t), s.host+"/base:1")
	assert.Equal(t, s.host+"/base:1", base.Name)
	assert.Equal(t, mustDigest(t, x), base.Digest)
	img := baseImage(t, base, arm64)
	require.NoError(t, validate.Image(img))
	manifest, err := img.Manifest()
	require.NoError(t, err)
	assert.Equal(t, types.OCIManifestSchema1, manifest.MediaType)
	assert.Equal(t, types.OCIConfigJSON, manifest.Config.MediaType)
	assert.Equal(t, types.OCILayer, manifest.Layers[0].MediaType)
	got, err := fileSystem(t, img).ReadFile(t.Context(), "/etc/os-release")
	require.NoError(t, err)
	assert.Equal(t, "ID=base linux/arm64", string(got))
}

func TestLayersAreLazyAndPulledOnce(t *testing.T) {
	s := newServer(t)
	x := dockerIndex(t, amd64, arm64)
	s.push(t, "base:1", x)
	bases := newBases(t)
	base := resolve(t, bases, s.host+"/base:1")
	assert.Len(t, s.requests(), 1, "the index")
	layers, err := baseImage(t, base, amd64).Layers()
	require.NoError(t, err)
	assert.Len(t, s.requests(), 2, "manifest and configuration")
	require.Len(t, layers, 1)
	mountable, ok := layers[0].(*remote.MountableLayer)
	require.True(t, ok)
	assert.Equal(t, s.host+"/base:1", mountable.Reference.Name())

	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { assert.NoError(t, validate.Layer(layers[0])) })
	}
	wg.Wait()
	asked := s.requests()
	require.Len(t, asked, 1, "the layer, once")
	assert.Contains(t, asked[0], "/blobs/")

	// The tag is looked up again, and nothing else is fetched.
	layers, err = baseImage(t, resolve(t, bases, s.host+"/base:1"), amd64).Layers()
	require.NoError(t, err)
	require.NoError(t, validate.Layer(layers[0]))
	assert.Equal(t, []string{"GET /v2/base/manifests/1"}, s.requests())

	// A digest needs no look-up.
	pinned := resolve(t, bases, s.host+"/base@"+mustDigest(t, x).String())
	require.NoError(t, validate.Image(baseImage(t, pinned, amd64)))
	assert.Empty(t, s.requests())
	assert.Equal(t, mustDigest(t, x), pinned.Digest)
}

func TestWarmManifestColdLayer(t *testing.T) {
	s := newServer(t)
	x := dockerIndex(t, amd64)
	s.push(t, "base:1", x)
	bases := newBases(t)
	baseImage(t, resolve(t, bases, s.host+"/base:1"), amd64)
	s.requests()
	img := baseImage(t, resolve(t, bases, s.host+"/base@"+mustDigest(t, x).String()), amd64)
	assert.Empty(t, s.requests())
	require.NoError(t, validate.Image(img))
	assert.Len(t, s.requests(), 2, "the manifest, which says how to get blobs, and the layer")
}

func TestDamagedBlobIsPulledAgain(t *testing.T) {
	s := newServer(t)
	s.push(t, "base:1", dockerIndex(t, amd64))
	bases := newBases(t)
	require.NoError(t, validate.Image(baseImage(t, resolve(t, bases, s.host+"/base:1"), amd64)))
	files, err := filepath.Glob(filepath.Join(dirOf(bases.Cache), "blobs", "sha256", "*"))
	require.NoError(t, err)
	require.Len(t, files, 4)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		raw[len(raw)/2] ^= 1
		require.NoError(t, os.WriteFile(file, raw, 0o644))
	}
	s.requests()
	require.NoError(t, validate.Image(baseImage(t, resolve(t, bases, s.host+"/base:1"), amd64)))
	assert.Len(t, s.requests(), 4, "index, manifest, configuration and layer")
}

func TestPushMountsTheBaseWithoutPulling(t *testing.T) {
	s := newServer(t)
	s.push(t, "base:1", dockerIndex(t, amd64))
	bases := newBases(t)
	img, err := New(Spec{Platform: amd64, Base: resolve(t, bases, s.host+"/base:1"), Created: epoch, Layers: []Layer{{newLayer(t, text("/app", "x")), "app"}}})
	require.NoError(t, err)
	s.requests()
	for _, repository := range []string{"base", "other"} {
		tag, err := name.NewTag(s.host + "/" + repository + ":pushed")
		require.NoError(t, err)
		require.NoError(t, remote.Write(tag, img))
		for _, asked := range s.requests() {
			assert.False(t, strings.HasPrefix(asked, "GET /v2/base/blobs"), asked)
		}
	}
}

func TestBrokenDownload(t *testing.T) {
	s := newServer(t)
	s.push(t, "base:1", dockerIndex(t, amd64))
	img := baseImage(t, resolve(t, newBases(t), s.host+"/base:1"), amd64)
	layers, err := img.Layers()
	require.NoError(t, err)
	broken := 0 // the client sends one request at a time
	s.damage = func(w http.ResponseWriter, r *http.Request) bool {
		if broken++; broken == tries || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		size, err := layers[0].Size()
		assert.NoError(t, err)
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		_, _ = w.Write([]byte("x"))
		return true
	}
	require.NoError(t, validate.Layer(layers[0]), "the last attempt did it")

	s.damage = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			size, err := layers[0].Size()
			assert.NoError(t, err)
			_, _ = w.Write(make([]byte, size))
		}
		return strings.Contains(r.URL.Path, "/blobs/")
	}
	bases := newBases(t)
	base := resolve(t, bases, s.host+"/base:1")
	_, err = base.Image(amd64)
	require.Error(t, err)
	require.ErrorContains(t, err, s.host+"/base:1")
	assert.Empty(t, leftovers(t, dirOf(bases.Cache)))
}

func TestCancelEndsAPull(t *testing.T) {
	s := newServer(t)
	s.push(t, "base:1", dockerIndex(t, amd64))
	bases := newBases(t)
	img := baseImage(t, resolve(t, bases, s.host+"/base:1"), amd64)
	ctx, cancel := context.WithCancel(t.Context())
	s.damage = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		_, _ = w.Write([]byte("x"))
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done() // the connection is closed
		return true
	}
	path := filepath.Join(t.TempDir(), "image.tar")
	require.ErrorIs(t, WriteArchive(ctx, path, img, ""), context.Canceled)
	assert.NoFileExists(t, path)
	assert.Empty(t, leftovers(t, dirOf(bases.Cache)))
	_, err := bases.Resolve(ctx, s.host+"/base:1")
	require.ErrorIs(t, err, context.Canceled)
}

func TestResolveRefuses(t *testing.T) {
	s := newServer(t)
	s.damage = func(w http.ResponseWriter, r *http.Request) bool {
		_, tag, _ := strings.Cut(r.URL.Path, "/manifests/")
		if strings.HasPrefix(tag, "sha256:") {
			tag = "other"
		}
		answer, ok := map[string][2]string{
			"both":    {string(types.OCIImageIndex), `{"schemaVersion":2,"manifests":[],"layers":[],"config":{"digest":"` + sha256Of(nil).String() + `"}}`},
			"neither": {string(types.OCIManifestSchema1), `{"schemaVersion":2}`},
			"schema1": {string(types.DockerManifestSchema1), `{"schemaVersion":1,"name":"x"}`},
			"json":    {string(types.OCIManifestSchema1), `{`},
			"other":   {string(types.OCIManifestSchema1), `{"schemaVersion":2,"manifests":[]}`},
		}[tag]
		if ok {
			w.Header().Set("Content-Type", answer[0])
			_, _ = io.WriteString(w, answer[1])
		}
		return ok
	}
	bases := newBases(t)
	bases.Remote = believing{newClient(t)}
	for ref, want := range map[string]string{
		s.host + "/base:both":                             "could be an image as well as an index",
		s.host + "/base:neither":                          "neither an image nor an index",
		s.host + "/base:schema1":                          "old format",
		s.host + "/base:json":                             "unexpected EOF",
		s.host + "/base:missing":                          "UNKNOWN",
		s.host + "/base@" + sha256Of([]byte{1}).String():  "digest",
		"Not A Reference":                                 "no image reference",
		"oci:" + filepath.Join(t.TempDir(), "missing"):    "not an OCI layout",
		"oci-archive:" + filepath.Join(t.TempDir(), "no"): "no such file",
		"oci-archive:base_test.go":                        "cannot be read as a tar file",
	} {
		_, err := bases.Resolve(t.Context(), ref)
		require.ErrorContains(t, err, want, ref)
		require.ErrorContains(t, err, "finding the base "+ref)
	}
}

func TestBasePlatforms(t *testing.T) {
	platforms := map[string]v1.Platform{}
	var images []v1.Image
	for _, p := range []string{"linux/amd64", "linux/arm/v5", "linux/arm/v7", "linux/arm64/v8", "linux/riscv64", "windows/amd64"} {
		parsed, err := v1.ParsePlatform(p)
		require.NoError(t, err)
		platforms[p] = *parsed
		images = append(images, imageOf(t, *parsed, newLayer(t, text("/platform", p))))
	}
	x := v1.ImageIndex(indexOf(t, images...))
	unknown := imageOf(t, v1.Platform{OS: "unknown", Architecture: "unknown"})
	x = mutate.AppendManifests(x, mutate.IndexAddendum{Add: unknown, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}})
	path := filepath.Join(t.TempDir(), "base.tar")
	require.NoError(t, WriteArchive(t.Context(), path, x, "v1"))
	base := resolve(t, newBases(t), "oci-archive:"+path)
	assert.Equal(t, mustDigest(t, x), base.Digest)
	assert.Empty(t, base.Name)

	for want, chosen := range map[string]string{
		"linux/amd64": "linux/amd64", "linux/amd64/v1": "linux/amd64", "linux/amd64/v3": "linux/amd64",
		"linux/arm": "linux/arm/v7", "linux/arm/v7": "linux/arm/v7", "linux/arm/v6": "linux/arm/v5", "linux/arm/v8": "linux/arm/v7",
		"linux/arm64": "linux/arm64/v8", "linux/arm64/v8": "linux/arm64/v8", "linux/arm64/v9.1": "linux/arm64/v8",
		"linux/riscv64": "linux/riscv64", "linux/riscv64/rva22u64": "linux/riscv64", "windows/amd64": "windows/amd64",
	} {
		p, err := v1.ParsePlatform(want)
		require.NoError(t, err)
		got, err := fileSystem(t, baseImage(t, base, *p)).ReadFile(t.Context(), "/platform")
		require.NoError(t, err)
		assert.Equal(t, chosen, string(got), want)
	}
	_, err := base.Image(v1.Platform{OS: "linux", Architecture: "s390x"})
	require.EqualError(t, err, "reading the base oci-archive:"+path+": it has no image for linux/s390x, only for linux/amd64, "+
		"linux/arm/v5, linux/arm/v7, linux/arm64/v8, linux/riscv64, windows/amd64: leave the platform out or choose another base")
}

func TestSingleManifestMustMatch(t *testing.T) {
	s := newServer(t)
	img := imageOf(t, arm64, newLayer(t, text("/a", "a")))
	s.push(t, "single:1", img)
	base := resolve(t, newBases(t), s.host+"/single:1")
	assert.Equal(t, mustDigest(t, img), base.Digest)
	require.NoError(t, validate.Image(baseImage(t, base, v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"})))
	_, err := base.Image(amd64)
	require.ErrorContains(t, err, "no image for linux/amd64, only for linux/arm64")
}

func TestLayoutBases(t *testing.T) {
	dir := t.TempDir()
	first, second := indexOf(t, imageOf(t, amd64, newLayer(t, text("/a", "1")))), imageOf(t, amd64, newLayer(t, text("/a", "2")))
	require.NoError(t, WriteLayout(t.Context(), dir, first, ""))
	bases := newBases(t)
	assert.Equal(t, mustDigest(t, first), resolve(t, bases, "oci:"+dir).Digest, "the only one")
	require.NoError(t, WriteLayout(t.Context(), dir, second, "two"))
	require.NoError(t, WriteLayout(t.Context(), dir, first, "one"))
	base := resolve(t, bases, "oci:"+dir+":two")
	assert.Equal(t, mustDigest(t, second), base.Digest)
	require.NoError(t, validate.Image(baseImage(t, base, amd64)))

	_, err := bases.Resolve(t.Context(), "oci:"+dir)
	require.ErrorContains(t, err, `add one of the names ["two" "one"]`)
	_, err = bases.Resolve(t.Context(), "oci:"+dir+":three")
	require.ErrorContains(t, err, `no image named "three" in it, only ["two" "one"]`)

	// What crane writes: index.json is the index itself.
	plain := t.TempDir()
	_, err = layout.Write(plain, dockerIndex(t, amd64, arm64))
	require.NoError(t, err)
	base = resolve(t, bases, "oci:"+plain)
	raw, err := os.ReadFile(filepath.Join(plain, "index.json"))
	require.NoError(t, err)
	assert.Equal(t, sha256Of(raw), base.Digest)
	require.NoError(t, validate.Image(baseImage(t, base, arm64)))

	// A damaged or missing blob is noticed.
	layers, err := baseImage(t, base, arm64).Layers()
	require.NoError(t, err)
	blob := filepath.Join(plain, "blobs", "sha256", mustDigest(t, layers[0]).Hex)
	require.NoError(t, os.WriteFile(blob, []byte("x"), 0o644))
	_, err = layers[0].Uncompressed()
	require.ErrorIs(t, err, cache.ErrDamaged)
	require.NoError(t, os.Remove(blob))
	_, err = layers[0].Compressed()
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "lacks the blob")

	_, err = layout.Write(t.TempDir(), empty.Index)
	require.NoError(t, err)
	none := t.TempDir()
	_, err = layout.Write(none, empty.Index)
	require.NoError(t, err)
	_, err = bases.Resolve(t.Context(), "oci:"+none)
	require.ErrorContains(t, err, "no image in it")
}

func TestPathWithColon(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a:b")
	require.NoError(t, WriteLayout(t.Context(), dir, imageOf(t, amd64), "v1"))
	bases := newBases(t)
	resolve(t, bases, "oci:"+dir)
	resolve(t, bases, "oci:"+dir+":v1")
}

// brokenIndex has one member, whose manifest is made of config and layers as they are.
func brokenIndex(t testing.TB, c *cache.Cache, member string) *Base {
	t.Helper()
	digest, err := put(c, member)
	require.NoError(t, err)
	base, err := newBase(&registrySource{ctx: t.Context(), cache: c, ref: name.MustParseReference("example.com/broken:1"), remote: newClient(t)}, digest, fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"digest":%q,"size":%d}]}`, digest, len(member)))
	require.NoError(t, err)
	base.given, base.images = "broken", map[string]func() (v1.Image, error){}
	return base
}

func TestBrokenMembers(t *testing.T) {
	c := newCache(t)
	config, err := put(c, `{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":[]}}`)
	require.NoError(t, err)
	notJSON, err := put(c, `{`)
	require.NoError(t, err)
	sizes := map[v1.Hash]int{config: 62, notJSON: 1}
	image := func(mediaType types.MediaType, config v1.Hash, layers string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[%s]}`, mediaType, config, sizes[config], layers)
	}
	attestations, err := newBase(layoutSource{}, v1.Hash{}, []byte(`{"manifests":[{"platform":{"os":"unknown","architecture":"unknown"}}]}`))
	require.NoError(t, err)
	_, err = attestations.load(amd64)
	require.ErrorContains(t, err, "no image in it")
	for member, want := range map[string]string{
		`{"schemaVersion":2,"manifests":[]}`:                                                            "an index within an index",
		image("application/vnd.cncf.helm.config.v1+json", config, ""):                                   "not a container image",
		image(types.OCIConfigJSON, config, `{"digest":"`+config.String()+`","size":1}`):                 "has 1 layers and its configuration 0",
		image(types.OCIConfigJSON, notJSON, ""):                                                         "the configuration " + notJSON.String(),
		image(types.OCIConfigJSON, v1.Hash{Algorithm: "sha512", Hex: strings.Repeat("a", 128)}, ""):     "SHA-256",
		`{"schemaVersion":2,"config":{"digest":"` + config.String() + `"},"layers":null,"manifests":1}`: "cannot unmarshal",
	} {
		_, err := brokenIndex(t, c, member).Image(amd64)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "reading the base broken")
	}
}

// What an index says of an image counts for nothing where the image says otherwise.
func TestMislabelledBase(t *testing.T) {
	for _, test := range []struct {
		says, is v1.Platform
		want     string
	}{
		{amd64, arm64, "its configuration says linux/arm64: the image is mislabelled"},
		{v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "windows", Architecture: "amd64"}, "mislabelled"},
		{amd64, v1.Platform{OS: "linux", Architecture: "amd64", Variant: "v4"}, "mislabelled"},
		{v1.Platform{OS: "linux", Architecture: "amd64", Variant: "v1"}, amd64, ""},
		{amd64, v1.Platform{}, ""}, // nothing that would be otherwise
	} {
		img := imageOf(t, test.is, newLayer(t, text("/a", "a")))
		x := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &test.says}})
		name := filepath.Join(t.TempDir(), "base.tar")
		require.NoError(t, WriteArchive(t.Context(), name, x, ""))
		_, err := resolve(t, newBases(t), "oci-archive:"+name).Image(amd64)
		if test.want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, test.want)
		}
	}
}

func TestIndexOfThousandsIsRefused(t *testing.T) {
	one := fmt.Sprintf(`{"digest":%q,"size":1}`, sha256Of(nil))
	_, err := newBase(layoutSource{}, v1.Hash{}, []byte(`{"manifests":[`+strings.Repeat(one+",", manifestLimit)+one+`]}`))
	require.ErrorContains(t, err, "more than the 1000")
}

func TestBlobsMustHaveTheirSize(t *testing.T) {
	s := newServer(t)
	l := newLayer(t, text("/a", "a"))
	layer := *own(l)
	layer.descriptor.Size += 100
	ref := s.push(t, "honest:1", imageOf(t, amd64, l))
	dir := filepath.Join(t.TempDir(), "layout")
	require.NoError(t, WriteLayout(t.Context(), dir, imageOf(t, amd64, l), ""))
	lying := imageOf(t, amd64, &layer)
	raw, err := lying.RawManifest()
	require.NoError(t, err)
	for name, source := range map[string]source{
		"layout":   layoutSource{func(name string) (io.ReadSeekCloser, error) { return os.Open(filepath.Join(dir, name)) }},
		"registry": &registrySource{ctx: t.Context(), cache: newCache(t), remote: newClient(t), ref: ref, fetched: map[v1.Hash]*remote.Descriptor{}},
	} {
		manifest, err := parseManifest(raw)
		require.NoError(t, err)
		got, err := source.blob(t.Context(), mustDigest(t, imageOf(t, amd64, l)), manifest.Layers[0])
		require.ErrorContains(t, err, "and its manifest says", name)
		require.Nil(t, got)
	}
}

func TestDocumentsHaveALimit(t *testing.T) {
	for size, ok := range map[int]bool{documentLimit: true, documentLimit + 1: false} {
		raw, err := readDocument(io.NopCloser(bytes.NewReader(make([]byte, size))))
		assert.Equal(t, ok, err == nil, size)
		assert.Equal(t, ok, len(raw) == size)
	}
}

func TestMediaTypesOfLayers(t *testing.T) {
	for docker, oci := range map[types.MediaType]types.MediaType{
		types.DockerLayer: types.OCILayer, types.DockerUncompressedLayer: types.OCIUncompressedLayer,
		types.DockerForeignLayer: types.OCIRestrictedLayer, types.OCILayerZStd: types.OCILayerZStd,
	} {
		assert.Equal(t, oci, ociType(docker))
	}
}

func TestFamiliarNames(t *testing.T) {
	for given, want := range map[string]string{
		"alpine:3.22": "docker.io/library/alpine:3.22", "user/x:1": "docker.io/user/x:1", "gcr.io/distroless/static-debian13:nonroot": "gcr.io/distroless/static-debian13:nonroot",
	} {
		ref, err := name.ParseReference(given)
		require.NoError(t, err)
		assert.Equal(t, want, familiar(ref))
	}
}

func FuzzIndexArchive(f *testing.F) {
	path := filepath.Join(f.TempDir(), "image.tar")
	require.NoError(f, WriteArchive(f.Context(), path, imageOf(f, amd64, newLayer(f, text("/a", "a"))), "v1"))
	raw, err := os.ReadFile(path)
	require.NoError(f, err)
	f.Add(raw)
	f.Add(raw[:1000])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		parts, err := indexArchive(bytes.NewReader(raw))
		for name, p := range parts {
			require.NoError(t, err)
			content := make([]byte, min(p.size, 1<<20))
			_, _ = io.NewSectionReader(bytes.NewReader(raw), p.offset, p.size).Read(content)
			require.GreaterOrEqual(t, p.offset, int64(0), name)
		}
		if err == nil {
			dir := t.TempDir()
			path := filepath.Join(dir, "a.tar")
			require.NoError(t, os.WriteFile(path, raw, 0o644))
			_, _ = (&Bases{}).Resolve(t.Context(), "oci-archive:"+path) // must not panic
		}
	})
}
