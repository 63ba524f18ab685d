// Package changed says which images could differ from those that an earlier revision of their source gives.
//
// It knows what an image is made of: the files of the packages that go list names, what they embed, the files that decide which
// modules are used, and the files that settings put into the image. Each is compared with the revision, byte for byte, as it is
// on disk. Where it cannot be known that nothing is different, the image counts as changed: a wrong answer is worse than a build
// in vain. What the source does not hold is not compared: the images that a floating reference names, the tools of this machine.
package changed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/gocommand"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Image is an image as it would be built now.
type Image struct {
	Name string
	// Plan is what plan.Resolve makes of Config.
	Plan   *plan.Plan
	Config plan.Config
	// Read are the paths of more files that settings were read from, such as certificates. One that is not in the source is taken to
	// be as it was, like the settings themselves.
	Read []string
	// Settings says, as a phrase for users, what is different about the settings, which are the caller's to compare; empty where
	// nothing is.
	Settings string
}

// Verdict reports whether an image may differ from that of the revision.
type Verdict struct {
	Name string
	In   bool
	// Reason is a phrase for users, such as "cmd/api/main.go changed".
	Reason string
}

// Unchanged is the reason why an image is out.
const Unchanged = "nothing that it is made of changed"

// List runs go list with args for the packages of c, in the environment of a plan, and returns what it prints. It is called from
// several goroutines. [host.Engine.List] is one.
//
// [host.Engine.List]: https://pkg.go.dev/github.com/slipway-ci/slipway/internal/build/host#Engine.List
type List func(ctx context.Context, plan *plan.Plan, c plan.Compile, args ...string) ([]byte, error)

// Since says of each image, in their order, whether it could differ from what the same settings give at the revision rev of the
// git repository that the directory source is in. The revision is one that images were built at. An error that is
// [fault.Faults] says what is wrong with rev or the repository.
func Since(ctx context.Context, source, rev string, images []Image, list List) (_ []Verdict, err error) {
	if source, err = filepath.Abs(source); err != nil {
		return nil, err
	}
	repository, err := open(ctx, source, rev)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, repository.Close()) }()
	t, err := openTree(ctx, source, repository, rev)
	if err != nil {
		return nil, err
	}
	for _, img := range images {
		t.outputs = append(t.outputs, img.Plan.Source.Outputs...)
	}
	slices.Sort(t.outputs)
	t.outputs = slices.Compact(t.outputs)
	verdicts := make([]Verdict, len(images))
	for i, img := range images {
		verdicts[i] = Verdict{Name: img.Name, Reason: t.outside(ctx, img)}
	}
	// Only images that still seem unchanged are worth a call of the Go command.
	listings := listings(images, verdicts)
	ask(ctx, listings, list)
	for _, l := range listings {
		for _, a := range l.askers {
			if verdicts[a.image].Reason == "" {
				verdicts[a.image].Reason = t.programs(ctx, a.part, l)
			}
		}
	}
	for i := range verdicts {
		if verdicts[i].In = verdicts[i].Reason != ""; !verdicts[i].In {
			verdicts[i].Reason = Unchanged
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return verdicts, nil
}

// outside says how an image is different in everything that the Go command has no part in.
func (t *tree) outside(ctx context.Context, img Image) string {
	p := img.Plan
	switch {
	case img.Settings != "":
		return img.Settings
	case p.Prebuild != nil:
		return "the prebuild may read any file"
	case p.Generate != nil:
		return "go generate may read any file"
	case strings.HasPrefix(p.Image.Base, "oci:"), strings.HasPrefix(p.Image.Base, "oci-archive:"):
		return "the base " + p.Image.Base + " is a file, which may have changed"
	case plan.LinksFiles(img.Config.LDFlags):
		return "the linker's flags may name any file"
	case len(img.Config.Packages) == 0 && slices.Contains(strings.Split(p.Programs[0].Package, "/"), "internal"):
		// plan.Resolve takes it for want of another, and there may have been one.
		return "no setting names its package, and " + p.Programs[0].Package + " may not always have been the one"
	}
	names := []string{
		".dockerignore", // of what a Dagger engine gets
		path.Join(p.Source.Dir, plan.LockFile),
	}
	for _, part := range p.Parts() {
		names = append(names, path.Join(part.Source.Dir, "vendor", "modules.txt"))
	}
	for _, name := range names {
		if different := t.maybe(ctx, name); different != "" {
			return different
		}
	}
	for _, name := range p.ModuleFiles() { // of modules too of which nothing is imported, and those that were beside them
		if different := t.each(ctx, path.Dir(name), moduleFiles); different != "" {
			return different
		}
	}
	for _, file := range img.Read {
		file, err := filepath.Abs(file)
		if err != nil {
			return err.Error()
		}
		if name, ok := t.inSource(file); ok {
			if different := t.file(ctx, name); different != "" {
				return different
			}
		}
	}
	for _, from := range img.Config.FileRoots() {
		if different := t.directory(ctx, from); different != "" {
			return different
		}
	}
	return ""
}

// listing is one question to the Go command.
type listing struct {
	plan     *plan.Plan
	compile  plan.Compile
	askers   []asker
	packages map[string]*goPackage
	failed   error
}

// asker is an image, and which of its plan's parts has programs that a listing holds.
type asker struct {
	image int
	part  *plan.Plan
}

// listings are the fewest questions whose answers hold all programs of the images that are not in.
func listings(images []Image, verdicts []Verdict) []*listing {
	var all []*listing
	same := map[string]*listing{}
	for i, img := range images {
		if verdicts[i].Reason != "" {
			continue
		}
		for _, part := range img.Plan.Parts() {
			for _, c := range part.Compile {
				// How a package is compiled does not matter to what it is made of.
				c.Flags = slices.DeleteFunc(slices.Clone(c.Flags), func(flag string) bool {
					return strings.HasPrefix(flag, "-ldflags=") || strings.HasPrefix(flag, "-gcflags=")
				})
				key, err := json.Marshal([]any{part.Source.Dir, part.Env, part.CACerts, c.Env, c.Flags})
				if err != nil {
					panic(err) // strings marshal
				}
				l := same[string(key)]
				if l == nil {
					l = &listing{plan: part, compile: c}
					l.compile.Packages, l.compile.Renamed = nil, nil
					same[string(key)] = l
					all = append(all, l)
				}
				l.askers = append(l.askers, asker{i, part})
				l.compile.Packages = append(l.compile.Packages, c.AllPackages()...)
			}
		}
	}
	for _, l := range all {
		slices.Sort(l.compile.Packages)
		l.compile.Packages = slices.Compact(l.compile.Packages)
	}
	return all
}

// ask puts the questions, as many at a time as there are processors. One that fails is an answer.
func ask(ctx context.Context, listings []*listing, list List) {
	group := errgroup.Group{}
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, l := range listings {
		group.Go(func() error {
			out, err := list(ctx, l.plan, l.compile, listArgs...)
			if err == nil {
				l.packages, err = parsePackages(bytes.NewReader(out))
			}
			l.failed = err
			return nil
		})
	}
	_ = group.Wait()
}

// programs says how the programs of a plan are different on one platform.
func (t *tree) programs(ctx context.Context, plan *plan.Plan, l *listing) string {
	if l.failed != nil {
		said := l.failed.Error()
		if e := (*gocommand.Error)(nil); errors.As(l.failed, &e) {
			said = e.Output
		}
		return "the Go command does not know: " + firstLine(said)
	}
	for _, program := range plan.Programs {
		if different := t.program(ctx, program, l); different != "" {
			return different
		}
	}
	return ""
}
