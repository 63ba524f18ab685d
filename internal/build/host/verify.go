package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	"github.com/slipway-ci/slipway/internal/cache/fingerprint"
	"github.com/slipway-ci/slipway/internal/oci"
)

// verifier does what go mod verify does, without reading again what it read in an earlier build. A module's zip file and directory
// have to have the hash that go.sum says. Once they had it, their fingerprint is kept. While files are what their fingerprint
// says, nobody has written to them.
type verifier struct {
	// modules is GOMODCACHE.
	modules string
	// kept is the directory of fingerprints; empty for none.
	kept string
	now  func() time.Time
}

// usable says whether the verifier can do its work here.
func (v verifier) usable() bool { return v.kept != "" && fingerprint.Supported(v.modules) }

// pinned is a module of a go.sum.
type pinned struct {
	module.Version
	// sum is the hash, h1:….
	sum string
}

// parseSums reads the modules of a go.sum or go.work.sum; the Go command has found its lines sound.
// Source: https://go.dev/ref/mod#go-sum-files
func parseSums(text string) []pinned {
	var all []pinned
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		// The Go command compares the go.mod files itself, whenever it reads one. What it downloads of itself it changes.
		if len(f) == 3 && !strings.HasSuffix(f[1], "/go.mod") && strings.HasPrefix(f[2], "h1:") && f[0] != "golang.org/toolchain" {
			all = append(all, pinned{module.Version{Path: f[0], Version: f[1]}, f[2]})
		}
	}
	return all
}

// files are the module's zip file and directory in the cache, of which either may be missing.
func (v verifier) files(m pinned) (zip, dir string, err error) {
	escaped, err1 := module.EscapePath(m.Path)
	version, err2 := module.EscapeVersion(m.Version.Version)
	if err := errors.Join(err1, err2); err != nil {
		return "", "", err
	}
	download := filepath.Join(v.modules, "cache", "download", filepath.FromSlash(escaped), "@v", version)
	dir = filepath.Join(v.modules, filepath.FromSlash(escaped)+"@"+version)
	if exists(download + ".partial") {
		dir += ".partial" // which is never there: the Go command ignores the directory and makes it anew from the zip file
	}
	return download + ".zip", dir, nil
}

// state is what there is of a module.
type state struct {
	zip, dir string
	fingerprint.Fingerprint
	// known says that it was verified as it is.
	known bool
}

func (v verifier) state(m pinned) (s state, err error) {
	if s.zip, s.dir, err = v.files(m); err != nil {
		return s, err
	}
	s.Fingerprint, err = fingerprint.Look(v.now(), fingerprint.All, s.zip, s.dir)
	s.known = err == nil && s.Sound && v.has(v.note(m), s.Sum)
	return s, err
}

// errAltered says that modules are not what go.sum says.
var errAltered = errors.New("modules were altered")

// verify verifies all modules and tells step how it went, in the words of go mod verify. There is nothing that it could say if
// found is false: none of the modules is in the cache. want stands for what was to be downloaded, and has been, for remembers.
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
		if s.Any {
			present++
		}
		if s.known {
			known++
		}
	}
	if present == 0 && len(modules) > 0 {
		return false, nil
	}
	return true, errors.Join(v.keep(v.whole(want), presence(states)), tell(step, present-known, known))
}

func tell(step build.Step, read, known int) error {
	_, err := fmt.Fprintf(step, "all modules verified: %d now, %d unchanged since an earlier build\n", read, known)
	return err
}

// remembers says whether want was downloaded, and whether all of it is there as it was verified; known is how many modules that
// are.
func (v verifier) remembers(ctx context.Context, want string, modules []pinned) (known int, ok bool) {
	if _, err := os.Stat(v.whole(want)); err != nil {
		return 0, false
	}
	states, faults := make([]state, len(modules)), make([]error, len(modules))
	if each(ctx, modules, func(_ context.Context, i int, m pinned) { states[i], faults[i] = v.state(m) }) != nil || errors.Join(faults...) != nil {
		return 0, false
	}
	for _, s := range states {
		if s.Any && !s.known {
			return 0, false
		}
		if s.known {
			known++
		}
	}
	return known, v.has(v.whole(want), presence(states))
}

// keepCompleted keeps the go.work.sum that a download of want completed, and completed finds it again.
func (v verifier) keepCompleted(want, text string) error {
	return v.keep(v.file("completed", want), text)
}

func (v verifier) completed(want string) (text string, ok bool) {
	content, err := os.ReadFile(v.file("completed", want))
	if err == nil {
		oci.Touch(v.file("completed", want))
	}
	return string(content), err == nil
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

// presence says which modules are in the cache.
func presence(states []state) string {
	var text strings.Builder
	for _, s := range states {
		fmt.Fprintln(&text, s.Any)
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
		if s.known || !s.Any {
			return s, nil
		}
		if altered := v.hash(ctx, m, s.zip, s.dir); altered != nil {
			if now, err := v.state(m); err == nil && now.Sum != s.Sum {
				continue // another Go command is at work on it
			}
			return s, fmt.Errorf("%s: %w", m, altered)
		}
		if s.Sound {
			err = v.keep(v.note(m), s.Sum)
		}
		return s, err
	}
}

// all reads all modules that are in the cache, and compares.
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

// keep writes a note.
func (v verifier) keep(note, text string) error { return oci.WriteEntry(note, []byte(text)) }

func (v verifier) has(note, text string) bool {
	was, err := oci.ReadEntry(note)
	if err != nil || string(was) != text {
		return false
	}
	oci.Touch(note)
	return true
}

// String is the module as go mod verify writes it.
func (m pinned) String() string { return m.Path + " " + m.Version.Version }

// note is the file of a module's fingerprint.
func (v verifier) note(m pinned) string { return v.file("module", m.Path, m.Version.Version, m.sum) }

// whole is the file that says which modules were there when want had been downloaded.
func (v verifier) whole(want string) string { return v.file("whole", want) }

func (v verifier) file(about ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(append(about, v.modules), "\n")))
	return filepath.Join(v.kept, hex.EncodeToString(sum[:16]))
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
