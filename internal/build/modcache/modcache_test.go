package modcache

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"

	"github.com/slipway-ci/slipway/internal/build/slot"
)

// aModule has packages in its root, and in sub, embedding and unused.
var aModule = map[string]string{
	"go.mod": "module example.com/a\n", "LICENSE": "MIT", "LICENSE.go": "package a\n", "README.md": "a",
	"a.go": "package a\n", "a_test.go": "package a\n", "a_windows.go": "package a\n", "a_linux_arm64.go": "package a\n", "a_mips64.s": "", "a_amd64.s": "", "a.h": "",
	"_a.go": "package a\n", "sub/sub.go": "package sub\n", "sub/testdata/text.txt": "text", "sub/LICENSE": "MIT", "unused/unused.go": "package unused\n",
	"embedding/embed.go": "package embedding\n\nimport _ \"embed\"\n\n//go:embed all\nvar all string\n", "embedding/all/one.txt": "one", "embedding/all/gen.go": "package main\n",
	"embedding/embed_test.go": "package embedding\n",
}

var v1Of = func(path string) module.Version { return module.Version{Path: path, Version: "v1.0.0"} }

// makeModule puts a module into a module cache.
func makeModule(t *testing.T, modules string, sums Sums, v module.Version, files map[string]string) {
	t.Helper()
	download, dir, err := Names(v)
	require.NoError(t, err)
	for name, text := range files {
		name = filepath.Join(modules, dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	sums[v], err = dirhash.HashDir(filepath.Join(modules, dir), v.String(), dirhash.Hash1)
	require.NoError(t, err)
	goMod := []byte(files["go.mod"])
	sums[module.Version{Path: v.Path, Version: v.Version + goModSuffix}], err = hashGoMod(goMod)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(modules, path.Dir(download)), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(modules, download+".mod"), goMod, 0o644))
}

var (
	onLinux = []string{"linux/amd64", "linux/arm/v7"}
	inA     = []Package{
		{v1Of("example.com/a"), "example.com/a"},
		{v1Of("example.com/a"), "example.com/a/sub"},
		{v1Of("example.com/a"), "example.com/a/embedding"},
		{v1Of("example.com/a"), "example.com/a"},
	}
)

// packed is a set of the module, and what go.sum says.
func packed(t *testing.T) ([]byte, Sums) {
	t.Helper()
	modules, sums := t.TempDir(), Sums{}
	makeModule(t, modules, sums, v1Of("example.com/a"), aModule)
	makeModule(t, modules, sums, v1Of("example.com"), map[string]string{"go.mod": "module example.com\n"})
	sums[v1Of("example.com/absent")] = "h1:absent"
	set, err := Pack(t.Context(), modules, inA, onLinux, sums)
	require.NoError(t, err)
	return set, sums
}

// unpacked lists the files that a set has.
func unpacked(t *testing.T, set []byte, sums Sums, on ...string) ([]string, error) {
	t.Helper()
	dir := t.TempDir()
	err := Unpack(set, dir, on, sums)
	var all []string
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all = append(all, name)
		}
		return err
	}))
	return all, err
}

func TestSetHasWhatIsRead(t *testing.T) {
	set, sums := packed(t)
	files, err := unpacked(t, set, sums, "linux/arm/v7")
	require.NoError(t, err)
	assert.Equal(t, []string{
		"cache/download/example.com/@v/v1.0.0.info", "cache/download/example.com/@v/v1.0.0.mod", "cache/download/example.com/@v/v1.0.0.ziphash",
		"cache/download/example.com/a/@v/v1.0.0.info", "cache/download/example.com/a/@v/v1.0.0.mod", "cache/download/example.com/a/@v/v1.0.0.ziphash",
		"example.com/a@v1.0.0/LICENSE", "example.com/a@v1.0.0/LICENSE.go", "example.com/a@v1.0.0/a.go", "example.com/a@v1.0.0/a.h", "example.com/a@v1.0.0/a_amd64.s",
		"example.com/a@v1.0.0/embedding/all/gen.go", "example.com/a@v1.0.0/embedding/all/one.txt",
		"example.com/a@v1.0.0/embedding/embed.go", "example.com/a@v1.0.0/embedding/embed_test.go", "example.com/a@v1.0.0/sub/sub.go",
	}, files)

	_, err = unpacked(t, set, sums, "linux/amd64", "linux/arm64")
	assert.ErrorContains(t, err, "not for linux/arm64")

	again, _ := packed(t)
	assert.Equal(t, set, again)
}

// frames are those of a set, with the contents that follow each.
type frames struct {
	head     header
	parts    []*part
	contents [][][]byte
}

func open(t *testing.T, set []byte) (f frames) {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(set))
	require.NoError(t, err)
	defer z.Close()
	in := bufio.NewReader(z)
	u := &unpacker{in: in}
	require.NoError(t, u.frame(&f.head))
	for range f.head.Modules {
		p := &part{}
		require.NoError(t, u.frame(p))
		var contents [][]byte
		for _, one := range p.Files {
			var text []byte
			if one.Size != nil {
				text = make([]byte, *one.Size)
				_, err := io.ReadFull(in, text)
				require.NoError(t, err)
			}
			contents = append(contents, text)
		}
		f.parts, f.contents = append(f.parts, p), append(f.contents, contents)
	}
	return f
}

func (f frames) close(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	require.NoError(t, err)
	require.NoError(t, writeFrame(z, f.head))
	for i, p := range f.parts {
		require.NoError(t, writeFrame(z, p))
		_, err := z.Write(bytes.Join(f.contents[i], nil))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return out.Bytes()
}

// Whatever else a repository has than what go.sum pins, and the rule asks for, is not taken.
func TestHostileSets(t *testing.T) {
	a := func(f *frames) *part { return f.parts[len(f.parts)-1] }
	at := func(f *frames, name string) int {
		return slices.IndexFunc(a(f).Files, func(one file) bool { return one.Name == name })
	}
	leaveOut := func(name string) func(*frames) {
		return func(f *frames) {
			a(f).Files[at(f, name)].Size, f.contents[len(f.contents)-1][at(f, name)] = nil, nil
		}
	}
	putIn := func(name string) func(*frames) {
		return func(f *frames) {
			size := int64(len(aModule[name]))
			a(f).Files[at(f, name)].Size, f.contents[len(f.contents)-1][at(f, name)] = &size, []byte(aModule[name])
		}
	}
	alter := func(name string, honest bool) func(*frames) {
		return func(f *frames) {
			text := bytes.ToUpper(f.contents[len(f.contents)-1][at(f, name)])
			f.contents[len(f.contents)-1][at(f, name)] = text
			if !honest {
				r := newReading()
				_, _ = r.Write(text)
				a(f).Files[at(f, name)].Sum = r.sum.Sum(nil)
			}
		}
	}
	add := func(name string) func(*frames) {
		return func(f *frames) {
			r, size := newReading(), int64(0)
			a(f).Files = slices.Insert(a(f).Files, 0, file{Name: name, Sum: r.sum.Sum(nil), Size: &size})
			f.contents[len(f.contents)-1] = slices.Insert(f.contents[len(f.contents)-1], 0, nil)
		}
	}
	big := int64(1) << 50
	set, sums := packed(t)
	whole := open(t, set)
	_, err := unpacked(t, whole.close(t), sums, onLinux...)
	require.NoError(t, err)
	for name, change := range map[string]func(*frames){
		"a file is altered":                 alter("a.go", true),
		"a file and its digest are altered": alter("a.go", false),
		"a Go file is left out":             leaveOut("a.go"),
		"assembly is left out":              leaveOut("a_amd64.s"),
		"an embedded file is left out":      leaveOut("embedding/all/one.txt"),
		"the licence is left out":           leaveOut("LICENSE"),
		"a directory has some of its files": putIn("unused/unused.go"),
		"a file that is not read":           putIn("README.md"),
		"a package is not named":            func(f *frames) { a(f).Packages = a(f).Packages[1:] },
		"a package is named":                func(f *frames) { a(f).Packages = append(a(f).Packages, "unused") },
		"a file is added":                   add("b.go"),
		"a name climbs":                     add("../../b.go"),
		"a name is absolute":                add("/b.go"),
		"a file is on the list twice":       add("_a.go"),
		"a file is missing on the list":     func(f *frames) { a(f).Files, f.contents[1] = a(f).Files[1:], f.contents[1][1:] },
		"another version":                   func(f *frames) { a(f).Version = "v1.0.1" },
		"a module that go.sum has not":      func(f *frames) { a(f).Path = "example.com/b" },
		"a module's path climbs":            func(f *frames) { a(f).Path = "../a" },
		"a module twice": func(f *frames) {
			f.head.Modules++
			f.parts = append(f.parts, a(f))
			f.contents = append(f.contents, f.contents[1])
		},
		"fewer modules than there should be":     func(f *frames) { f.head.Modules++ },
		"a go.mod is altered":                    func(f *frames) { f.head.GoMods[0].Text = []byte("module example.com/b\n") },
		"a go.mod is of another version":         func(f *frames) { f.head.GoMods[0].Version = "v1.0.1" },
		"a size is negative":                     func(f *frames) { *a(f).Files[at(f, "a.go")].Size = -1 },
		"a size is more than the disk has":       func(f *frames) { a(f).Files[at(f, "a.go")].Size = &big },
		"a size is less than that of the file":   func(f *frames) { *a(f).Files[at(f, "a.go")].Size = 1 },
		"a file has the beginning of its digest": func(f *frames) { a(f).Files[0].Sum = a(f).Files[0].Sum[:8] },
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, set)
			change(&f)
			_, err := unpacked(t, f.close(t), sums, onLinux...)
			assert.Error(t, err)
		})
	}
}

func TestDamagedSets(t *testing.T) {
	set, sums := packed(t)
	for n := range 16 {
		_, err := unpacked(t, set[:n*len(set)/16], sums, onLinux...)
		assert.Error(t, err, n)
	}
}

// A set that asks for too much is not read further.
func TestBounds(t *testing.T) {
	for _, size := range []int64{-1, 1001} {
		_, err := (&unpacker{in: bufio.NewReader(zeros{}), left: 1000}).file("a", file{Size: &size})
		assert.ErrorIs(t, err, errSet)
	}
	for _, length := range []uint64{mostFrame + 1, 1 << 62} {
		left := &io.LimitedReader{R: zeros{}, N: 2 * mostFrame}
		in := bufio.NewReader(io.MultiReader(bytes.NewReader(binary.AppendUvarint(nil, length)), left))
		assert.ErrorIs(t, (&unpacker{in: in}).frame(&header{}), errSet)
		assert.Greater(t, left.N, int64(mostFrame))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Where whole modules would have a package twice, the Go command reports it.
func TestAmbiguousImportIsNotTaken(t *testing.T) {
	modules, sums := t.TempDir(), Sums{}
	makeModule(t, modules, sums, v1Of("example.com/a"), aModule)
	makeModule(t, modules, sums, v1Of("example.com/a/sub"), map[string]string{"go.mod": "module example.com/a/sub\n", "sub.go": "package sub\n"})
	for _, p := range []Package{{v1Of("example.com/a"), "example.com/a/sub"}, {v1Of("example.com/a/sub"), "example.com/a/sub"}} {
		set, err := Pack(t.Context(), modules, []Package{p}, onLinux, sums)
		require.NoError(t, err)
		_, err = unpacked(t, set, sums, onLinux...)
		assert.ErrorIs(t, err, errSet, p)
		assert.ErrorContains(t, err, "two modules have example.com/a/sub")
	}
	set, err := Pack(t.Context(), modules, []Package{{v1Of("example.com/a"), "example.com/a/embedding"}}, onLinux, sums)
	require.NoError(t, err)
	_, err = unpacked(t, set, sums, onLinux...)
	assert.NoError(t, err)
}

func TestAlteredModuleIsNotPacked(t *testing.T) {
	modules, sums := t.TempDir(), Sums{}
	makeModule(t, modules, sums, v1Of("example.com/a"), aModule)
	require.NoError(t, os.WriteFile(filepath.Join(modules, "example.com/a@v1.0.0/unused/unused.go"), []byte("package other\n"), 0o644))
	_, err := Pack(t.Context(), modules, inA, onLinux, sums)
	assert.ErrorContains(t, err, "example.com/a@v1.0.0 is not what go.sum says")
}

// What a slot does not take is not made.
func TestLargeSets(t *testing.T) {
	modules, sums := t.TempDir(), Sums{}
	text := make([]byte, slot.MostDocument+1)
	_, _ = rand.NewChaCha8([32]byte{}).Read(text)
	makeModule(t, modules, sums, v1Of("example.com/a"), map[string]string{"go.mod": "module example.com/a\n", "a.go": "package a\n", "LICENSE": string(text)})
	set, err := Pack(t.Context(), modules, inA, onLinux, sums)
	require.NoError(t, err)
	assert.Nil(t, set)
}

func TestSlots(t *testing.T) {
	repository, err := slot.Open("oci:"+filepath.Join(t.TempDir(), "cache"), nil)
	require.NoError(t, err)
	get := func(key string, branches ...string) string {
		set, err := Fetch(t.Context(), repository, "hello", branches, key)
		require.NoError(t, err)
		return string(set)
	}
	assert.Empty(t, get("key", "main"))
	require.NoError(t, Save(t.Context(), repository, []string{"hello", "other"}, "main", "key", []byte("set")))
	assert.Equal(t, "set", get("key", "pull", "main"))
	assert.Empty(t, get("another", "main"))
	assert.Empty(t, get("key", "pull"))
	entries, err := slot.Entries(t.Context(), repository)
	require.NoError(t, err)
	assert.Len(t, entries, 2)
}

func TestLinesAcrossWrites(t *testing.T) {
	text := "package a\n" + embedLine + " x\n"
	for i := range text {
		r := newReading()
		for _, part := range []string{text[:i], text[i:]} {
			_, _ = r.Write([]byte(part))
		}
		assert.True(t, r.embeds, i)
	}
	r := newReading()
	for _, b := range strings.ReplaceAll(text, "embed", "embe") {
		_, _ = r.Write([]byte(string(b)))
	}
	assert.False(t, r.embeds)
}
