// Package enginetest holds the tests that every engine passes: that it downloads, verifies, compiles, guards and assembles
// as plans say, and fails as users can understand.
package enginetest

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Run runs the suite. The engine that newEngine makes reaches the module proxy in the way that this process does.
func Run(t *testing.T, newEngine func(t *testing.T) build.Engine) {
	s := suite{newEngine}
	t.Run("scratch", s.scratch)
	t.Run("dependency", s.dependency)
	t.Run("workspace", s.workspace)
	t.Run("modules", s.modules)
	t.Run("several", s.several)
	t.Run("reads", s.reads)
	t.Run("settings", s.settings)
	t.Run("base", s.base)
	t.Run("platforms", s.platforms)
	t.Run("reproducible", s.reproducible)
	t.Run("failures", s.failures)
	t.Run("guard", s.guard)
	t.Run("debug", s.debug)
	t.Run("caCerts", s.caCerts)
	t.Run("writable", s.writable)
	t.Run("sameName", s.sameName)
	t.Run("userName", s.userName)
	t.Run("noEntrypoint", s.noEntrypoint)
	t.Run("seeded", s.seeded)
	t.Run("of platforms", s.ofPlatforms)
	t.Run("placement", s.placement)
	t.Run("bundles", s.bundles)
	t.Run("generate", s.generate)
	t.Run("prebuild", s.prebuild)
	t.Run("cancel", s.cancel)
}

// RunCgo runs what the suite has for cgo: its engine needs C compilers for linux/amd64 and linux/arm64, and one for
// linux/amd64 with musl.
func RunCgo(t *testing.T, newEngine func(t *testing.T) build.Engine) {
	s := suite{newEngine}
	t.Run("cgo", s.cgo)
	t.Run("static", s.cgoStatic)
}

type suite struct {
	newEngine func(t *testing.T) build.Engine
}

// hello is the least program, in the module example.com/hello.
const hello = `
-- go.mod --
module example.com/hello

go 1.26.8
-- main.go --
package main

func main() { println("hello") }
`

// quote is a program with a dependency that has dependencies.
const quote = `
-- go.mod --
module example.com/quote

go 1.26.8

require rsc.io/quote v1.5.2

require (
	golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c // indirect
	rsc.io/sampler v1.3.0 // indirect
)
-- go.sum --
golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c h1:qgOY6WgZOaTkIIMiVjBQcw93ERBE4m30iBm00nkL0i8=
golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c/go.mod h1:NqM8EUOU14njkJ3fqMW+pc6Ldnwhi/IjpwHt7yyuwOQ=
rsc.io/quote v1.5.2 h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=
rsc.io/quote v1.5.2/go.mod h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=
rsc.io/sampler v1.3.0 h1:7uVkIFmeBqHfdjD+gZwtXXI+RODJ2Wc4O7MPEh/QiW4=
rsc.io/sampler v1.3.0/go.mod h1:T1hPZKmBbMNahiBKFy5HrXp6adAjACjK9JXDnKaTXpA=
-- main.go --
package main

import "rsc.io/quote"

func main() { println(quote.Hello()) }
`

// extract writes a tree, in txtar's notation, into a new directory.
func extract(t *testing.T, tree string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(tree)).Files {
		at := filepath.Join(dir, filepath.FromSlash(f.Name))
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		require.NoError(t, os.WriteFile(at, f.Data, 0o644))
	}
	return dir
}

// build resolves and builds, and checks that the source stays as it is.
func (s suite) build(ctx context.Context, t *testing.T, dir string, config plan.Config) (*build.Result, *plan.Plan, error) {
	t.Helper()
	plan, err := plan.Resolve(ctx, os.DirFS(dir), config)
	require.NoError(t, err)
	before := snapshot(t, dir)
	result, err := build.BuildOne(ctx, s.newEngine(t), dir, plan, build.Discard)
	assert.Equal(t, before, snapshot(t, dir), "the source is left alone")
	if err == nil {
		t.Cleanup(func() { assert.NoError(t, result.Close()) })
	}
	return result, plan, err
}

// mustBuild builds, and checks what holds for every result.
func (s suite) mustBuild(t *testing.T, dir string, config plan.Config) *build.Result {
	t.Helper()
	result, plan, err := s.build(t.Context(), t, dir, config)
	require.NoError(t, err)
	require.Len(t, result.Images, len(plan.Compile))
	for i, img := range result.Images {
		assert.Equal(t, plan.Compile[i].Platform.String(), img.Platform)
		require.NoError(t, validate.Image(img))
		assertConfig(t, plan, plan.Compile[i].Platform, img)
		assertPrograms(t, plan, plan.Compile[i], img)
	}
	if index, ok := result.Artifact.(v1.ImageIndex); ok {
		require.NoError(t, validate.Index(index))
		manifest, err := index.IndexManifest()
		require.NoError(t, err)
		assert.Equal(t, types.OCIImageIndex, manifest.MediaType)
		assert.Equal(t, plan.Image.Annotations, manifest.Annotations)
		for i, m := range manifest.Manifests {
			require.NotNil(t, m.Platform)
			assert.Equal(t, plan.Compile[i].Platform.String(), m.Platform.String())
		}
	} else {
		assert.Len(t, result.Images, 1, "one platform makes a manifest and not an index")
	}
	return result
}

// assertConfig compares an image's configuration with the plan.
func assertConfig(t *testing.T, p *plan.Plan, platform plan.Platform, img v1.Image) {
	t.Helper()
	file, err := img.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, platform, plan.Platform{OS: file.OS, Architecture: file.Architecture, Variant: file.Variant})
	assert.Equal(t, p.Image.Created, file.Created.Unix())
	assert.Equal(t, p.Image.User, file.Config.User)
	if p.Image.Entrypoint != nil { // else that of the base
		assert.Equal(t, p.Image.Entrypoint, file.Config.Entrypoint)
	}
	assert.Equal(t, p.Image.Args, file.Config.Cmd)
	assert.Equal(t, p.Image.WorkingDir, file.Config.WorkingDir)
	if p.Image.StopSignal != "" {
		assert.Equal(t, p.Image.StopSignal, file.Config.StopSignal)
	}
	if h := p.Image.Healthcheck; h != nil {
		assert.Equal(t, &v1.HealthConfig{
			Test: append([]string{"CMD"}, h.Command...), Interval: time.Duration(h.Interval), Timeout: time.Duration(h.Timeout),
			StartPeriod: time.Duration(h.StartPeriod), Retries: h.Retries,
		}, file.Config.Healthcheck)
	} else {
		assert.Nil(t, file.Config.Healthcheck)
	}
	for _, volume := range p.Image.Volumes {
		assert.Contains(t, file.Config.Volumes, volume)
	}
	for k, v := range p.Image.Labels {
		assert.Equal(t, v, file.Config.Labels[k], k)
	}
	for _, kv := range p.Image.Env {
		assert.Contains(t, file.Config.Env, kv)
	}
	for _, port := range p.Image.Ports {
		assert.Contains(t, file.Config.ExposedPorts, port)
	}
	manifest, err := img.Manifest()
	require.NoError(t, err)
	assert.Equal(t, types.OCIManifestSchema1, manifest.MediaType)
	for k, v := range p.Image.Annotations {
		assert.Equal(t, v, manifest.Annotations[k], k)
	}
}

// assertPrograms opens the programs in an image.
func assertPrograms(t *testing.T, plan *plan.Plan, compile plan.Compile, img v1.Image) {
	t.Helper()
	files := Files(t, img)
	for _, other := range plan.OtherModules {
		of := *other
		of.Image = plan.Image
		assertPrograms(t, &of, compile, img)
	}
	for _, program := range plan.Programs {
		at := "/app/" + program.Name
		for _, layer := range plan.Image.Layers {
			for _, f := range layer.Files {
				if f.Program == program.Name {
					at = f.Path
				}
			}
		}
		f, ok := files[at]
		require.True(t, ok, "no %s in %v", at, files)
		assert.Equal(t, "-rwxr-xr-x 0:0", f.Owned())
		info, err := buildinfo.Read(strings.NewReader(f.Content))
		require.NoError(t, err)
		assert.Equal(t, "go"+plan.Go.Version, info.GoVersion)
		assert.Equal(t, program.ImportPath, info.Path)
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		assert.Equal(t, compile.Platform.Architecture, settings["GOARCH"])
		assert.Equal(t, "true", settings["-trimpath"])
		assert.NotContains(t, f.Content, os.TempDir(), "no path of the machine in the program")
	}
}

// File is a file or directory of an image.
type File struct {
	Mode     fs.FileMode
	UID, GID int
	Content  string
	Link     string
	Time     time.Time
}

// Owned is the mode and the owner, like "-rwxr-xr-x 0:0".
func (f File) Owned() string { return fmt.Sprintf("%s %d:%d", f.Mode, f.UID, f.GID) }

// Files are all files and directories of an image, by their absolute paths. All names of one file have its mode, owner and content;
// those after the first in order link to that one. Archives may have them in any order, so Files reads layer by layer, as runtimes
// unpack them: a hard link leads to what was there then, and not to what a later layer puts in its place.
func Files(t *testing.T, img v1.Image) map[string]File {
	t.Helper()
	found := map[string]*File{}
	layers, err := img.Layers()
	require.NoError(t, err)
	for _, layer := range layers {
		headers, contents := entries(t, layer)
		for _, h := range headers {
			dir, name := path.Split(path.Join("/", h.Name))
			if gone, ok := strings.CutPrefix(name, ".wh."); ok {
				if gone == ".wh..opq" { // all of the directory, which has an entry in this layer, too
					gone = ""
				}
				remove(found, path.Join(dir, gone))
			}
		}
		for i, h := range headers {
			name := path.Join("/", h.Name)
			if strings.HasPrefix(path.Base(name), ".wh.") {
				continue
			}
			if h.Typeflag != tar.TypeDir {
				remove(found, name)
			}
			if h.Typeflag == tar.TypeLink {
				require.Contains(t, found, path.Join("/", h.Linkname), name)
				found[name] = found[path.Join("/", h.Linkname)]
				continue
			}
			found[name] = &File{
				Mode: h.FileInfo().Mode(), UID: h.Uid, GID: h.Gid, Content: contents[i], Link: h.Linkname, Time: h.ModTime.UTC(),
			}
		}
	}
	files, first := map[string]File{}, map[*File]string{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		file := *found[name]
		if other, ok := first[found[name]]; ok {
			file.Link = other
		} else {
			first[found[name]] = name
		}
		files[name] = file
	}
	return files
}

// entries are the entries of a layer, and the contents of those that have one.
func entries(t *testing.T, layer v1.Layer) (headers []*tar.Header, contents []string) {
	t.Helper()
	r, err := layer.Uncompressed()
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return headers, contents
		}
		require.NoError(t, err)
		content, err := io.ReadAll(archive)
		require.NoError(t, err)
		headers, contents = append(headers, h), append(contents, string(content))
	}
}

// remove takes a name and everything that is below it out of the files.
func remove[T any](files map[string]T, name string) {
	maps.DeleteFunc(files, func(at string, _ T) bool { return at == name || strings.HasPrefix(at, name+"/") })
}

// AssertSame holds an image of another builder against one of an engine: but for times, and how its files are spread over
// layers, it must be the same. The content of the files except may differ.
func AssertSame(t *testing.T, want, got v1.Image, except ...string) {
	t.Helper()
	wantConfig, err := want.ConfigFile()
	require.NoError(t, err)
	gotConfig, err := got.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, wantConfig.Config, gotConfig.Config)
	assert.Equal(t, wantConfig.Platform(), gotConfig.Platform())
	wantFiles, gotFiles := Files(t, want), Files(t, got)
	for name, f := range wantFiles {
		its := gotFiles[name]
		switch {
		case name == "/": // every builder makes it as it likes
		case slices.Contains(except, name):
			assert.Equal(t, f.Owned(), its.Owned(), "%s for %s", name, wantConfig.Platform())
		case f.Owned() != its.Owned() || f.Link != its.Link || f.Content != its.Content:
			assert.Fail(t, "another file", "%s for %s: %s %s, %d bytes; want %s %s, %d bytes", name, wantConfig.Platform(),
				its.Owned(), its.Link, len(its.Content), f.Owned(), f.Link, len(f.Content))
		}
	}
	for name := range gotFiles {
		_, wanted := wantFiles[name]
		assert.True(t, wanted, "%s for %s: one too many", name, wantConfig.Platform())
	}
}

// snapshot is every file of a directory, with its content's digest, and every link with what it leads to.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if e.Type() == fs.ModeSymlink {
			files[name], err = os.Readlink(name)
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		files[name] = hex.EncodeToString(sum[:])
		return nil
	}))
	return files
}

// newBase makes a base image for the given platforms, in an OCI layout, and returns its --base value.
func newBase(t *testing.T, files map[string]string, platforms ...v1.Platform) string {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, p := range platforms {
		layer := tarLayer(t, files)
		img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
		require.NoError(t, err)
		img, err = mutate.ConfigFile(img, baseConfig(t, img, p))
		require.NoError(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &p}})
	}
	dir := t.TempDir()
	at, err := layout.Write(dir, empty.Index)
	require.NoError(t, err)
	require.NoError(t, at.AppendIndex(index))
	return "oci:" + dir
}

func baseConfig(t *testing.T, img v1.Image, p v1.Platform) *v1.ConfigFile {
	t.Helper()
	file, err := img.ConfigFile()
	require.NoError(t, err)
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Variant = p.OS, p.Architecture, p.Variant
	file.Config.Env = []string{"PATH=/bin", "FROM_BASE=1"}
	file.Config.Entrypoint, file.Config.Cmd, file.Config.User = []string{"/bin/sh"}, []string{"-c", "true"}, "root"
	file.Config.Labels = map[string]string{"base.label": "kept"}
	return file
}
