package host

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/plan"
)

// share is the number of programs that each go build may run at once, -p, if it runs for several platforms side by side. If each used all
// processors, its default, compiling everything would take a tenth longer, and the memory would grow with the platforms. The plan says
// that -p is added, but not the number: plans are the same on all machines.
func share(processors, platforms int) int {
	return (processors + platforms - 1) / platforms
}

// compile runs go build, unless everything that it would read is as it was in an earlier build. The Go command links a program anew
// unless it finds it where it is to write it, by the build ID in it. So it writes where the last build did, into the binary cache; out
// gets links to the programs there.
//
// The build ID describes a program as it was written. go build does not check that the program is unchanged; the digests that are cached
// beside the programs do.
func (c *compiler) compile(ctx context.Context, step build.Step, p plan.Compile, programs []plan.Program, env map[string]string, out string) (digests map[string]string, err error) {
	goBuild := func(out string, quick bool) error {
		platforms := len(c.plan.Compile)
		atOnce := share(runtime.GOMAXPROCS(0), platforms)
		for _, args := range p.Commands(filepath.ToSlash(out)) {
			if platforms > 1 {
				args = slices.Insert(args, 2, "-p="+strconv.Itoa(atOnce))
			}
			cmd := command{dir: filepath.Join(c.source, c.plan.Source.Dir), args: args, what: "compiling for " + p.Platform.String()}
			err = c.fromSources(ctx, step, env, func(step build.Step, env map[string]string) error {
				if quick && !trace.SpanFromContext(ctx).IsRecording() {
					return c.goCommand(ctx, step, cmd, env)
				}
				return c.watched(ctx, step, cmd, env, atOnce)
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	if c.cache == nil || !cacheable(c.plan, p) {
		return nil, goBuild(out, false)
	}
	b, err := c.binaryCache(p)
	if err != nil {
		return nil, err
	}
	if b == nil { // another build of the same is at it, and waiting for it takes longer
		return nil, goBuild(out, false)
	}
	digests, err = c.fill(step, b, p, programs, goBuild)
	if err != nil {
		return nil, err
	}
	for name, digest := range digests {
		cached, result := filepath.Join(b.dir, name), filepath.Join(out, name)
		cache.Used(cached)
		if err := linkOrCopy(cached, result); err != nil {
			return nil, err
		}
		if err := c.cache.AssumeFileDigest(result, digest); err != nil {
			return nil, err
		}
		put, err := c.cache.PutFileDigest(cached, digest)
		if err != nil {
			return nil, err
		}
		c.atClose(put)
	}
	return digests, nil
}

// cacheable reports whether the Go command knows a program that is up to date. It does not check C libraries that were linked
// in, and flags may put something else in the place of the build ID. A copy of the source, which is written to, is another directory each time. The
// tags of a repository, which make versions, are read by the Go command alone.
func cacheable(plan *plan.Plan, p plan.Compile) bool {
	says := func(text string) bool { return strings.Contains(text, "buildid") }
	return plan.Generate == nil && plan.Prebuild == nil && plan.Source.VCS == nil && p.C == nil && !slices.ContainsFunc(p.Flags, says) && !says(plan.Env["GOFLAGS"]) && !says(p.Env["GOFLAGS"])
}

// binaryCache is a directory of programs that stay from build to build. It belongs to one build at a time, until that is closed.
type binaryCache struct {
	dir string
	key string // of what is cached of it
}

// cachedPrograms is what is cached of a binaryCache.
type cachedPrograms struct {
	// Inputs is what the programs were made of; empty where that is not known.
	Inputs inputs `json:"inputs"`
	// Programs are those that were made, by their names.
	Programs map[string]cachedProgram `json:"programs"`
	// Made is when go build made them last, which took that time.
	Made time.Time     `json:"made,omitzero"`
	Took time.Duration `json:"took,omitempty"`
}

// when is when the programs were made, for people.
func (p cachedPrograms) when() string {
	if p.Made.IsZero() {
		return "an earlier build"
	}
	return p.Made.Local().Format(time.DateTime)
}

type cachedProgram struct {
	BuildID string `json:"buildID"`
	Digest  string `json:"digest"`
}

// binaryCache is that of the source, the platform and the packages of p; nil if another build has it. Settings that change the programs
// need no other: go build sees that they have changed.
func (c *compiler) binaryCache(p plan.Compile) (*binaryCache, error) {
	text, err := json.Marshal([]any{c.source, c.plan.Source.Dir, p.Platform.String(), p.AllPackages()})
	if err != nil {
		return nil, err
	}
	dir, release, err := c.cache.Claim("programs", cache.DigestOf(text)[:32])
	if err != nil || release == nil {
		return nil, err
	}
	c.atClose(release)
	return &binaryCache{dir, "programs in " + dir}, nil
}

// Close gives the binary caches free for others.
func (c *compiler) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, do := range slices.Backward(c.closers) {
		errs = append(errs, do())
	}
	c.closers = nil
	return errors.Join(errs...)
}

// atClose has something done by Close, before what was there earlier.
func (c *compiler) atClose(do func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closers = append(c.closers, do)
}

// expectQuick reports whether go build will be over before anybody wants to know how far it is, which costs the Go command a twenty-fifth of
// building a small program again: it was the last time, and nothing but the source has changed since.
func expectQuick(now inputs, was cachedPrograms) bool {
	return was.Took > 0 && was.Took < 10*time.Second && now.Settings != "" && now.Settings == was.Inputs.Settings
}

// fill has the programs in their cache, and returns their digests by their names. goBuild is go build, which may be expected to be quick.
func (c *compiler) fill(step build.Step, b *binaryCache, p plan.Compile, programs []plan.Program, goBuild func(out string, quick bool) error) (map[string]string, error) {
	var was cachedPrograms
	if !c.cache.Get(b.key, &was) {
		was = cachedPrograms{}
	}
	now := c.inputs(p, was.Inputs.Everything)
	if now.Digest != "" && now == was.Inputs {
		if digests := c.sound(b, was, programs); digests != nil {
			step.Skip(build.Skipped{Reason: "nothing that the programs are made of has changed since " + was.when(), Saved: was.Took})
			return digests, nil
		}
	}
	// A program that is not cached may not be what its build ID says. Go writes to nothing but a program.
	for _, program := range programs {
		name := filepath.Join(b.dir, program.Name)
		cached, known := was.Programs[program.Name]
		info, err := os.Lstat(name)
		if !known || err == nil && (!info.Mode().IsRegular() || cached.BuildID == "" || buildID(name) != cached.BuildID) {
			if err := os.RemoveAll(name); err != nil {
				return nil, err
			}
		}
	}
	unread := c.unread(b, was, programs)
	everything := make(chan bool, 1)
	go func() { everything <- c.needsEverything() }()
	begun := time.Now()
	if err := goBuild(b.dir, expectQuick(now, was)); err != nil {
		return nil, err
	}
	is, damaged, err := c.inspect(b, was, unread, programs)
	if err != nil {
		return nil, err
	}
	if len(damaged) > 0 {
		for _, name := range damaged {
			if err := os.RemoveAll(filepath.Join(b.dir, name)); err != nil {
				return nil, err
			}
		}
		if err := goBuild(b.dir, true); err != nil {
			return nil, err
		}
		if is, _, err = c.inspect(b, cachedPrograms{}, nil, programs); err != nil {
			return nil, err
		}
	}
	is.Inputs, is.Took, is.Made = now, time.Since(begun), begun
	if needed := <-everything; needed != now.Everything { // the next build has to check what this one did not
		is.Inputs = inputs{Settings: now.Settings, Everything: needed}
	}
	if err := c.cache.Put(b.key, is); err != nil {
		return nil, fmt.Errorf("caching the programs: %w", err)
	}
	digests := map[string]string{}
	for name, program := range is.Programs {
		digests[name] = program.Digest
	}
	return digests, nil
}

// sound are the digests of the programs, if all of them are what was cached; else nil.
func (c *compiler) sound(b *binaryCache, was cachedPrograms, programs []plan.Program) map[string]string {
	digests := map[string]string{}
	for _, program := range programs {
		cached, ok := was.Programs[program.Name]
		if digest, err := c.cache.FileDigest(filepath.Join(b.dir, program.Name)); !ok || err != nil || digest != cached.Digest {
			return nil
		}
		digests[program.Name] = cached.Digest
	}
	return digests
}

// unread returns the programs that are known to be those that were cached, without reading them.
func (c *compiler) unread(b *binaryCache, was cachedPrograms, programs []plan.Program) map[string]bool {
	found := map[string]bool{}
	for _, program := range programs {
		cached, ok := was.Programs[program.Name]
		found[program.Name] = ok && c.cache.CachedFileDigest(filepath.Join(b.dir, program.Name)) == cached.Digest
	}
	return found
}

// inspect reads the programs in the binary cache after go build. damaged are those that go build left, by their build IDs, and whose content
// has changed. Programs in unread were unchanged before: with the same build ID, go build has only set their time, and they are not read.
func (c *compiler) inspect(b *binaryCache, was cachedPrograms, unread map[string]bool, programs []plan.Program) (is cachedPrograms, damaged []string, err error) {
	is.Programs = map[string]cachedProgram{}
	for _, program := range programs {
		name := filepath.Join(b.dir, program.Name)
		cached, id := was.Programs[program.Name], buildID(name)
		if unread[program.Name] && id == cached.BuildID && id != "" {
			is.Programs[program.Name] = cached
			continue
		}
		digest, err := c.cache.FileDigest(name)
		if err != nil {
			return is, nil, err
		}
		if cached.Digest != "" && cached.Digest != digest && (id == cached.BuildID || id == "") {
			damaged = append(damaged, program.Name)
		}
		is.Programs[program.Name] = cachedProgram{id, digest}
	}
	return is, damaged, nil
}

// buildID is what the Go command knows a program by; empty if it cannot be read, of a program that was cut off too.
// Source: cmd/internal/buildid, readELF
func buildID(name string) string {
	file, err := elf.Open(name)
	if err != nil {
		return ""
	}
	defer file.Close()
	section := file.Section(".note.go.buildid")
	if section == nil {
		return ""
	}
	note, _ := section.Data()
	return string(note)
}

// linkOrCopy gives a file a second name. What the second name leads to stays as it is while the binary cache is this build's.
func linkOrCopy(from, to string) error {
	if os.Symlink(from, to) == nil {
		return nil
	}
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close(), r.Close())
}
