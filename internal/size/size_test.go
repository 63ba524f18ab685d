package size_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/size"
)

// compile builds a program that prints text.
func compile(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/hello\n\ngo 1.26.0\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { "+text+" }\n"), 0o644))
	out := filepath.Join(dir, "hello")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	return out
}

var epoch = time.Unix(0, 0)

// image is an image for linux/amd64 of layers, whose first has no files of Slipway's.
func image(t *testing.T, layers ...[]oci.File) v1.Image {
	t.Helper()
	c, err := cache.Open(t.TempDir())
	require.NoError(t, err)
	spec := oci.Spec{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Created: epoch}
	for i, files := range layers {
		l, err := oci.NewLayer(t.Context(), c, files, epoch, oci.Compression{})
		require.NoError(t, err)
		by := "slipway: program"
		if i == 0 {
			by = "base image"
		}
		spec.Layers = append(spec.Layers, oci.Layer{Layer: l, CreatedBy: by})
	}
	img, err := oci.New(spec)
	require.NoError(t, err)
	return img
}

func text(path, content string) oci.File { return oci.FromBytes(path, 0o644, []byte(content)) }

func TestOf(t *testing.T) {
	hello, err := oci.FromDisk(nil, "/app/hello", 0o755, compile(t, `println("hello")`))
	require.NoError(t, err)
	img := image(t, []oci.File{
		text("/lib/apk/db/installed", "C:Q1\nP:musl\nV:1\nF:lib\nR:ld-musl.so.1\na:0:0:755\nF:lib/sub\nR:x\n\nP:zlib\nF:usr/lib\nR:libz.so\n\n"),
		text("/lib/ld-musl.so.1", strings.Repeat("m", 700)), text("/lib/sub/x", "xx"), text("/usr/lib/libz.so", strings.Repeat("z", 300)),
		text("/var/lib/dpkg/status.d/tzdata.md5sums", "0123  usr/share/zoneinfo/UTC\n"), text("/usr/share/zoneinfo/UTC", "UTC"),
		text("/var/lib/dpkg/info/libc6:amd64.list", "/.\n/lib\n/lib/libc.so.6\n"), text("/lib/libc.so.6", strings.Repeat("c", 900)),
		oci.FromBytes("/bin/broken", 0o755, []byte("\x7fELF and nothing else")),
	}, []oci.File{hello, text("/etc/app.conf", "conf")})

	p, err := size.Of(t.Context(), img)
	require.NoError(t, err)
	assert.Equal(t, "linux/amd64", p.Platform)
	packed, unpacked, err := oci.Sizes(img)
	require.NoError(t, err)
	assert.Equal(t, packed, p.Compressed)
	assert.Equal(t, unpacked, p.Unpacked)
	require.Len(t, p.Layers, 2)
	assert.Equal(t, "base", p.Layers[0].Name)
	assert.Equal(t, "program", p.Layers[1].Name)
	for _, l := range p.Layers {
		total := l.Archive
		for _, f := range l.Files {
			total += f.Size
		}
		assert.Equal(t, l.Unpacked, total)
		assert.Positive(t, l.Archive)
	}
	assert.Equal(t, []size.Installed{{Name: "libc6", Size: 900}, {Name: "musl", Size: 702}, {Name: "zlib", Size: 300}, {Name: "tzdata", Size: 3}}, p.Installed)
	require.Len(t, p.Programs, 1)
	assert.Equal(t, "/app/hello", p.Programs[0].Path)
	assert.Equal(t, hello.Size, p.Programs[0].Size)

	tree := p.Tree()
	assert.Equal(t, p.Unpacked, tree.Size)
	adds(t, tree)
	assert.Equal(t, "program", tree.Parts[0].Name, "the biggest is the first")
	assert.NotNil(t, find(tree, "program", "/app/hello", "example.com/hello (devel)", "example.com/hello", "main"))
	assert.Equal(t, int64(702), find(tree, "base", "musl").Size)
}

// adds checks that parts add up.
func adds(t *testing.T, n *size.Node) {
	t.Helper()
	if len(n.Parts) == 0 {
		return
	}
	total := int64(0)
	for _, p := range n.Parts {
		adds(t, p)
		total += p.Size
	}
	assert.Equal(t, n.Size, total, n.Name)
}

func find(n *size.Node, names ...string) *size.Node {
	for _, name := range names {
		var next *size.Node
		for _, p := range n.Parts {
			if p.Name == name {
				next = p
			}
		}
		if next == nil {
			return nil
		}
		n = next
	}
	return n
}

// A program that is damaged is an error, which names the file.
func TestDamagedProgram(t *testing.T) {
	raw, err := os.ReadFile(compile(t, ""))
	require.NoError(t, err)
	i := strings.Index(string(raw), "\xf1\xff\xff\xff\x00\x00")
	require.Positive(t, i)
	raw[i+7] = 5 // the size of a pointer
	_, err = size.Of(t.Context(), image(t, []oci.File{oci.FromBytes("/app/hello", 0o755, raw)}))
	require.ErrorContains(t, err, "/app/hello: reading the function table: it is damaged")
}

func TestCompare(t *testing.T) {
	one := &size.Report{Name: "one"}
	two := &size.Report{Name: "two"}
	for report, program := range map[*size.Report]string{one: compile(t, ""), two: compile(t, `print("a", 1.5)`)} {
		p, err := size.OfProgram(program)
		require.NoError(t, err)
		assert.Equal(t, "linux/amd64", p.Platform)
		adds(t, p.Tree())
		report.Platforms = append(report.Platforms, p)
	}
	differences := size.Compare(one, two)
	require.Len(t, differences, 1)
	growth := func(level size.Level, name string) (total int64) {
		for _, c := range differences[0].Changes {
			assert.NotZero(t, c.Growth())
			if c.Level == level && (name == "" || c.Name == name) {
				total += c.Growth()
			}
		}
		return total
	}
	assert.Positive(t, growth(size.LevelFunction, "example.com/hello.main"))
	assert.Positive(t, growth(size.LevelModule, "example.com/hello"))
	assert.Equal(t, two.Platforms[0].Unpacked-one.Platforms[0].Unpacked, growth(size.LevelKind, ""))
	for _, d := range size.Compare(one, one) {
		assert.Empty(t, d.Changes)
	}
	other := *one.Platforms[0]
	other.Platform = "linux/arm64"
	assert.Len(t, size.Compare(one, &size.Report{Platforms: []*size.Platform{&other}}), 1, "there is but one of each")
	assert.Empty(t, size.Compare(one, &size.Report{Platforms: []*size.Platform{&other, &other}}))
}

func TestNoProgram(t *testing.T) {
	name := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(name, []byte("#!/bin/sh\n"), 0o755))
	assert.False(t, size.IsProgram(name))
	_, err := size.OfProgram(name)
	require.ErrorContains(t, err, "reading the program "+name+": reading an ELF file")
	assert.True(t, size.IsProgram(compile(t, "")))
}
