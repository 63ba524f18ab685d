package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/modcache"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/cache/filestate"
)

// verifier does what go mod verify does, without reading again what it read in an earlier build. A module's zip file and directory
// have to have the hash that go.sum says. Once they had it, their state is cached. While files have that state, nobody has written to
// them.
type verifier struct {
	// modules is GOMODCACHE.
	modules string
	cache   *cache.Cache // nil for none
	now     func() time.Time
}

// usable reports whether the verifier can do its work here.
func (v verifier) usable() bool { return v.cache != nil && filestate.Supported(v.modules) }

// pinned is a module of a go.sum.
type pinned struct {
	module.Version
	// sum is the hash, h1:….
	sum string
}

// parseSums reads the modules of a go.sum or go.work.sum; the Go command has found its lines sound.
func parseSums(text string) []pinned {
	var all []pinned
	for v, sum := range modcache.Lines(text) {
		// The Go command compares the go.mod files itself, whenever it reads one. What it downloads of itself it changes.
		if !strings.HasSuffix(v.Version, "/go.mod") && v.Path != "golang.org/toolchain" {
			all = append(all, pinned{v, sum})
		}
	}
	return all
}

// files are the module's zip file and directory in the module cache, of which either may be missing.
func (v verifier) files(m pinned) (zip, dir string, err error) {
	download, dir, err := modcache.Names(m.Version)
	if err != nil {
		return "", "", err
	}
	download, dir = filepath.Join(v.modules, filepath.FromSlash(download)), filepath.Join(v.modules, filepath.FromSlash(dir))
	if exists(download + ".partial") {
		dir += ".partial" // which is never there: the Go command ignores the directory and makes it anew from the zip file
	}
	return download + ".zip", dir, nil
}

// state is what there is of a module.
type state struct {
	zip, dir string
	filestate.State
	// known says that it was verified as it is.
	known bool
}

func (v verifier) state(m pinned) (s state, err error) {
	if s.zip, s.dir, err = v.files(m); err != nil {
		return s, err
	}
	s.State, err = filestate.Read(v.now(), filestate.All, s.zip, s.dir)
	s.known = err == nil && s.Settled && v.has(v.moduleKey(m), s.Digest)
	return s, err
}

// errAltered says that modules are not what go.sum says.
var errAltered = errors.New("modules were altered")

// verify verifies all modules and reports to step how it went, in the words of go mod verify. There is nothing that it could say if
// found is false: none of the modules is in the module cache. want stands for what was to be downloaded, and has been, for unchanged.
func (v verifier) verify(ctx context.Context, step build.Step, want string, modules []pinned) (found bool, err error) {
	states, faults := make([]state, len(modules)), make([]error, len(modules))
	err = each(ctx, modules, func(ctx context.Context, i int, m pinned) { states[i], faults[i] = v.module(ctx, m) })
	if err != nil {
		return true, err
	}
	if err := errors.Join(faults...); err != nil {
		return true, fmt.Errorf("%w:\n%w", errAltered, err)
	}
	present, known := 0, 0
	for _, s := range states {
		if s.Exists {
			present++
		}
		if s.known {
			known++
		}
	}
	if present == 0 && len(modules) > 0 {
		return false, nil
	}
	return true, errors.Join(v.cache.Put(v.wholeKey(want), presence(states)), report(step, present-known, known))
}

func report(step build.Step, read, known int) error {
	_, err := fmt.Fprintf(step, "all modules verified: %d now, %d unchanged since an earlier build\n", read, known)
	return err
}

// unchanged reports whether want was downloaded, and whether all of it is there as it was verified; known is how many modules that are.
func (v verifier) unchanged(ctx context.Context, want string, modules []pinned) (known int, ok bool) {
	var were string
	if !v.cache.Get(v.wholeKey(want), &were) {
		return 0, false
	}
	states, faults := make([]state, len(modules)), make([]error, len(modules))
	if each(ctx, modules, func(_ context.Context, i int, m pinned) { states[i], faults[i] = v.state(m) }) != nil || errors.Join(faults...) != nil {
		return 0, false
	}
	for _, s := range states {
		if s.Exists && !s.known {
			return 0, false
		}
		if s.known {
			known++
		}
	}
	return known, presence(states) == were
}

// putCompleted caches the go.work.sum that a download of want completed, and completed reads it.
func (v verifier) putCompleted(want, text string) error {
	return v.cache.Put(v.key("completed", want), text)
}

func (v verifier) completed(want string) (text string, ok bool) {
	ok = v.cache.Get(v.key("completed", want), &text)
	return text, ok
}

// each calls f for all modules, several at a time. The error is that of a ctx that is over.
func each(ctx context.Context, modules []pinned, f func(context.Context, int, pinned)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, m := range modules {
		group.Go(func() error {
			f(ctx, i, m)
			return ctx.Err()
		})
	}
	return group.Wait()
}

// presence lists which modules are in the module cache.
func presence(states []state) string {
	var text strings.Builder
	for _, s := range states {
		fmt.Fprintln(&text, s.Exists)
	}
	return text.String()
}

// module verifies a module. Its state is that before the hash was made: what is written in between changes the next one.
func (v verifier) module(ctx context.Context, m pinned) (state, error) {
	for {
		s, err := v.state(m)
		if err != nil {
			return s, fmt.Errorf("%s: %w", m, err)
		}
		if s.known || !s.Exists {
			return s, nil
		}
		if altered := v.hash(ctx, m, s.zip, s.dir); altered != nil {
			if now, err := v.state(m); err == nil && now.Digest != s.Digest {
				continue // another Go command is at work on it
			}
			return s, fmt.Errorf("%s: %w", m, altered)
		}
		if s.Settled {
			err = v.cache.Put(v.moduleKey(m), s.Digest)
		}
		return s, err
	}
}

// all reads all modules that are in the module cache, and compares.
func (v verifier) all(ctx context.Context, modules []pinned) error {
	faults := make([]error, len(modules))
	err := each(ctx, modules, func(ctx context.Context, i int, m pinned) {
		zip, dir, err := v.files(m)
		if err == nil {
			err = v.hash(ctx, m, zip, dir)
		}
		if err != nil {
			faults[i] = fmt.Errorf("%s: %w", m, err)
		}
	})
	return errors.Join(append(faults, err)...)
}

func (v verifier) has(key, text string) bool {
	var was string
	return v.cache.Get(key, &was) && was == text
}

// String is the module as go mod verify writes it.
func (m pinned) String() string { return m.Path + " " + m.Version.Version }

// moduleKey is what the state of a module is cached under.
func (v verifier) moduleKey(m pinned) string {
	return v.key("module", m.Path, m.Version.Version, m.sum)
}

// wholeKey is what is cached under which modules were there when want had been downloaded.
func (v verifier) wholeKey(want string) string { return v.key("whole", want) }

func (v verifier) key(about ...string) string {
	return "verified 1: " + strings.Join(append(about, v.modules), "\n")
}

// hash reads all of a module and compares.
func (v verifier) hash(ctx context.Context, m pinned, zip, dir string) error {
	hash := func(files []string, open func(string) (io.ReadCloser, error)) (string, error) {
		return dirhash.Hash1(files, func(name string) (io.ReadCloser, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return open(name)
		})
	}
	var faults []error
	compare := func(kind, name string, sum string, err error) {
		switch {
		case errors.Is(err, fs.ErrNotExist) && !exists(name): // the one is enough
		case err != nil:
			faults = append(faults, err)
		case sum != m.sum:
			faults = append(faults, fmt.Errorf("%s has been modified (%s)", kind, name))
		}
	}
	sum, err := dirhash.HashZip(zip, hash)
	compare("zip", zip, sum, err)
	sum, err = dirhash.HashDir(dir, m.Path+"@"+m.Version.Version, hash)
	compare("dir", dir, sum, err)
	return errors.Join(faults...)
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// sums are the modules that the .sum files pin, of files by their names.
func sums(files map[string]string) []pinned {
	var all []pinned
	for name, text := range files {
		if path.Ext(name) == ".sum" {
			all = append(all, parseSums(text)...)
		}
	}
	slices.SortFunc(all, func(a, b pinned) int { return strings.Compare(a.String()+a.sum, b.String()+b.sum) })
	return slices.Compact(all)
}
