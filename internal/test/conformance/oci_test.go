package conformance

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/schema"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Everything in the layout of a real image, from index.json down, has the form that its media type says, and the size and
// digest that its descriptor says.
func TestLayoutFollowsTheSpecification(t *testing.T) {
	const source = "../../../examples/http-server"
	plan, err := plan.Resolve(t.Context(), os.DirFS(source), plan.Config{
		Runtime: "scratch", Ports: []string{"8080"}, Env: []string{"A=b"}, Args: []string{"x"},
		Labels: []string{"a.label=1"}, Annotations: []string{"an.annotation=2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	built, err := build.BuildOne(t.Context(), host.New(&oci.Bases{}, os.Environ()), source, plan, build.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer built.Close()
	dir := filepath.Join(t.TempDir(), "layout")
	if err := oci.WriteLayout(t.Context(), dir, built.Artifact, plan.Name); err != nil {
		t.Fatal(err)
	}

	l := layout{t: t, dir: dir}
	l.validate(schema.ValidatorMediaTypeLayoutHeader, l.read(ocispec.ImageLayoutFile, ""))
	l.index(l.read("index.json", ""))
	if l.images != 2 || l.layers != 4 {
		t.Errorf("%d images with %d layers were read", l.images, l.layers)
	}
}

type layout struct {
	t              *testing.T
	dir            string
	images, layers int
}

func (l *layout) read(name string, want digest.Digest) []byte {
	l.t.Helper()
	content, err := os.ReadFile(filepath.Join(l.dir, name))
	if err != nil {
		l.t.Fatal(err)
	}
	if got := digest.FromBytes(content); want != "" && got != want {
		l.t.Errorf("%s has the digest %s", name, got)
	}
	return content
}

func (l *layout) blob(d ocispec.Descriptor) []byte {
	l.t.Helper()
	content := l.read(filepath.Join(ocispec.ImageBlobsDir, string(d.Digest.Algorithm()), d.Digest.Encoded()), d.Digest)
	if int64(len(content)) != d.Size {
		l.t.Errorf("%s has %d bytes, and its descriptor says %d", d.Digest, len(content), d.Size)
	}
	return content
}

func (l *layout) validate(kind schema.Validator, content []byte) {
	l.t.Helper()
	if err := kind.Validate(bytes.NewReader(content)); err != nil {
		l.t.Errorf("%s: %v\n%s", kind, err, content)
	}
}

func (l *layout) index(content []byte) {
	l.t.Helper()
	l.validate(schema.ValidatorMediaTypeImageIndex, content)
	var index ocispec.Index
	if err := json.Unmarshal(content, &index); err != nil {
		l.t.Fatal(err)
	}
	for _, d := range index.Manifests {
		switch d.MediaType {
		case ocispec.MediaTypeImageIndex:
			l.index(l.blob(d))
		case ocispec.MediaTypeImageManifest:
			l.manifest(l.blob(d))
		default:
			l.t.Errorf("%s in an index", d.MediaType)
		}
	}
}

func (l *layout) manifest(content []byte) {
	l.t.Helper()
	l.images++
	l.validate(schema.ValidatorMediaTypeManifest, content)
	var manifest ocispec.Manifest
	if err := json.Unmarshal(content, &manifest); err != nil {
		l.t.Fatal(err)
	}
	if manifest.Config.MediaType != ocispec.MediaTypeImageConfig {
		l.t.Errorf("a config of type %s", manifest.Config.MediaType)
	}
	l.validate(schema.ValidatorMediaTypeImageConfig, l.blob(manifest.Config))
	for _, d := range manifest.Layers {
		l.layers++
		if d.MediaType != ocispec.MediaTypeImageLayerGzip {
			l.t.Errorf("a layer of type %s", d.MediaType)
		}
		l.blob(d)
	}
}
