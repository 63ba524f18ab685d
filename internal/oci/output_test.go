package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	oci "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

func fileDigest(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	return sha256Of(raw).Hex
}

func sampleIndex(t testing.TB) v1.ImageIndex {
	t.Helper()
	shared := newLayer(t, text("/shared", "s"))
	return indexOf(t,
		imageOf(t, amd64, shared, newLayer(t, text("/app", "amd64"))),
		imageOf(t, arm64, shared, newLayer(t, text("/app", "arm64"))))
}

// failing is a layer whose content breaks off, after doing something.
type failing struct {
	v1.Layer
	do func() error
}

func (f failing) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(readerFunc(func(p []byte) (int, error) { return 1, f.do() })), nil
}

func TestWriteArchive(t *testing.T) {
	x := sampleIndex(t)
	path := filepath.Join(t.TempDir(), "new", "image.tar")
	require.NoError(t, WriteArchive(t.Context(), path, x, "v1"))
	again := filepath.Join(t.TempDir(), "again.tar")
	require.NoError(t, WriteArchive(t.Context(), again, sampleIndex(t), "v1"))
	assert.Equal(t, fileDigest(t, path), fileDigest(t, again))

	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	assert.EqualValues(t, 0o644, info.Mode().Perm())
	var names []string
	var index v1.IndexManifest
	r := tar.NewReader(f)
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		names = append(names, h.Name)
		assert.Zero(t, h.ModTime.Unix())
		assert.Zero(t, h.Uid+h.Gid)
		if h.Name == "index.json" {
			require.NoError(t, json.NewDecoder(r).Decode(&index))
		}
	}
	assert.Equal(t, []string{"oci-layout", "index.json", "blobs/", "blobs/sha256/"}, names[:4])
	assert.Len(t, names[4:], 3+2*2+1, "three layers, two configurations and manifests, one index")
	require.Len(t, index.Manifests, 1)
	assert.Equal(t, mustDigest(t, x), index.Manifests[0].Digest)
	assert.Equal(t, map[string]string{oci.AnnotationRefName: "v1"}, index.Manifests[0].Annotations)

	dir := t.TempDir()
	require.NoError(t, exec.CommandContext(t.Context(), "tar", "-xf", path, "-C", dir).Run())
	at, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	require.NoError(t, validate.Index(at))
}

func TestWriteArchiveLeavesTheOldFile(t *testing.T) {
	sound := newLayer(t, text("/a", "a"))
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		do   func(cancel func()) error
		want error
	}{
		"content breaks off": {func(func()) error { return broken }, broken},
		"content is damaged": {func(func()) error { return io.EOF }, cache.ErrDamaged},
		"cancelled":          {func(cancel func()) error { cancel(); return nil }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			dir := t.TempDir()
			path := filepath.Join(dir, "image.tar")
			require.NoError(t, os.WriteFile(path, []byte("old"), 0o644))
			img := imageOf(t, amd64, failing{sound, func() error { return test.do(cancel) }})
			err := WriteArchive(ctx, path, img, "")
			require.ErrorIs(t, err, test.want)
			require.ErrorContains(t, err, path)
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, "old", string(raw))
			assert.Empty(t, leftovers(t, dir))
		})
	}
	t.Run("in the way", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, "image.tar"), 0o755))
		require.Error(t, WriteArchive(t.Context(), filepath.Join(dir, "image.tar"), imageOf(t, amd64, sound), ""))
		assert.Empty(t, leftovers(t, dir))
		require.Error(t, WriteArchive(t.Context(), "/dev/null/image.tar", imageOf(t, amd64, sound), ""), "unwritable")
	})
	t.Run("neither image nor index", func(t *testing.T) {
		err := WriteArchive(t.Context(), filepath.Join(t.TempDir(), "a.tar"), taggable{}, "")
		require.ErrorContains(t, err, "neither an image nor an index")
	})
}

type taggable struct{}

func (taggable) RawManifest() ([]byte, error) { return nil, nil }

func readIndex(t testing.TB, dir string) (index v1.IndexManifest) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &index))
	return index
}

func refNames(index v1.IndexManifest) (names []string) {
	for _, d := range index.Manifests {
		names = append(names, d.Annotations[oci.AnnotationRefName])
	}
	return names
}

func TestWriteLayout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "layout")
	first, second := sampleIndex(t), imageOf(t, amd64, newLayer(t, text("/second", "2")))
	for refName, artifact := range map[string]interface{ RawManifest() ([]byte, error) }{"one": first, "two": second} {
		require.NoError(t, WriteLayout(t.Context(), dir, artifact, refName))
	}
	require.NoError(t, WriteLayout(t.Context(), dir, first, ""))
	require.NoError(t, WriteLayout(t.Context(), dir, first, ""))
	require.NoError(t, WriteLayout(t.Context(), dir, second, ""))
	index := readIndex(t, dir)
	assert.ElementsMatch(t, []string{"one", "two", "", ""}, refNames(index))

	require.NoError(t, WriteLayout(t.Context(), dir, second, "one"), "replaces")
	replaced := readIndex(t, dir)
	assert.Equal(t, refNames(index), refNames(replaced), "in its place")
	for _, d := range replaced.Manifests {
		if d.Annotations[oci.AnnotationRefName] == "one" {
			assert.Equal(t, mustDigest(t, second), d.Digest)
		}
	}
	at, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	require.NoError(t, validate.Index(at))
	assert.Empty(t, leftovers(t, dir))
}

func TestWriteLayoutKeepsWhatItDoesNotKnow(t *testing.T) {
	dir := t.TempDir()
	other := `{"mediaType":"application/x","digest":"` + sha256Of(nil).String() + `","size":0,"new":{"b":1,"a":2}}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(layoutMarker+"\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.json"), []byte(`{"schemaVersion":2,"manifests":[`+other+`],"annotations":{"k":"v"}}`), 0o644))
	img := imageOf(t, amd64, newLayer(t, text("/a", "a")))
	// A blob of the right size is kept, another one is written anew.
	digest := mustDigest(t, img)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "blobs", "sha256", digest.Hex), []byte("too short"), 0o644))
	require.NoError(t, WriteLayout(t.Context(), dir, img, "v1"))
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	require.NoError(t, err)
	assert.Contains(t, string(raw), other)
	assert.Contains(t, string(raw), `"annotations":{"k":"v"}`)
	assert.Equal(t, digest.Hex, fileDigest(t, filepath.Join(dir, "blobs", "sha256", digest.Hex)))
	marker, err := os.ReadFile(filepath.Join(dir, "oci-layout"))
	require.NoError(t, err)
	assert.Equal(t, layoutMarker+"\n", string(marker))
}

func TestWriteLayoutRefuses(t *testing.T) {
	img := imageOf(t, amd64, newLayer(t, text("/a", "a")))
	for name, test := range map[string]struct{ file, content, want string }{
		"another directory": {"main.go", "package main", "holds something else"},
		"a new version":     {"oci-layout", `{"imageLayoutVersion":"2.0.0"}`, `version "2.0.0"`},
		"a broken file":     {"oci-layout", `{`, "oci-layout"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, test.file), []byte(test.content), 0o644))
			err := WriteLayout(t.Context(), dir, img, "v1")
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, dir)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Len(t, entries, 1)
		})
	}
	broken := errors.New("broken")
	dir := t.TempDir()
	require.NoError(t, WriteLayout(t.Context(), dir, img, "v1"))
	before := readIndex(t, dir)
	err := WriteLayout(t.Context(), dir, imageOf(t, amd64, failing{newLayer(t, text("/b", "b")), func() error { return broken }}), "v1")
	require.ErrorIs(t, err, broken)
	assert.Equal(t, before, readIndex(t, dir))
	assert.Empty(t, leftovers(t, dir))
}

func TestWriteLayoutConcurrently(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	var want []string
	for i := range 8 {
		refName := fmt.Sprint("v", i)
		want = append(want, refName)
		img := imageOf(t, amd64, newLayer(t, text("/shared", "s")), newLayer(t, text("/own", refName)))
		wg.Go(func() { assert.NoError(t, WriteLayout(t.Context(), dir, img, refName)) })
	}
	wg.Wait()
	assert.ElementsMatch(t, want, refNames(readIndex(t, dir)))

	lock, err := lockLayout(t.Context(), dir)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = WriteLayout(ctx, dir, imageOf(t, amd64), "late")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "another process")
	require.NoError(t, lock.Remove())
	assert.Empty(t, leftovers(t, dir))
}

// A process that was killed at its first step leaves a lock file, and no marker.
func TestWriteLayoutAfterOneThatWasKilled(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".slipway.lock"), nil, 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".slipway-1"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".slipway-1", "lock"), nil, 0o600))
	require.NoError(t, WriteLayout(t.Context(), dir, imageOf(t, amd64), "v1"))
	assert.Equal(t, []string{"v1"}, refNames(readIndex(t, dir)))
	assert.Empty(t, leftovers(t, dir))
}

func TestWriteDocker(t *testing.T) {
	l := newLayer(t, text("/a", "a"))
	img := imageOf(t, amd64, l, newLayer(t, text("/b", "b")), l)
	var buf bytes.Buffer
	require.NoError(t, WriteDocker(t.Context(), &buf, img, "server:dev"))
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }
	loaded, err := tarball.Image(opener, nil)
	require.NoError(t, err)
	require.NoError(t, validate.Image(loaded))
	want, err := img.ConfigName()
	require.NoError(t, err)
	got, err := loaded.ConfigName()
	require.NoError(t, err)
	assert.Equal(t, want, got)
	manifest, err := tarball.LoadManifest(opener)
	require.NoError(t, err)
	assert.Equal(t, []string{"server:dev"}, manifest[0].RepoTags)
	assert.Contains(t, buf.String(), `"io.containerd.image.name":"docker.io/library/server:dev"`)
	assert.Contains(t, buf.String(), `"org.opencontainers.image.ref.name":"dev"`)

	for _, name := range []string{"UPPER:x", "a@" + sha256Of(nil).String(), ""} {
		require.ErrorContains(t, WriteDocker(t.Context(), io.Discard, img, name), "cannot name an image")
	}
	broken := errors.New("pipe closed")
	require.ErrorIs(t, WriteDocker(t.Context(), writerFunc(func([]byte) (int, error) { return 0, broken }), img, "a:b"), broken)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// run runs a tool, and skips the test where it is not installed. Debian's packages have the tools' names.
func run(t testing.TB, tool string, args ...string) string {
	t.Helper()
	tool = testtool.Need(t, tool, tool)
	command := exec.CommandContext(t.Context(), tool, args...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	require.NoError(t, err, "%v: %s", args, stderr.String())
	return string(out)
}

func TestOtherToolsReadTheOutput(t *testing.T) {
	dir := t.TempDir()
	archive := filepath.Join(dir, "image.tar")
	require.NoError(t, WriteArchive(t.Context(), archive, indexOf(t, imageOf(t, amd64, newLayer(t, sampleFiles()...))), "v1"))
	inspected := run(t, "skopeo", "--override-arch=amd64", "--override-os=linux", "inspect", "oci-archive:"+archive+":v1")
	assert.Contains(t, inspected, `"Architecture": "amd64"`)

	copied := filepath.Join(dir, "copied")
	run(t, "skopeo", "--insecure-policy", "--override-arch=amd64", "--override-os=linux", "copy", "oci-archive:"+archive+":v1", "oci:"+copied+":v1")
	bundle := filepath.Join(dir, "bundle")
	args := []string{"unpack", "--image", copied + ":v1", bundle}
	if os.Geteuid() != 0 {
		args = append(args, "--rootless")
	}
	run(t, "umoci", args...)
	raw, err := os.ReadFile(filepath.Join(bundle, "rootfs", "app", "server"))
	require.NoError(t, err)
	assert.Equal(t, "program", string(raw))

	directory := filepath.Join(dir, "layout")
	require.NoError(t, WriteLayout(t.Context(), directory, imageOf(t, amd64, newLayer(t, sampleFiles()...)), "v2"))
	run(t, "skopeo", "inspect", "oci:"+directory+":v2")
	run(t, "umoci", "list", "--layout", directory)

	docker := filepath.Join(dir, "docker.tar")
	f, err := os.Create(docker)
	require.NoError(t, err)
	require.NoError(t, WriteDocker(t.Context(), f, imageOf(t, amd64, newLayer(t, sampleFiles()...)), "example.com/server:dev"))
	require.NoError(t, f.Close())
	assert.Contains(t, run(t, "skopeo", "inspect", "docker-archive:"+docker), "amd64")
	run(t, "skopeo", "--insecure-policy", "copy", "docker-archive:"+docker+":example.com/server:dev", "oci:"+copied+":docker")
	run(t, "skopeo", "inspect", "oci-archive:"+docker)

	packed, err := NewLayer(t.Context(), newCache(t), sampleFiles(), epoch, Compression{Zstd: true, Level: 9})
	require.NoError(t, err)
	zipped := imageOf(t, amd64, newLayer(t, text("/first", "1")), packed)
	archive = filepath.Join(dir, "zstd.tar")
	require.NoError(t, WriteArchive(t.Context(), archive, zipped, "v3"))
	assert.Contains(t, run(t, "skopeo", "inspect", "--raw", "oci-archive:"+archive), "application/vnd.oci.image.layer.v1.tar+zstd")
	plain := filepath.Join(dir, "plain") // which skopeo compares with the configuration
	run(t, "skopeo", "--insecure-policy", "copy", "--dest-decompress", "oci-archive:"+archive, "dir:"+plain)
	content, err := os.ReadFile(filepath.Join(plain, must(packed.DiffID()).Hex))
	require.NoError(t, err)
	assert.Contains(t, string(content), "program")
}

// docker load knows gzip alone.
func TestWriteDockerDecompressesZstd(t *testing.T) {
	packed, err := NewLayer(t.Context(), newCache(t), sampleFiles(), epoch, Compression{Zstd: true})
	require.NoError(t, err)
	first := newLayer(t, text("/first", "1"))
	img := imageOf(t, amd64, first, packed)
	docker := filepath.Join(t.TempDir(), "docker.tar")
	f, err := os.Create(docker)
	require.NoError(t, err)
	require.NoError(t, WriteDocker(t.Context(), f, img, "server:dev"))
	require.NoError(t, f.Close())
	loaded, err := tarball.ImageFromPath(docker, nil)
	require.NoError(t, err)
	assert.Equal(t, must(img.ConfigName()), must(loaded.ConfigName()))
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(docker) })
	require.NoError(t, err)
	assert.Equal(t, []string{"blobs/sha256/" + mustDigest(t, first).Hex, "blobs/sha256/" + must(packed.DiffID()).Hex}, manifest[0].Layers)
	base, err := newBases(t).Resolve(t.Context(), "oci-archive:"+docker)
	require.NoError(t, err)
	layers := must(baseImage(t, base, amd64).Layers())
	assert.Equal(t, types.OCIUncompressedLayer, must(layers[1].MediaType()))
	assert.Equal(t, must(packed.DiffID()), mustDigest(t, layers[1]))
	content := must(layers[1].Compressed())
	digest, _, err := v1.SHA256(content)
	require.NoError(t, errors.Join(err, content.Close()))
	assert.Equal(t, must(packed.DiffID()), digest)
}
