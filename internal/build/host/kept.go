package host

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
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

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

// share is how many programs go build may run at once, -p, where a machine has so many processors and go build runs for so many
// platforms side by side. Were each to take all processors, as is its default, compiling everything would take a tenth longer, and as
// much more memory as there are platforms.
func share(processors, platforms int) int {
	return (processors + platforms - 1) / platforms
}

// compile runs go build, unless all that it would read is as it was in an earlier build. The Go command links a program anew
// unless it finds it where it is to write it, by the build ID in it. So it writes where the last build did, onto a shelf; out gets
// links to the programs there.
//
// The build ID says what a program was when it was written. Whether it still is that, go build does not look. The note of a shelf has
// the sums that say so.
func (c *compiler) compile(ctx context.Context, step build.Step, p plan.Compile, programs []plan.Program, env map[string]string, out string) (digests map[string]string, err error) {
	build := func(out string) error {
		args := slices.Insert(p.Command(out), 2, "-p="+strconv.Itoa(share(runtime.GOMAXPROCS(0), len(c.plan.Compile))))
		cmd := command{dir: filepath.Join(c.source, c.plan.Source.Dir), args: args, what: "compiling for " + p.Platform.String()}
		return c.goCommand(ctx, step, cmd, env)
	}
	if c.store == nil || !keepable(c.plan, p) {
		return nil, build(out)
	}
	s, err := c.shelf(p)
	if err != nil {
		return nil, err
	}
	if s == nil { // another build of the same is at it, and waiting for it takes longer
		return nil, build(out)
	}
	sums, err := c.fill(step, s, p, programs, build)
	if err != nil {
		return nil, err
	}
	for name, sum := range sums {
		kept, result := filepath.Join(s.dir, name), filepath.Join(out, name)
		oci.Touch(kept)
		if err := linkOrCopy(kept, result); err != nil {
			return nil, err
		}
		if err := c.store.Know(result, sum); err != nil {
			return nil, err
		}
		note, err := c.store.Later(kept, sum)
		if err != nil {
			return nil, err
		}
		c.atClose(note)
	}
	return sums, nil
}

// keepable says whether the Go command can tell a program that is up to date. It does not look at C libraries that were linked
// in, and flags may put something else in the place of the build ID. After go generate the source is in another directory each time.
func keepable(plan *plan.Plan, p plan.Compile) bool {
	says := func(text string) bool { return strings.Contains(text, "buildid") }
	return plan.Generate == nil && p.C == nil && !slices.ContainsFunc(p.Flags, says) && !says(plan.Env["GOFLAGS"]) && !says(p.Env["GOFLAGS"])
}

// shelf is a directory of programs that stay from build to build. It belongs to one build at a time, until that is closed.
type shelf struct {
	dir string
	key string // of its note
}

// shelved is the note of a shelf.
type shelved struct {
	// Inputs is what the programs were made of; empty where that is not known.
	Inputs inputs `json:"inputs"`
	// Programs are those that were made, by their names.
	Programs map[string]shelvedProgram `json:"programs"`
}

type shelvedProgram struct {
	BuildID string `json:"buildID"`
	Sum     string `json:"sum"`
}

// shelf finds the shelf of the source, the platform and the packages of p; nil if another build has it. Settings that change the
// programs need no shelf of their own: go build sees that they have changed.
func (c *compiler) shelf(p plan.Compile) (*shelf, error) {
	text, err := json.Marshal([]any{c.source, c.plan.Source.Dir, p.Platform.String(), p.Packages})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	dir, release, err := c.store.Claim("programs", hex.EncodeToString(sum[:16]))
	if err != nil || release == nil {
		return nil, err
	}
	c.atClose(release)
	return &shelf{dir, "shelf " + dir}, nil
}

// Close gives the shelves free for others.
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

// fill has the programs on the shelf, and returns their sums by their names. build is go build.
func (c *compiler) fill(step build.Step, s *shelf, p plan.Compile, programs []plan.Program, build func(out string) error) (map[string]string, error) {
	var was shelved
	if !c.store.Recall(s.key, &was) {
		was = shelved{}
	}
	now := c.inputs(p, was.Inputs.Everything)
	if now.Sum != "" && now == was.Inputs {
		if sums := c.sound(s, was, programs); sums != nil {
			_, err := fmt.Fprintln(step, "nothing that the programs are made of has changed since an earlier build")
			return sums, err
		}
	}
	// Of what was not noted nobody can say whether it is what its build ID says. Go writes to nothing but a file.
	for _, program := range programs {
		_, noted := was.Programs[program.Name]
		info, err := os.Lstat(filepath.Join(s.dir, program.Name))
		if !noted || err == nil && !info.Mode().IsRegular() {
			if err := os.RemoveAll(filepath.Join(s.dir, program.Name)); err != nil {
				return nil, err
			}
		}
	}
	unread := c.unread(s, was, programs)
	everything := make(chan bool, 1)
	go func() { everything <- c.needsEverything() }()
	if err := build(s.dir); err != nil {
		return nil, err
	}
	is, damaged, err := c.look(s, was, unread, programs)
	if err != nil {
		return nil, err
	}
	if len(damaged) > 0 {
		for _, name := range damaged {
			if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
				return nil, err
			}
		}
		if err := build(s.dir); err != nil {
			return nil, err
		}
		if is, _, err = c.look(s, shelved{}, nil, programs); err != nil {
			return nil, err
		}
	}
	is.Inputs = now
	if needed := <-everything; needed != now.Everything { // the next build has to look at what this one did not
		is.Inputs = inputs{Everything: needed}
	}
	if err := c.store.Remember(s.key, is); err != nil {
		return nil, fmt.Errorf("noting the programs for the next build: %w", err)
	}
	sums := map[string]string{}
	for name, program := range is.Programs {
		sums[name] = program.Sum
	}
	return sums, nil
}

// sound are the sums of the programs, if all of them are what the note says; else nil.
func (c *compiler) sound(s *shelf, was shelved, programs []plan.Program) map[string]string {
	sums := map[string]string{}
	for _, program := range programs {
		noted, ok := was.Programs[program.Name]
		if sum, err := c.store.FileSum(filepath.Join(s.dir, program.Name)); !ok || err != nil || sum != noted.Sum {
			return nil
		}
		sums[program.Name] = noted.Sum
	}
	return sums
}

// unread are the programs that are what the note says, as far as that is known without reading them.
func (c *compiler) unread(s *shelf, was shelved, programs []plan.Program) map[string]bool {
	found := map[string]bool{}
	for _, program := range programs {
		noted, ok := was.Programs[program.Name]
		found[program.Name] = ok && c.store.NotedSum(filepath.Join(s.dir, program.Name)) == noted.Sum
	}
	return found
}

// look notes what is on the shelf after go build. damaged are the programs that it left as they were, by their build IDs, and that
// are not what they were. Those in unread were what they had to be: with the same build ID it has given them no more than the
// time, and they are not read.
func (c *compiler) look(s *shelf, was shelved, unread map[string]bool, programs []plan.Program) (is shelved, damaged []string, err error) {
	is.Programs = map[string]shelvedProgram{}
	for _, program := range programs {
		name := filepath.Join(s.dir, program.Name)
		noted, id := was.Programs[program.Name], buildID(name)
		if unread[program.Name] && id == noted.BuildID && id != "" {
			is.Programs[program.Name] = noted
			continue
		}
		sum, err := c.store.FileSum(name)
		if err != nil {
			return is, nil, err
		}
		if noted.Sum != "" && noted.Sum != sum && (id == noted.BuildID || id == "") {
			damaged = append(damaged, program.Name)
		}
		is.Programs[program.Name] = shelvedProgram{id, sum}
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

// linkOrCopy gives a file a second name. What the second name leads to stays as it is while the shelf is this build's.
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
