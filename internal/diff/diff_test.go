package diff

import (
	"debug/buildinfo"
	"io/fs"
	"runtime/debug"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/size"
	"github.com/slipway-ci/slipway/internal/size/program"
)

// read makes an image of a base and other files, and reads it.
func read(t *testing.T, config v1.Config, created int64, files []oci.File, more ...oci.File) *Image {
	t.Helper()
	c, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	spec := oci.Spec{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Created: time.Unix(created, 0), Config: config}
	for i, files := range [][]oci.File{files, more} {
		l, err := oci.NewLayer(t.Context(), c, files, spec.Created, oci.Compression{})
		require.NoError(t, err)
		spec.Layers = append(spec.Layers, oci.Layer{Layer: l, CreatedBy: []string{"base", "slipway: files"}[i]})
	}
	img, err := oci.New(spec)
	require.NoError(t, err)
	digest, err := img.Digest()
	require.NoError(t, err)
	p, err := Read(t.Context(), img, digest, nil)
	require.NoError(t, err)
	return &Image{Name: "image", Digest: digest.String(), Platforms: []*Platform{p}}
}

func text(path, content string, mode fs.FileMode) oci.File {
	return oci.FromBytes(path, mode, []byte(content))
}

// debian is a base with packages.
func debian(version, system string) []oci.File {
	return []oci.File{
		text("/etc/os-release", "ID=debian\nVERSION_ID="+system+"\n", 0o644),
		text("/var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: "+version+"\nArchitecture: all\n", 0o644),
		text("/var/lib/dpkg/status.d/tzdata.md5sums", "0123  usr/share/zoneinfo/UTC\n", 0o644),
		text("/usr/share/zoneinfo/UTC", version, 0o644),
	}
}

func TestCompare(t *testing.T) {
	link := oci.File{Path: "/link", Mode: fs.ModeSymlink | 0o777, Link: "a"}
	moved := link
	moved.Link = "b"
	owned := text("/owner", "x", 0o644)
	owned.UID = 7
	before := read(t, v1.Config{
		Env: []string{"A=1", "B=2"}, User: "1:1", Entrypoint: []string{"/app/a", "two words"}, ExposedPorts: map[string]struct{}{"80/tcp": {}}, Labels: map[string]string{"l": "1"},
	}, 0, debian("2025a", "12"), text("/gone", "xx", 0o644), link, text("/mode", "x", 0o644), text("/owner", "x", 0o644), text("/same", "x", 0o644))
	after := read(t, v1.Config{
		Env: []string{"A=1", "B=3", "C="}, User: "1:1", Entrypoint: []string{"/app/a"}, ExposedPorts: map[string]struct{}{"80/tcp": {}, "443/tcp": {}}, StopSignal: "SIGINT",
	}, 0, debian("2025b", "13"), moved, text("/mode", "x", 0o755), text("/new", "xx", 0o644), owned, text("/same", "x", 0o644))
	r := Compare(before, after)
	require.Len(t, r.Platforms, 1)
	d := r.Platforms[0]
	assert.False(t, r.Equal)
	assert.False(t, d.Same())
	assert.Equal(t, &Change{Before: "debian 12", After: "debian 13"}, d.System)
	assert.Equal(t, []Change{{"tzdata", "2025a", "2025b"}}, d.Packages)
	assert.Equal(t, []Change{
		{"entrypoint", `/app/a "two words"`, "/app/a"},
		{"env B", "2", "3"},
		{"env C", "", "(empty)"},
		{"label l", "1", ""},
		{"ports", "80/tcp", "443/tcp, 80/tcp"},
		{"stop signal", "", "SIGINT"},
	}, d.Settings)
	var files []string
	for _, f := range d.Files {
		line := f.Path + " " + f.Package
		for _, what := range f.Changed() {
			line += " " + what
		}
		files = append(files, line)
	}
	assert.Equal(t, []string{
		"/etc/os-release  content", "/gone ", "/link  link", "/mode  mode", "/new ", "/owner  owner",
		"/usr/share/zoneinfo/UTC tzdata content", "/var/lib/dpkg/status.d/tzdata tzdata content",
	}, files)
	assert.NotEmpty(t, d.Sizes)
	assert.Nil(t, d.Vulnerabilities)
	for _, same := range []*Image{before, after} {
		r := Compare(same, same)
		assert.True(t, r.Equal)
		assert.True(t, r.Platforms[0].Same())
	}
}

// What differs in time alone is named as such.
func TestTimes(t *testing.T) {
	r := Compare(read(t, v1.Config{}, 0, nil, text("/a", "x", 0o644)), read(t, v1.Config{}, 86400, nil, text("/a", "x", 0o644)))
	d := r.Platforms[0]
	assert.Equal(t, []Change{{"created", "1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"}}, d.Settings)
	require.Len(t, d.Files, 1)
	assert.Equal(t, []string{"time"}, d.Files[0].Changed())
}

// An image that is for one platform alone is compared with another, whatever that is for; of others, each with its own.
func TestPairs(t *testing.T) {
	p := func(name string) *Platform { return &Platform{Platform: name} }
	pairs := Pairs(&Image{Platforms: []*Platform{p("linux/amd64")}}, &Image{Platforms: []*Platform{p("linux/arm64")}})
	assert.NotNil(t, pairs["linux/arm64"][0])
	pairs = Pairs(&Image{Platforms: []*Platform{p("linux/amd64"), p("linux/arm64")}}, &Image{Platforms: []*Platform{p("linux/arm64")}})
	assert.Nil(t, pairs["linux/amd64"][1])
	assert.NotNil(t, pairs["linux/arm64"][0])
	assert.NotNil(t, pairs["linux/arm64"][1])
}

// built is what Go says of a program with these modules.
func built(goVersion string, modules ...*debug.Module) *Platform {
	info := &buildinfo.BuildInfo{
		GoVersion: goVersion, Path: "example.com/app", Main: debug.Module{Path: "example.com/app", Version: "(devel)"}, Deps: modules,
		Settings: []debug.BuildSetting{{Key: "GOARCH", Value: goVersion}, {Key: "CGO_ENABLED", Value: "0"}},
	}
	return &Platform{found: &sbom.Found{Programs: map[string]*buildinfo.BuildInfo{"/app/app": info}}}
}

func TestModules(t *testing.T) {
	before := built("go1.26.0",
		&debug.Module{Path: "example.com/same", Version: "v1.0.0"}, &debug.Module{Path: "example.com/newer", Version: "v1.0.0"}, &debug.Module{Path: "example.com/gone", Version: "v1.0.0"},
		&debug.Module{Path: "example.com/major/v2", Version: "v2.5.0"}, &debug.Module{Path: "example.com/fork", Version: "v1.0.0"},
		&debug.Module{Path: "gopkg.in/yaml.v2", Version: "v2.4.0"},
	)
	after := built("go1.26.1",
		&debug.Module{Path: "example.com/same", Version: "v1.0.0"}, &debug.Module{Path: "example.com/newer", Version: "v1.1.0"}, &debug.Module{Path: "example.com/added", Version: "v1.0.0"},
		&debug.Module{Path: "example.com/major/v3", Version: "v3.0.0"},
		&debug.Module{Path: "example.com/fork", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/mine", Version: "v1.0.1"}},
		&debug.Module{Path: "gopkg.in/yaml.v3", Version: "v3.0.1"},
	)
	assert.Equal(t, []Module{
		{Change: Change{"example.com/added", "", "v1.0.0"}},
		{Change: Change{"example.com/fork", "v1.0.0", "v1.0.0 => example.com/mine@v1.0.1"}},
		{Change: Change{"example.com/gone", "v1.0.0", ""}},
		{Change: Change{"example.com/major/v3", "v2.5.0", "v3.0.0"}, From: "example.com/major/v2"},
		{Change: Change{"example.com/newer", "v1.0.0", "v1.1.0"}},
		{Change: Change{"gopkg.in/yaml.v3", "v2.4.0", "v3.0.1"}, From: "gopkg.in/yaml.v2"},
	}, moved(changes(before.modules(), after.modules())))
	assert.Equal(t, "1.26.1", after.goVersions())
	assert.Empty(t, changes(before.build(), after.build()), "the architecture is no setting of the build")
	assert.Empty(t, changes(before.programs(), after.programs()))
}

// Of two major versions that were added, none is what another became.
func TestMajorVersionsBesideEachOther(t *testing.T) {
	all := []Change{{"example.com/a", "v1.0.0", ""}, {"example.com/a/v2", "", "v2.0.0"}, {"example.com/a/v3", "", "v3.0.0"}}
	assert.Equal(t, []Module{{Change: all[0]}, {Change: all[1]}, {Change: all[2]}}, moved(all))
}

// Functions with other code of the same size are named, unless code has moved.
func TestFunctions(t *testing.T) {
	of := func(functions ...program.Function) *size.Platform {
		return &size.Platform{Programs: []*size.Program{{Path: "/app", Program: &program.Program{
			Modules: []*program.Module{{Path: "m", Packages: []*program.Package{{Path: "m/p", Functions: functions}}}},
		}}}}
	}
	f := func(name string, code int64, hash uint64) program.Function {
		return program.Function{Name: name, Code: code, Hash: hash}
	}
	before := of(f("A", 1, 1), f("(*T).B", 2, 2), f("C", 3, 3))
	assert.Equal(t, []string{"m/p.(*T).B", "m/p.C"}, functions(before, of(f("C", 3, 9), f("(*T).B", 2, 9), f("A", 1, 1))))
	assert.Empty(t, functions(before, before))
	assert.Empty(t, functions(before, of(f("A", 1, 9), f("(*T).B", 2, 2), f("C", 4, 3))), "another size")
	assert.Empty(t, functions(before, of(f("A", 1, 9), f("(*T).B", 2, 2))), "a function less")
	assert.Empty(t, functions(before, &size.Platform{}), "no such program")
}
