// Command sizes builds the examples on the runtimes and writes how big they are into the table of docs/runtimes.md. The programs, and so
// the numbers, are the same on every machine; those with C in them depend on the C compiler a little.
//
//	go run ./internal/sizes docs/runtimes.md
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go run ./internal/sizes docs/runtimes.md")
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var rows []row
	for _, b := range builds {
		r, err := measure(ctx, filepath.Join(filepath.Dir(file), "..", "examples"), b)
		if err != nil {
			return fmt.Errorf("%s on %s: %w", b.example, b.config.Runtime, err)
		}
		rows = append(rows, r)
	}
	replaced, err := between(string(text), table(rows))
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(replaced), 0o644)
}

// sample is an example as an image.
type sample struct {
	example string
	config  plan.Config
	// usual is the range of sizes, in MB, that is commonly given for such a program; zero where none is.
	usual span
}

type span struct{ from, to float64 }

func (s span) String() string { return fmt.Sprintf("%.0f–%.0f", s.from, s.to) }

// usual are the ranges of sizes, in MB, that are commonly given for images on these runtimes.
var usual = map[string]span{"distroless": {10, 30}, "distroless-base": {15, 35}, "alpine": {15, 35}, "scratch": {5, 20}}

var builds = slices.Concat(
	on(sample{"http-server", plan.Config{}, span{10, 15}}, "distroless", "alpine", "scratch"),
	on(sample{"gin-api", plan.Config{}, span{15, 25}}, "distroless", "alpine", "scratch"),
	on(sample{"grpc-service", plan.Config{Packages: []string{"./cmd/server"}}, span{20, 35}}, "distroless", "alpine", "scratch"),
	on(sample{"worker", plan.Config{TZData: true}, span{}}, "alpine", "scratch"),
	on(sample{"cgo-sqlite", plan.Config{CGO: "dynamic"}, span{}}, "distroless-base"),
	// Compilers for musl are at hand for the machine's own processor alone.
	on(sample{"cgo-sqlite", plan.Config{CGO: "static", Platforms: []string{"linux/amd64"}}, span{}}, "scratch"),
)

func on(b sample, runtimes ...string) []sample {
	var all []sample
	for _, runtime := range runtimes {
		one := b
		one.config.Runtime = runtime
		all = append(all, one)
	}
	return all
}

// bases are the published sizes in bytes of the runtimes' bases, which are not measured here: no registry is asked. They are
// those of unpacked images, and count for pulled ones, too, which are smaller. Sources: the README of
// https://github.com/GoogleContainerTools/distroless has those of static and of Alpine; base is static with libc6 and libssl3,
// whose Installed-Size Debian 12 gives as 13001 and 6042 KiB (2.36-9+deb12u14, 3.0.22-1~deb12u2).
var bases = map[string]int64{
	"distroless":      2 << 20,
	"distroless-base": 2<<20 + (13001+6042)<<10,
	"alpine":          5 << 20,
	"scratch":         0,
}

// row is what was measured, for each platform.
type row struct {
	sample
	sizes []sizes
}

// sizes are in bytes.
type sizes struct {
	program, unstripped int64
	// pulled and unpacked are those of the image, with its base.
	pulled, unpacked int64
}

func measure(ctx context.Context, examples string, b sample) (r row, err error) {
	source := filepath.Join(examples, b.example)
	dir, err := os.MkdirTemp("", "sizes-")
	if err != nil {
		return row{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	config := b.config
	var standIn sizes
	if config.Runtime != "scratch" {
		config.Base = "oci:" + filepath.Join(dir, "base")
		if standIn, err = writeStandIn(ctx, filepath.Join(dir, "base"), filepath.Join(dir, "layers")); err != nil {
			return row{}, err
		}
	}
	plan, err := plan.Resolve(ctx, os.DirFS(source), config)
	if err != nil {
		return row{}, err
	}
	r.sample = b
	builder := host.New(&oci.Bases{}, os.Environ())
	err = carryOut(ctx, builder, source, plan, func(img build.Image) error {
		pulled, unpacked, err := oci.Sizes(img)
		if err != nil {
			return err
		}
		base := bases[b.config.Runtime]
		r.sizes = append(r.sizes, sizes{program: img.BinarySize, pulled: pulled - standIn.pulled + base, unpacked: unpacked - standIn.unpacked + base})
		return nil
	})
	if err != nil {
		return row{}, err
	}

	// The same programs with their symbols.
	for i, c := range plan.Compile {
		plan.Compile[i].Flags = slices.DeleteFunc(c.Flags, func(flag string) bool { return flag == "-ldflags=-s -w" })
		for j, flag := range plan.Compile[i].Flags {
			plan.Compile[i].Flags[j] = strings.Replace(flag, "-ldflags=-s -w ", "-ldflags=", 1)
		}
	}
	plan.Guard.Symbols = true
	i := 0
	err = carryOut(ctx, builder, source, plan, func(img build.Image) error {
		r.sizes[i].unstripped = img.BinarySize
		i++
		return nil
	})
	return r, err
}

func carryOut(ctx context.Context, builder build.Engine, source string, plan *plan.Plan, read func(build.Image) error) error {
	built, err := build.BuildOne(ctx, builder, source, plan, build.Discard)
	if err != nil {
		return err
	}
	for _, img := range built.Images {
		if err := read(img); err != nil {
			return errors.Join(err, built.Close())
		}
	}
	return built.Close()
}

// writeStandIn writes a base with nothing but the files that the plan of Alpine adds lines to, and returns how big it is.
func writeStandIn(ctx context.Context, dir, storeDir string) (sizes, error) {
	store, err := cache.Open(storeDir)
	if err != nil {
		return sizes{}, err
	}
	layer, err := oci.NewLayer(ctx, store, []oci.File{
		oci.FromBytes("/etc/group", 0o644, []byte("root:x:0:\n")),
		oci.FromBytes("/etc/passwd", 0o644, []byte("root:x:0:0:root:/:/bin/sh\n")),
	}, time.Unix(0, 0), oci.Compression{})
	if err != nil {
		return sizes{}, err
	}
	var images []v1.Image
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := oci.New(oci.Spec{
			Platform: v1.Platform{OS: "linux", Architecture: arch},
			Layers:   []oci.Layer{{Layer: layer, CreatedBy: "a stand-in"}},
		})
		if err != nil {
			return sizes{}, err
		}
		images = append(images, img)
	}
	index, err := oci.NewIndex(images, nil)
	if err != nil {
		return sizes{}, err
	}
	var s sizes
	if s.pulled, s.unpacked, err = oci.Sizes(images[0]); err != nil {
		return sizes{}, err
	}
	return s, oci.WriteLayout(ctx, dir, index, "base")
}

// Marks around the table.
const (
	begin = "<!-- sizes: made by go run ./internal/sizes docs/runtimes.md -->\n"
	end   = "<!-- end of sizes -->\n"
)

func between(text, table string) (string, error) {
	before, rest, ok1 := strings.Cut(text, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		return "", errors.New("there are no marks around the table")
	}
	return before + begin + table + end + after, nil
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| example | runtime | program | stripping saves | pulled | unpacked | usual |\n")
	b.WriteString("| --- | --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, r := range rows {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}

// String is a row of the table: sizes in MB, of the platforms in their order.
func (r row) String() string {
	cell := func(text func(sizes) string) string {
		var all []string
		for _, s := range r.sizes {
			all = append(all, text(s))
		}
		return strings.Join(all, " / ")
	}
	mb := func(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/1e6) }
	typical := r.usual
	if typical == (span{}) {
		typical = usual[r.config.Runtime]
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s | %s |", r.example, r.config.Runtime,
		cell(func(s sizes) string { return mb(s.program) }),
		cell(func(s sizes) string { return fmt.Sprintf("%.0f %%", 100-100*float64(s.program)/float64(s.unstripped)) }),
		cell(func(s sizes) string { return mb(s.pulled) }),
		cell(func(s sizes) string { return mb(s.unpacked) }),
		typical)
}
