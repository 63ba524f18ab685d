package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// project is a Go module with the programs to build.
type project struct {
	name, dir string
	packages  []string
	kinds     []kind
	// many has its programs in a slipway.yaml, each an image.
	many bool
	// container says that BuildKit builds it too: its containers cannot be counted upon to reach a module proxy.
	container bool
}

// kind is what happened before a run.
type kind struct {
	name string
	// edit is the file of the module that is written anew; empty for none.
	edit string
	cold bool // there is no cache, but for downloaded modules
	// fresh is cold on a machine that has no modules either, and a cache in the registry.
	fresh bool
	// dependency is a module, with its version, that the edit begins to use; of its packages, imports.
	dependency, imports string
}

const editFile = "bench_edit.go"

// writeEdit changes one line of a package, so that its code differs: programs that use it have to be linked again. It also imports a package,
// unless imports is empty.
func writeEdit(file string, n int, imports string) error {
	pkg := "main"
	if dir := filepath.Base(filepath.Dir(file)); dir == "greeter" || dir == "shared" {
		pkg = dir
	}
	if imports != "" {
		imports = fmt.Sprintf("import _ %q\n\n", imports)
	}
	return os.WriteFile(file, fmt.Appendf(nil, "package %s\n\n%svar benchEdit = \"%08d\"\n\nfunc init() {\n\tif benchEdit == \"\" {\n\t\tpanic(benchEdit)\n\t}\n}\n", pkg, imports, n), 0o644)
}

// projects copies the modules into the lab.
func (l *lab) projects(ctx context.Context) ([]*project, error) {
	usual := []kind{
		{name: "no change"},
		{name: "edit", edit: editFile},
		{name: "cold", cold: true},
		{name: "new machine", cold: true, fresh: true},
		{name: "new machine, edit", edit: editFile, cold: true, fresh: true},
	}
	dependency := kind{
		name: "new machine, new dependency", edit: editFile, cold: true, fresh: true,
		dependency: "github.com/klauspost/compress@v1.19.2", imports: "github.com/klauspost/compress/zstd",
	}
	large, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/ko").Output()
	if err != nil {
		return nil, fmt.Errorf("finding the source of ko, the large program: %w", err)
	}
	grpc := []kind{
		usual[0],
		{name: "edit", edit: "cmd/server/" + editFile},
		{name: "edit in a shared package", edit: "greeter/" + editFile},
		usual[2], usual[3],
		{name: "new machine, edit", edit: "cmd/server/" + editFile, cold: true, fresh: true},
		{name: "new machine, edit in a shared package", edit: "greeter/" + editFile, cold: true, fresh: true},
		dependency,
	}
	grpc[len(grpc)-1].edit = "cmd/server/" + editFile
	all := []*project{
		{name: "http-server", dir: "../examples/http-server", packages: []string{"."}, kinds: usual, container: true},
		{name: "gin-api", dir: "../examples/gin-api", packages: []string{"."}, kinds: append(slices.Clip(usual), dependency)},
		{name: "grpc-service", dir: "../examples/grpc-service", packages: []string{"./cmd/server"}, kinds: grpc},
		{name: "large", dir: strings.TrimSpace(string(large)), packages: []string{"."}, kinds: usual},
	}
	for _, p := range all {
		from := p.dir
		p.dir = filepath.Join(l.dir, "src", p.name)
		if err := os.MkdirAll(filepath.Dir(p.dir), 0o755); err != nil {
			return nil, err
		}
		if err := os.CopyFS(p.dir, os.DirFS(from)); err != nil {
			return nil, err
		}
		// Files from the module cache cannot be written to.
		if err := os.Chmod(p.dir, 0o755); err != nil {
			return nil, err
		}
		// ko's own settings for itself name other bases.
		if err := os.RemoveAll(filepath.Join(p.dir, ".ko.yaml")); err != nil {
			return nil, err
		}
	}
	big, err := l.big()
	if err != nil {
		return nil, err
	}
	all = append(all, big)
	for _, n := range []int{5, 10, 50} {
		p, err := l.generate(n)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// generate makes a module of n programs that serve HTTP, and one package that all of them use.
func (l *lab) generate(n int) (*project, error) {
	p := &project{name: fmt.Sprintf("%d-programs", n), many: true, kinds: []kind{
		{name: "no change"},
		{name: "edit", edit: "cmd/p00/" + editFile},
		{name: "edit in a shared package", edit: "shared/" + editFile},
	}}
	p.dir = filepath.Join(l.dir, "src", p.name)
	files := map[string]string{
		"go.mod":           "module example.com/many\n\ngo 1.26\n",
		"shared/shared.go": "package shared\n\nimport \"net/http\"\n\nfunc Serve(text string) error {\n\treturn http.ListenAndServe(\":8080\", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {\n\t\t_, _ = w.Write([]byte(text))\n\t}))\n}\n",
	}
	images := fmt.Sprintf("defaults: {base: %q, platforms: [%s], tags: [latest]}\nimages:\n", l.base(), strings.Join(platforms, ", "))
	for i := range n {
		name := fmt.Sprintf("p%02d", i)
		p.packages = append(p.packages, "./cmd/"+name)
		images += fmt.Sprintf("  - {name: %s, package: ./cmd/%s, repository: %s}\n", name, name, l.repository("slipway", p, name))
		files["cmd/"+name+"/main.go"] = fmt.Sprintf("package main\n\nimport (\n\t\"log\"\n\n\t\"example.com/many/shared\"\n)\n\nfunc main() { log.Fatal(shared.Serve(%q)) }\n", name)
	}
	files["slipway.yaml"] = images
	return p, p.write(files)
}

func (p *project) write(files map[string]string) error {
	for name, text := range files {
		name = filepath.Join(p.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// bigSize is the size in bytes of the file that makes a program of 100 MB.
const bigSize = 97 << 20

// big makes a module whose program has a big file in it: the program of ko, as often as it takes, so that it compresses as programs do.
func (l *lab) big() (*project, error) {
	p := &project{
		name: "100-mb", dir: filepath.Join(l.dir, "src", "100-mb"), packages: []string{"."},
		kinds: []kind{{name: "no change"}, {name: "edit", edit: editFile}},
	}
	err := p.write(map[string]string{
		"go.mod":  "module example.com/big\n\ngo 1.26\n",
		"main.go": "package main\n\nimport (\n\t_ \"embed\"\n\t\"fmt\"\n)\n\n//go:embed big.data\nvar big string\n\nfunc main() { fmt.Println(len(big)) }\n",
	})
	if err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(p.dir, "big.data"))
	if err != nil {
		return nil, err
	}
	for left := int64(bigSize); left > 0; {
		program, err := os.Open(filepath.Join(l.dir, "ko"))
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		n, err := io.CopyN(f, program, left)
		if err != nil && err != io.EOF {
			return nil, errors.Join(err, program.Close(), f.Close())
		}
		left -= n
		_ = program.Close()
	}
	return p, f.Close()
}

// baseSize is the size in bytes of the base's layer, about that of the usual distroless image.
const baseSize = 2 << 20

// pushBase pushes an image to build upon. What is in it does not matter to any tool.
func (l *lab) pushBase() error {
	var index v1.ImageIndex = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, platform := range platforms {
		goos, arch, _ := strings.Cut(platform, "/")
		layer, err := random.Layer(baseSize, types.OCILayer)
		if err != nil {
			return err
		}
		img, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), layer)
		if err != nil {
			return err
		}
		config, err := img.ConfigFile()
		if err != nil {
			return err
		}
		config = config.DeepCopy()
		config.OS, config.Architecture = goos, arch
		if img, err = mutate.ConfigFile(img, config); err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: goos, Architecture: arch}}})
	}
	ref, err := name.ParseReference(l.base())
	if err != nil {
		return err
	}
	return remote.WriteIndex(ref, index)
}
