package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
	slipregistry "github.com/slipway-ci/slipway/internal/registry"
)

func TestMain(m *testing.M) {
	for _, login := range []string{"DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "HOME", "USERPROFILE"} {
		if err := os.Setenv(login, filepath.Join(os.TempDir(), "nowhere")); err != nil { // whatever logins the person has who runs this
			panic(err)
		}
	}
	code := m.Run()
	remote.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var (
	epoch = time.Unix(1_700_000_000, 0)
	amd64 = v1.Platform{OS: "linux", Architecture: "amd64"}
	arm64 = v1.Platform{OS: "linux", Architecture: "arm64"}
)

// directories are those of the tests' caches.
var directories sync.Map

func newCache(t testing.TB) *cache.Cache {
	t.Helper()
	dir := t.TempDir()
	c, err := cache.Open(dir)
	require.NoError(t, err)
	directories.Store(c, dir)
	return c
}

func dirOf(c *cache.Cache) string {
	dir, _ := directories.Load(c)
	return dir.(string)
}

// blobFile is the file of a cached blob.
func blobFile(c *cache.Cache, digest v1.Hash) string {
	return filepath.Join(dirOf(c), "blobs", "sha256", digest.Hex)
}

// put caches content.
func put(c *cache.Cache, content string) (v1.Hash, error) {
	digest := sha256Of([]byte(content))
	return digest, putBlob(c, digest, func(w io.Writer) error { _, err := io.WriteString(w, content); return err })
}

func newLayer(t testing.TB, files ...File) v1.Layer {
	t.Helper()
	l, err := NewLayer(t.Context(), newCache(t), files, epoch, Compression{})
	require.NoError(t, err)
	return l
}

func text(path, content string) File { return FromBytes(path, 0o644, []byte(content)) }

func link(path, target string) File { return File{Path: path, Mode: fs.ModeSymlink, Link: target} }

// rawLayer is a layer with any names, such as whiteouts.
func rawLayer(t testing.TB, headers ...tar.Header) v1.Layer {
	t.Helper()
	c := newCache(t)
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		content := h.Linkname
		if h.Typeflag == tar.TypeReg {
			h.Size, h.Linkname = int64(len(content)), ""
		}
		require.NoError(t, w.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := w.Write([]byte(content))
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	digest, err := put(c, buf.String())
	require.NoError(t, err)
	return &layer{
		descriptor: v1.Descriptor{MediaType: types.OCIUncompressedLayer, Digest: digest, Size: int64(buf.Len())},
		diffID:     digest,
		open:       func(context.Context) (io.ReadCloser, error) { return getBlob(c, digest) },
	}
}

// imageOf is an image of these layers, lowest first.
func imageOf(t testing.TB, platform v1.Platform, layers ...v1.Layer) v1.Image {
	t.Helper()
	spec := Spec{Platform: platform, Created: epoch, Config: v1.Config{Env: []string{"PATH=/bin", "A=base"}, Labels: map[string]string{"from": "base"}, Cmd: []string{"sh"}}}
	for _, l := range layers {
		spec.Layers = append(spec.Layers, Layer{l, "a test"})
	}
	img, err := New(spec)
	require.NoError(t, err)
	return img
}

func indexOf(t testing.TB, images ...v1.Image) v1.ImageIndex {
	t.Helper()
	x, err := NewIndex(images, nil)
	require.NoError(t, err)
	return x
}

// dockerIndex is an index and image in Docker's formats, with a health check.
func dockerIndex(t testing.TB, platforms ...v1.Platform) v1.ImageIndex {
	t.Helper()
	x := mutate.IndexMediaType(empty.Index, types.DockerManifestList)
	for _, p := range platforms {
		source := newLayer(t, text("/etc/os-release", "ID=base "+p.String()))
		l := dockerLayer{source}
		img, err := mutate.AppendLayers(empty.Image, l)
		require.NoError(t, err)
		file, err := img.ConfigFile()
		require.NoError(t, err)
		file = file.DeepCopy()
		file.OS, file.Architecture, file.Variant = p.OS, p.Architecture, p.Variant
		file.Author, file.Container = "somebody", "abc"
		file.Config = v1.Config{
			Env: []string{"PATH=/bin", "A=base", "Z=last"}, Entrypoint: []string{"/base"}, Cmd: []string{"run"}, User: "root",
			Labels: map[string]string{"kept": "yes", "changed": "no"}, WorkingDir: "/base", StopSignal: "SIGINT",
			Volumes: map[string]struct{}{"/data": {}}, ExposedPorts: map[string]struct{}{"80/tcp": {}},
			Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "true"}}, OnBuild: []string{"RUN x"}, Shell: []string{"sh"}, Hostname: "h",
		}
		file.History = []v1.History{{CreatedBy: "ADD"}, {CreatedBy: "ENV", EmptyLayer: true}}
		img, err = mutate.ConfigFile(img, file)
		require.NoError(t, err)
		x = mutate.AppendManifests(x, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &p}})
	}
	return x
}

type dockerLayer struct{ v1.Layer }

func (dockerLayer) MediaType() (types.MediaType, error) { return types.DockerLayer, nil }
func (l dockerLayer) Descriptor() (*v1.Descriptor, error) {
	d, err := partial.Descriptor(l.Layer)
	if err == nil {
		d.MediaType = types.DockerLayer
	}
	return d, err
}

// server is a registry that remembers what it was asked for.
type server struct {
	host string
	mu   sync.Mutex
	// asked are the requests for manifests and blobs.
	asked []string
	// damage, if not nil, may answer in place of the registry.
	damage func(http.ResponseWriter, *http.Request) bool
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		if strings.Contains(r.URL.Path, "/manifests/") || strings.Contains(r.URL.Path, "/blobs/") {
			s.asked = append(s.asked, r.Method+" "+r.URL.Path)
		}
		damage := s.damage
		s.mu.Unlock()
		if damage == nil || !damage(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(web.Close)
	s.host = strings.TrimPrefix(web.URL, "http://")
	return s
}

func (s *server) push(t testing.TB, ref string, what remote.Taggable) name.Reference {
	t.Helper()
	tag, err := name.ParseReference(s.host + "/" + ref)
	require.NoError(t, err)
	require.NoError(t, remote.Push(tag, what))
	s.requests()
	return tag
}

// requests are those since the last call.
func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// tries is how often the tests' client makes a request.
const tries = 3

func newClient(t testing.TB) *slipregistry.Client {
	t.Helper()
	client, err := slipregistry.New(slipregistry.Options{Bounds: slipregistry.Bounds{Tries: tries, Wait: time.Millisecond}})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// believing is a Remote that checks nothing of what comes.
type believing struct{ *slipregistry.Client }

func (believing) Get(ctx context.Context, ref name.Reference) (*remote.Descriptor, error) {
	return remote.Get(ref, remote.WithContext(ctx))
}

// leftovers are the temporary files below dir.
func leftovers(t testing.TB, dir string) (found []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), temporary.Unfinished) {
			found = append(found, path)
		}
		return err
	}))
	return found
}

func mustDigest(t testing.TB, d interface{ Digest() (v1.Hash, error) }) v1.Hash {
	t.Helper()
	digest, err := d.Digest()
	require.NoError(t, err)
	return digest
}
