package oci

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sampleSpec(t testing.TB, base *Base) Spec {
	t.Helper()
	return Spec{
		Platform: v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}, Base: base,
		Layers: []Layer{{newLayer(t, text("/etc/a", "a")), "files"}, {newLayer(t, FromBytes("/app/x", 0o755, nil)), "program"}},
		Config: v1.Config{
			User: "65532:65532", Entrypoint: []string{"/app/x"}, Env: []string{"A=spec", "B=1", "B=2"}, WorkingDir: "/app",
			ExposedPorts: map[string]struct{}{"8080/tcp": {}, "53/udp": {}}, Labels: map[string]string{"changed": "yes", "new": "1"},
		},
		Annotations: map[string]string{"z": "1", "a": "2"}, Created: epoch.In(time.FixedZone("x", 7200)),
	}
}

func TestNewOnScratch(t *testing.T) {
	img, err := New(sampleSpec(t, nil))
	require.NoError(t, err)
	require.NoError(t, validate.Image(img))
	raw, err := img.RawConfigFile()
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"architecture": "arm64", "os": "linux", "variant": "v8", "created": "2023-11-14T22:13:20Z",
		"config": {
			"User": "65532:65532", "Entrypoint": ["/app/x"], "Env": ["A=spec", "B=2"], "WorkingDir": "/app",
			"ExposedPorts": {"8080/tcp": {}, "53/udp": {}}, "Labels": {"changed": "yes", "new": "1"}
		},
		"history": [{"created": "2023-11-14T22:13:20Z", "created_by": "files"}, {"created": "2023-11-14T22:13:20Z", "created_by": "program"}],
		"rootfs": `+rootFS(t, img)+`
	}`, string(raw))
	manifest, err := img.Manifest()
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"z": "1", "a": "2"}, manifest.Annotations)
	for _, l := range manifest.Layers {
		assert.Equal(t, types.OCILayer, l.MediaType)
	}
	again, err := New(sampleSpec(t, nil))
	require.NoError(t, err)
	assert.Equal(t, mustDigest(t, img), mustDigest(t, again))

	bare, err := New(Spec{Platform: amd64})
	require.NoError(t, err)
	require.NoError(t, validate.Image(bare))
}

func rootFS(t testing.TB, img v1.Image) string {
	t.Helper()
	layers, err := img.Layers()
	require.NoError(t, err)
	fs := v1.RootFS{Type: "layers"}
	for _, l := range layers {
		id, err := l.DiffID()
		require.NoError(t, err)
		fs.DiffIDs = append(fs.DiffIDs, id)
	}
	raw, err := json.Marshal(fs)
	require.NoError(t, err)
	return string(raw)
}

func TestNewOnABase(t *testing.T) {
	s := newServer(t)
	s.push(t, "base:1", dockerIndex(t, amd64, arm64))
	base := resolve(t, newBases(t), s.host+"/base:1")
	img, err := New(sampleSpec(t, base))
	require.NoError(t, err)
	require.NoError(t, validate.Image(img))
	raw, err := img.RawConfigFile()
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"architecture": "arm64", "os": "linux", "variant": "v8", "created": "2023-11-14T22:13:20Z",
		"config": {
			"User": "65532:65532", "Entrypoint": ["/app/x"], "Env": ["PATH=/bin", "A=spec", "Z=last", "B=2"], "WorkingDir": "/app",
			"ExposedPorts": {"80/tcp": {}, "8080/tcp": {}, "53/udp": {}}, "Labels": {"kept": "yes", "changed": "yes", "new": "1"},
			"Volumes": {"/data": {}}, "StopSignal": "SIGINT"
		},
		"history": [
			{"created": "0001-01-01T00:00:00Z", "created_by": "ADD"}, {"created": "0001-01-01T00:00:00Z", "created_by": "ENV", "empty_layer": true},
			{"created": "2023-11-14T22:13:20Z", "created_by": "files"}, {"created": "2023-11-14T22:13:20Z", "created_by": "program"}
		],
		"rootfs": `+rootFS(t, img)+`
	}`, string(raw))
	manifest, err := img.Manifest()
	require.NoError(t, err)
	assert.Equal(t, map[string]string{
		"z": "1", "a": "2", oci.AnnotationBaseImageName: s.host + "/base:1", oci.AnnotationBaseImageDigest: base.Digest.String(),
	}, manifest.Annotations)

	spec := sampleSpec(t, base)
	spec.Config.WorkingDir, spec.Config.StopSignal, spec.Config.Volumes = "", "SIGQUIT", map[string]struct{}{"/more": {}}
	spec.Config.Healthcheck = &v1.HealthConfig{Test: []string{"CMD", "/app/x"}}
	spec.Annotations = map[string]string{oci.AnnotationBaseImageName: "example.com/own:1"}
	img, err = New(spec)
	require.NoError(t, err)
	file, err := img.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, "/base", file.Config.WorkingDir)
	assert.Equal(t, "SIGQUIT", file.Config.StopSignal)
	assert.Equal(t, []string{"CMD", "/app/x"}, file.Config.Healthcheck.Test)
	assert.Equal(t, map[string]struct{}{"/data": {}, "/more": {}}, file.Config.Volumes)
	manifest, err = img.Manifest()
	require.NoError(t, err)
	assert.Equal(t, "example.com/own:1", manifest.Annotations[oci.AnnotationBaseImageName])

	spec.Platform.Architecture = "s390x"
	_, err = New(spec)
	require.ErrorContains(t, err, "no image for linux/s390x")
}

func TestBaseHistoryMatchesItsLayers(t *testing.T) {
	told := []v1.History{{CreatedBy: "a"}, {CreatedBy: "b", EmptyLayer: true}}
	assert.Equal(t, told, baseHistory(told, 1, v1.Time{Time: epoch}))
	assert.Equal(t, []v1.History{
		{Created: v1.Time{Time: epoch}, CreatedBy: "base image"}, {Created: v1.Time{Time: epoch}, CreatedBy: "base image"},
	}, baseHistory(told, 2, v1.Time{Time: epoch}))
	assert.Empty(t, baseHistory(nil, 0, v1.Time{}))
}

func TestNewIndex(t *testing.T) {
	images := []v1.Image{imageOf(t, arm64), imageOf(t, amd64), imageOf(t, v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"})}
	x, err := NewIndex(images, map[string]string{"k": "v"})
	require.NoError(t, err)
	require.NoError(t, validate.Index(x))
	manifest, err := x.IndexManifest()
	require.NoError(t, err)
	assert.Equal(t, types.OCIImageIndex, manifest.MediaType)
	assert.Equal(t, map[string]string{"k": "v"}, manifest.Annotations)
	var platforms []string
	for _, d := range manifest.Manifests {
		platforms = append(platforms, d.Platform.String())
		assert.Equal(t, types.OCIManifestSchema1, d.MediaType)
	}
	assert.Equal(t, []string{"linux/arm64", "linux/amd64", "linux/arm/v7"}, platforms)
	again, err := NewIndex(images, map[string]string{"k": "v"})
	require.NoError(t, err)
	assert.Equal(t, mustDigest(t, x), mustDigest(t, again))
	_, err = x.Image(sha256Of(nil))
	require.Error(t, err)
	_, err = x.ImageIndex(sha256Of(nil))
	require.Error(t, err)
}

func TestPath(t *testing.T) {
	const standard = "PATH=" + DefaultPath + ":/app"
	for _, test := range []struct{ base, own, want []string }{
		{nil, nil, []string{standard}},
		{[]string{"A=1", "PATH=/bin", "B=2"}, []string{"C=3"}, []string{"A=1", "PATH=/bin:/app", "B=2", "C=3"}},
		{[]string{"A=1", "XPATH=/x"}, []string{"B=2"}, []string{"A=1", "XPATH=/x", standard, "B=2"}},
		{[]string{"PATH="}, nil, []string{standard}},
		{nil, []string{"B=2", "PATH=/usr/bin"}, []string{"B=2", "PATH=/usr/bin:/app"}},
	} {
		spec := Spec{Config: v1.Config{Env: test.own}, Path: []string{"/app"}}
		base := slices.Clone(test.base)
		assert.Equal(t, test.want, spec.env(test.base))
		assert.Equal(t, base, test.base, "the base's is not changed")
	}
	assert.Equal(t, []string{"A=1"}, Spec{Config: v1.Config{Env: []string{"A=1"}}}.env(nil), "nothing to find there")
}
