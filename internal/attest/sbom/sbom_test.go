package sbom_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdxlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest/sbom"
)

// tarFile is a file of a layer; a directory if its name ends in a slash.
type tarFile struct {
	name, content string
	mode          int64
}

func layer(t testing.TB, files ...tarFile) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: f.mode | 0o644, Size: int64(len(f.content)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(f.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		require.NoError(t, w.WriteHeader(h))
		_, err := io.WriteString(w, f.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	require.NoError(t, err)
	return l
}

func imageOf(t testing.TB, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	img, err = mutate.ConfigFile(img, config)
	require.NoError(t, err)
	return img
}

// compiled is a real program that has modules besides its own.
func compiled(t testing.TB) (path, content string) {
	t.Helper()
	raw, err := compileOnce()
	require.NoError(t, err)
	path = filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(path, raw, 0o755))
	return path, string(raw)
}

var compileOnce = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "program")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags=one,two", "-o", path, "./testdata/program")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(path)
})

func goCommand(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("go", args...).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// notes are stored as JSON, as a cache.Cache does.
type notes map[string][]byte

func (n notes) Get(key string, into any) bool {
	text, ok := n[key]
	return ok && json.Unmarshal(text, into) == nil
}

func (n notes) Put(key string, what any) (err error) {
	n[key], err = json.Marshal(what)
	return err
}

// cycloneDX takes the inventory as encode does, and reads it back.
func cycloneDX(t testing.TB, img v1.Image, o sbom.Options) map[string]cyclonedx.Component {
	t.Helper()
	bom := cyclonedx.NewBOM()
	require.NoError(t, cyclonedx.NewBOMDecoder(bytes.NewReader(encode(t, img, o, sbom.CycloneDX)), cyclonedx.BOMFileFormatJSON).Decode(bom))
	byRef := map[string]cyclonedx.Component{}
	for _, c := range *bom.Components {
		assert.NotContains(t, byRef, c.BOMRef)
		byRef[c.BOMRef] = c
	}
	return byRef
}

// encode takes the inventory several times, with and without notes, and wants the same bytes.
func encode(t testing.TB, img v1.Image, o sbom.Options, format sbom.Format) []byte {
	t.Helper()
	var documents [][]byte
	kept := notes{}
	for _, memory := range []sbom.Cache{nil, nil, kept, kept} {
		o.Cache = memory
		inventory, err := sbom.Read(t.Context(), img, o)
		require.NoError(t, err)
		document, err := inventory.Encode(format)
		require.NoError(t, err)
		documents = append(documents, document)
		assert.Equal(t, string(documents[0]), string(document), "the same image gives the same bytes, read or recalled")
	}
	return documents[0]
}

func ofType(components map[string]cyclonedx.Component, kind cyclonedx.ComponentType) []string {
	var names []string
	for _, c := range components {
		if c.Type == kind {
			names = append(names, strings.TrimSuffix(c.Name+" "+c.Version, " "))
		}
	}
	slices.Sort(names)
	return names
}

func TestProgramOnScratch(t *testing.T) {
	path, content := compiled(t)
	goMod, err := os.ReadFile("../../../go.mod")
	require.NoError(t, err)
	modules := sbom.NewModules(os.DirFS(goCommand(t, "env", "GOMODCACHE")), goMod)
	img := imageOf(t,
		layer(t, tarFile{name: "etc/passwd", content: "root:x:0:0::/:\n"}, tarFile{name: "etc/gone", content: "x"}, tarFile{name: "dir/"}, tarFile{name: "dir/a", content: "lower"}),
		layer(t, tarFile{name: "etc/.wh.gone"}, tarFile{name: "dir/.wh..wh..opq"}, tarFile{name: "dir/b", content: "upper"}, tarFile{name: "app/program", content: content, mode: 0o755}),
	)
	components := cycloneDX(t, img, sbom.Options{Name: "server", Version: "v1.2.3", Modules: modules})

	// The list of modules is the one that go version -m has.
	var want []string
	sums := map[string]string{}
	for line := range strings.Lines(goCommand(t, "version", "-m", path)) {
		if fields := strings.Fields(line); fields[0] == "dep" {
			want = append(want, fields[1]+" "+fields[2])
			sums[fields[1]] = fields[3]
		}
	}
	require.NotEmpty(t, want)
	version := goCommand(t, "env", "GOVERSION")
	want = append(want, "stdlib "+strings.TrimPrefix(version, "go"))
	slices.Sort(want)
	assert.Equal(t, want, ofType(components, cyclonedx.ComponentTypeLibrary))
	assert.Equal(t, []string{"/dir/b", "/etc/passwd"}, ofType(components, cyclonedx.ComponentTypeFile), "what lower layers hid is not there")

	program := components["program:/app/program"]
	assert.Equal(t, "github.com/slipway-ci/slipway/internal/attest/sbom/testdata/program", program.Name)
	assert.Equal(t, "pkg:golang/github.com/slipway-ci/slipway#internal/attest/sbom/testdata/program", program.PackageURL)
	properties := map[string][]string{}
	for _, p := range *program.Properties {
		properties[p.Name] = append(properties[p.Name], p.Value)
	}
	assert.Equal(t, []string{"one", "two"}, properties["cdx:gomod:build:tag"])
	assert.Equal(t, []string{"0"}, properties["cdx:gomod:build:env:CGO_ENABLED"])
	assert.Equal(t, []string{version}, properties["cdx:gomod:build:env:GOVERSION"])
	for ref, c := range components {
		if name, found := strings.CutPrefix(ref, "pkg:golang/golang.org/x/mod@"); found {
			assert.Equal(t, "BSD-3-Clause", (*c.Licenses)[0].Expression, name)
			assert.Len(t, (*c.Hashes)[0].Value, 64)
		}
	}
}

const distroRelease = "PRETTY_NAME=\"Distroless\"\nNAME=\"Debian GNU/Linux\"\nID=\"debian\"\nVERSION_ID=\"12\"\n"

func TestDistroless(t *testing.T) {
	components := cycloneDX(t, imageOf(t, layer(t,
		tarFile{name: "usr/lib/os-release", content: distroRelease},
		tarFile{name: "var/lib/dpkg/status.d/base", content: "Package: base-files\nVersion: 12.4+deb12u10\nArchitecture: amd64\nDepends: awk | mawk\n"},
		tarFile{name: "var/lib/dpkg/status.d/base.md5sums", content: "0123  etc/debian_version\n"},
		tarFile{name: "var/lib/dpkg/status.d/mawk", content: "Package: mawk\nVersion: 1\nArchitecture: amd64\nDepends: libc6 (>= 2.36), missing\nDescription: a language\n for text: all of it\n"},
		tarFile{name: "var/lib/dpkg/status.d/libc6", content: "Package: libc6\nSource: glibc (2.36-9)\nVersion: 2.36-9+deb12u9\nArchitecture: amd64\n"},
	)), sbom.Options{})
	assert.Equal(t, []string{"base-files 12.4+deb12u10", "libc6 2.36-9+deb12u9", "mawk 1"}, ofType(components, cyclonedx.ComponentTypeLibrary))
	assert.Equal(t, []string{"debian 12"}, ofType(components, cyclonedx.ComponentTypeOS))
	assert.Empty(t, ofType(components, cyclonedx.ComponentTypeFile), "the database speaks for the files")
	assert.Contains(t, components, "pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?arch=amd64&distro=debian-12&upstream=glibc")
}

// A Debian image has its packages in one file, also those that were taken off again.
func TestDebian(t *testing.T) {
	components := cycloneDX(t, imageOf(t, layer(t, tarFile{name: "var/lib/dpkg/status", content: "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n" +
		"Package: b\nStatus: deinstall ok config-files\nVersion: 2\nArchitecture: all\n"})), sbom.Options{})
	assert.Equal(t, []string{"a 1"}, ofType(components, cyclonedx.ComponentTypeLibrary))
}

const apk = `C:Q1abc=
P:musl
V:1.2.5-r9
A:x86_64
L:MIT
o:musl
p:so:libc.musl-x86_64.so.1=1

C:Q1def=
P:busybox
V:1.37.0-r19
A:x86_64
L:GPL-2.0-only
o:busybox
D:so:libc.musl-x86_64.so.1 musl>=1.2 !uclibc

P:odd
V:1
A:x86_64
L:Our own, ask us
`

func TestAlpine(t *testing.T) {
	for _, database := range []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"} {
		img := imageOf(t, layer(t,
			tarFile{name: "etc/os-release", content: "ID=alpine\nVERSION_ID=3.23.5\n"}, tarFile{name: database, content: apk}))
		components := cycloneDX(t, img, sbom.Options{})
		assert.Equal(t, []string{"busybox 1.37.0-r19", "musl 1.2.5-r9", "odd 1"}, ofType(components, cyclonedx.ComponentTypeLibrary))
		musl := "pkg:apk/alpine/musl@1.2.5-r9?arch=x86_64&distro=alpine-3.23.5"
		assert.Equal(t, "MIT", (*components[musl].Licenses)[0].Expression)
		odd := components["pkg:apk/alpine/odd@1?arch=x86_64&distro=alpine-3.23.5"]
		assert.Equal(t, "Our own, ask us", (*odd.Licenses)[0].License.Name)
		spdx := string(encode(t, img, sbom.Options{}, sbom.SPDX))
		assert.Contains(t, spdx, `"OPERATING_SYSTEM"`, "in the spelling of the JSON schema")
		assert.Contains(t, spdx, `"SPDXRef-OPERATING-SYSTEM-1"`)

		bom := cyclonedx.NewBOM()
		require.NoError(t, json.Unmarshal(encode(t, img, sbom.Options{}, sbom.CycloneDX), bom))
		for _, d := range *bom.Dependencies {
			if strings.Contains(d.Ref, "busybox") {
				assert.Equal(t, []string{musl}, *d.Dependencies)
			}
		}
	}
}

// The graph comes from the go.mod files in the cache: what nothing else needs, the program needs.
func TestGraph(t *testing.T) {
	_, content := compiled(t)
	img := imageOf(t, layer(t, tarFile{name: "p", content: content, mode: 0o755}))
	graph := func(modules *sbom.Modules) map[string][]string {
		bom := cyclonedx.NewBOM()
		require.NoError(t, json.Unmarshal(encode(t, img, sbom.Options{Modules: modules}, sbom.CycloneDX), bom))
		needs := map[string][]string{}
		for _, d := range *bom.Dependencies {
			for _, to := range deref(d.Dependencies) {
				needs[short(d.Ref)] = append(needs[short(d.Ref)], short(to))
			}
		}
		return needs
	}
	flat := graph(nil)
	all := flat["program:/p"]
	require.Contains(t, all, "golang.org/x/mod")
	assert.Equal(t, []string{"program:/p"}, slices.DeleteFunc(slices.Sorted(maps.Keys(flat)), func(k string) bool { return strings.HasPrefix(k, "image:") }))
	const other = "golang.org/x/sync"
	require.Contains(t, all, other)
	cache := fstest.MapFS{}
	for ref := range cycloneDX(t, img, sbom.Options{}) {
		if version, found := strings.CutPrefix(ref, "pkg:golang/golang.org/x/mod@"); found {
			cache["cache/download/golang.org/x/mod/@v/"+version+".mod"] = &fstest.MapFile{Data: []byte("module golang.org/x/mod\nrequire " + other + " v1.0.0\nrequire example.com/none v1.0.0\n")}
		}
	}
	require.Len(t, cache, 1)
	goMod := []byte("module github.com/slipway-ci/slipway\nrequire golang.org/x/mod v1.0.0\nrequire " + other + " v1.0.0 // indirect\n")
	linked := graph(sbom.NewModules(cache, goMod))
	assert.Equal(t, []string{other}, linked["golang.org/x/mod"])
	assert.NotContains(t, linked["program:/p"], other)
	assert.Len(t, linked["program:/p"], len(all)-1)
}

func deref(list *[]string) []string {
	if list == nil {
		return nil
	}
	return *list
}

func short(ref string) string {
	ref, _, _ = strings.Cut(strings.TrimPrefix(ref, "pkg:golang/"), "@")
	return ref
}

func TestSPDX(t *testing.T) {
	_, content := compiled(t)
	img := imageOf(t, layer(t, tarFile{name: "etc/passwd", content: "root:x:0:0::/:\n"}, tarFile{name: "p", content: content, mode: 0o755}))
	raw := encode(t, img, sbom.Options{Name: "server", Version: "v1"}, sbom.SPDX)
	var doc v2_3.Document
	require.NoError(t, json.Unmarshal(raw, &doc))
	require.NoError(t, spdxlib.ValidateDocument(&doc))
	components := cycloneDX(t, img, sbom.Options{Name: "server"})
	assert.Len(t, doc.Packages, len(components)-1+1, "the image itself, and no file")
	assert.Len(t, doc.Files, 1)
	purls := map[string]bool{}
	for _, p := range doc.Packages {
		for _, r := range p.PackageExternalReferences {
			purls[r.Locator] = true
		}
	}
	for _, c := range components {
		assert.True(t, c.PackageURL == "" || purls[c.PackageURL], "both formats have %s", c.PackageURL)
	}
}

// Licences are those that pkg.go.dev would name.
func TestLicences(t *testing.T) {
	_, content := compiled(t)
	img := imageOf(t, layer(t, tarFile{name: "p", content: content, mode: 0o755}))
	mit, err := fs.ReadFile(os.DirFS(goCommand(t, "list", "-m", "-f", "{{.Dir}}", "github.com/stretchr/testify")), "LICENSE")
	require.NoError(t, err)
	bsd, err := fs.ReadFile(os.DirFS(goCommand(t, "list", "-m", "-f", "{{.Dir}}", "golang.org/x/mod")), "LICENSE")
	require.NoError(t, err)
	version := goCommand(t, "list", "-m", "-f", "{{.Version}}", "golang.org/x/mod")
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"one", map[string]string{"LICENSE": string(mit)}, "MIT"},
		{"two", map[string]string{"LICENSE-MIT.txt": string(mit), "LICENSE.md": string(bsd)}, "BSD-3-Clause AND MIT"},
		{"unknown", map[string]string{"LICENSE": "You may look at it."}, ""},
		{"one of two unknown", map[string]string{"LICENSE": string(mit), "COPYING": "You may look at it."}, ""},
		{"code", map[string]string{"license.go": string(mit)}, ""},
		{"none", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			cache := fstest.MapFS{}
			for name, text := range test.files {
				cache["golang.org/x/mod@"+version+"/"+name] = &fstest.MapFile{Data: []byte(text)}
			}
			c := cycloneDX(t, img, sbom.Options{Modules: sbom.NewModules(cache)})["pkg:golang/golang.org/x/mod@"+version]
			require.Equal(t, "golang.org/x/mod", c.Name)
			if test.want == "" {
				assert.Nil(t, c.Licenses)
				return
			}
			assert.Equal(t, test.want, (*c.Licenses)[0].Expression)
		})
	}
}

// A layer that was read before is not opened again.
func TestLayersAreReadOnce(t *testing.T) {
	opened := 0
	inner := layer(t, tarFile{"a", "b", 0}, tarFile{"etc/os-release", "ID=x", 0})
	counted := counting{inner, &opened}
	kept := notes{}
	for range 2 {
		_, err := sbom.Read(t.Context(), imageOf(t, counted), sbom.Options{Cache: kept})
		require.NoError(t, err)
	}
	assert.Equal(t, 1, opened)
	_, err := sbom.Read(t.Context(), imageOf(t, counted), sbom.Options{Cache: notes{}})
	require.NoError(t, err)
	assert.Equal(t, 2, opened)
	_, err = sbom.Read(t.Context(), imageOf(t, layer(t, tarFile{"a", "c", 0})), sbom.Options{Cache: kept})
	require.NoError(t, err)
	assert.Len(t, kept, 2, "another layer")
}

// Nothing is taken for a part of a program that is of the one before it.
func TestProgramAfterAnother(t *testing.T) {
	_, content := compiled(t)
	components := cycloneDX(t, imageOf(t, layer(t, tarFile{"whole", content, 0o755}, tarFile{"cut", content[:4096], 0o755})), sbom.Options{})
	assert.Contains(t, components, "program:/whole")
	assert.NotContains(t, components, "program:/cut")
	assert.Contains(t, components, "file:/cut")
}

type counting struct {
	v1.Layer
	opened *int
}

func (c counting) Uncompressed() (io.ReadCloser, error) {
	*c.opened++
	return c.Layer.Uncompressed()
}

// However big a program is, little memory is used.
func TestMemory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	const size = 128 << 20
	header := tar.Header{Name: "big", Mode: 0o755, Size: size, Typeflag: tar.TypeReg}
	l := stream{func() io.Reader {
		var head bytes.Buffer
		require.NoError(t, tar.NewWriter(&head).WriteHeader(&header))
		return io.MultiReader(&head, strings.NewReader("\x7fELF"), io.LimitReader(zeros{}, size-4+1024))
	}}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	inventory, err := sbom.Read(t.Context(), manifested{imageOf(t), l}, sbom.Options{})
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20))
	document, err := inventory.Encode(sbom.CycloneDX)
	require.NoError(t, err)
	assert.Contains(t, string(document), `"/big"`)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// stream is a layer that is made while it is read.
type stream struct{ open func() io.Reader }

func (s stream) Uncompressed() (io.ReadCloser, error) { return io.NopCloser(s.open()), nil }
func (s stream) Compressed() (io.ReadCloser, error)   { return s.Uncompressed() }
func (stream) Digest() (v1.Hash, error)               { return v1.NewHash("sha256:" + strings.Repeat("0", 64)) }
func (s stream) DiffID() (v1.Hash, error)             { return s.Digest() }
func (stream) Size() (int64, error)                   { return 1, nil }
func (stream) MediaType() (types.MediaType, error)    { return types.OCIUncompressedLayer, nil }

// manifested is an image with another layer than its manifest says.
type manifested struct {
	v1.Image
	layer v1.Layer
}

func (m manifested) Layers() ([]v1.Layer, error) { return []v1.Layer{m.layer}, nil }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
