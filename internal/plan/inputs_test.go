package plan

import (
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/distro"
)

// inputsTree is a module with what Inputs has to find, and to leave out.
var inputsTree = map[string]string{
	"go.mod":                     "module example.com/app\n\ngo 1.26.8\n\nrequire example.com/lib v1.0.0\n\nreplace example.com/lib => ./third/lib\n",
	"cmd/a/main.go":              "package main\n\nimport (\n\t_ \"example.com/app/web\"\n\t_ \"example.com/lib/inner\"\n)\n\nfunc main() {}\n",
	"cmd/a/windows.go":           "//go:build windows\n\npackage main\n\nimport _ \"example.com/app/windows\"\n",
	"cmd/a/main_test.go":         "package main\n\nimport _ \"example.com/app/other\"\n",
	"cmd/a/default.pgo":          "profile",
	"cmd/b/main.go":              "package main\n\nfunc main() {}\n",
	"web/web.go":                 "package web\n\nimport \"embed\"\n\n//go:embed static *.html\nvar FS embed.FS\n",
	"web/index.html":             "hi",
	"web/notes.txt":              "notes",
	"web/static/a/.hidden":       "x",
	"windows/w.go":               "package windows\n",
	"other/o.go":                 "package other\n",
	"third/lib/go.mod":           "module example.com/lib\n\ngo 1.26.8\n",
	"third/lib/lib.go":           "package lib\n",
	"third/lib/inner/i.go":       "package inner\n",
	"third/lib/inner/i.s":        "#include \"beside.inc\"\n",
	"third/lib/inner/beside.inc": "// nothing\n",
	"README.md":                  "read me",
	"dist/a.tar":                 "output",
	"web/static/out.tar":         "output",
}

func inputsOf(t *testing.T, config Config, change map[string]string) (map[string]string, error) {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range inputsTree {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for name, text := range change {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	if config.Packages == nil {
		config.Packages = []string{"cmd/a"}
	}
	config.Outputs = Outputs{"dist/*.tar", "web/static/out.tar"}
	p, err := Resolve(t.Context(), fsys, config)
	require.NoError(t, err)
	return NewInputs(fsys).Digests(p)
}

// The inputs of a program are those of the packages that it imports on any platform, with what they embed, what decides on modules, and
// what is beside assembly; not those of tests, of other programs, of nobody, and what Slipway writes.
func TestInputs(t *testing.T) {
	found, err := inputsOf(t, Config{}, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"cmd/a/default.pgo", "cmd/a/main.go", "cmd/a/windows.go", "go.mod", "third/lib/go.mod", "third/lib/inner/beside.inc", "third/lib/inner/i.go",
		"third/lib/inner/i.s", "web/index.html", "web/static/a/.hidden", "web/web.go", "windows/w.go",
	}, slices.Sorted(maps.Keys(found)))
	for name := range found {
		changed, err := inputsOf(t, Config{}, map[string]string{name: inputsTree[name] + "\n"})
		require.NoError(t, err, name)
		assert.NotEqual(t, found, changed, name)
	}
	// What appears may be read as well as what changes.
	for _, name := range []string{"cmd/a/more.go", "cmd/a/x.syso", "web/b.html", "web/static/b", "web/go.mod", "third/lib/inner/x.inc"} {
		changed, err := inputsOf(t, Config{}, map[string]string{name: "package main\n"})
		require.NoError(t, err, name)
		assert.NotEqual(t, found, changed, name)
	}
	for _, name := range []string{"cmd/a/main_test.go", "cmd/b/main.go", "other/o.go", "README.md", "web/notes.txt", "dist/b.tar", "third/lib/lib.go"} {
		text := "package main\n\nfunc main() { println() }\n"
		same, err := inputsOf(t, Config{}, map[string]string{name: text})
		require.NoError(t, err, name)
		assert.Equal(t, found, same, name)
	}
}

// With a vendor directory, all of that counts.
func TestVendoredInputs(t *testing.T) {
	found, err := inputsOf(t, Config{}, map[string]string{"vendor/modules.txt": "# example.com/lib v1.0.0 => ./third/lib\n## explicit; go 1.26.8\n", "vendor/x/data": ""})
	require.NoError(t, err)
	assert.Contains(t, found, "vendor/x/data")
	assert.Contains(t, found, "vendor/modules.txt")
}

// Where only the Go command knows what is read, or another program decides, the error says so.
func TestUnknownInputs(t *testing.T) {
	for want, config := range map[string]Config{
		"C may include any file":               {CGO: "true", Runtime: "distroless-base"},
		"go generate may read and write":       {Generate: List{"true"}},
		"a debugger is compiled":               {Debug: true},
		"the linker's flags may name any file": {LDFlags: "-extldflags=-lm"},
	} {
		_, err := inputsOf(t, config, nil)
		assert.ErrorContains(t, err, want)
	}
	_, err := NewInputs(fstest.MapFS{}).Digests(&Plan{Source: Source{VCS: &VCS{}}})
	assert.ErrorContains(t, err, "the repository's state")
	_, err = NewInputs(fstest.MapFS{}).Digests(&Plan{Prebuild: &Prebuild{}})
	assert.ErrorContains(t, err, "--prebuild may read and write")
	for want, change := range map[string]map[string]string{
		"may include a file of another directory": {"third/lib/inner/i.s": "#include \"../x.inc\"\n"},
		"expected": {"windows/w.go": "package windows\n\nimport (\n"},
	} {
		_, err := inputsOf(t, Config{}, change)
		assert.ErrorContains(t, err, want)
	}
}

// The plan for some platforms has their packages.
func TestOnly(t *testing.T) {
	amd64, arm64 := Platform{OS: "linux", Architecture: "amd64"}, Platform{OS: "linux", Architecture: "arm64"}
	p := &Plan{Compile: []Compile{{Platform: amd64}, {Platform: arm64}}, Image: Image{Distribution: &Distribution{Locked: packagesOf("one", "two")}}}
	only := p.Only(arm64)
	assert.Equal(t, []Platform{arm64}, only.Platforms())
	assert.Equal(t, packagesOf("two"), only.Image.Distribution.Locked)
	assert.Equal(t, packagesOf("one", "two"), p.Image.Distribution.Locked)
	assert.Len(t, p.Compile, 2)
}

// packagesOf are selections of one package each.
func packagesOf(names ...string) []distro.Selection {
	var all []distro.Selection
	for _, name := range names {
		all = append(all, distro.Selection{Packages: []distro.Package{{Name: name}}})
	}
	return all
}
