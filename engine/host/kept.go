package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/slipway-ci/slipway/engine"
	"github.com/slipway-ci/slipway/image"
	"github.com/slipway-ci/slipway/pipeline"
)

// compile runs go build. The Go command links a program anew unless it finds it where it is to write it, by the build ID in it.
// So it writes where the last build did; out gets the programs from there.
//
// The build ID says what a program was when it was written. Whether it still is that, go build does not look. A sum that is kept
// beside it says so; a program without its sum is removed first, and linked again.
func (c *compiler) compile(ctx context.Context, step engine.Step, p pipeline.Compile, programs []pipeline.Program, env map[string]string, out string) error {
	cmd := command{dir: filepath.Join(c.source, c.plan.Source.Dir), args: p.Command(out), what: "compiling for " + p.Platform.String()}
	if c.store == nil || !keepable(c.plan, p) {
		return c.goCommand(ctx, step, cmd, env)
	}
	shelf, err := c.shelf(p)
	if err != nil {
		return err
	}
	unlock, err := image.TryLock(shelf + ".lock")
	if err != nil {
		return err
	}
	if unlock == nil { // another build of the same is at it, and waiting for it takes longer
		return c.goCommand(ctx, step, cmd, env)
	}
	return errors.Join(c.compileOn(ctx, step, p, programs, env, cmd, shelf, out), unlock())
}

// keepable says whether the Go command can tell a program that is up to date. It does not look at C libraries that were linked
// in, and flags may put something else in the place of the build ID. After go generate the source is in another folder each time.
func keepable(plan *pipeline.Plan, p pipeline.Compile) bool {
	says := func(text string) bool { return strings.Contains(text, "buildid") }
	return plan.Generate == nil && p.C == nil && !slices.ContainsFunc(p.Flags, says) && !says(plan.Env["GOFLAGS"]) && !says(p.Env["GOFLAGS"])
}

func (c *compiler) compileOn(ctx context.Context, step engine.Step, p pipeline.Compile, programs []pipeline.Program, env map[string]string, cmd command, shelf, out string,
) error {
	sound, err := checkShelf(shelf, programs)
	if err != nil {
		return err
	}
	cmd.args = p.Command(shelf)
	if err := c.goCommand(ctx, step, cmd, env); err != nil {
		return err
	}
	for _, program := range programs {
		name := filepath.Join(shelf, program.Name)
		was, there := sound[program.Name]
		now, err := os.Stat(name)
		if err != nil {
			return err
		}
		sum := was.sum
		if !there || !os.SameFile(was.FileInfo, now) || !was.ModTime().Equal(now.ModTime()) || was.Size() != now.Size() {
			if sum, err = image.FileSum(name); err != nil {
				return err
			}
			if err := os.WriteFile(name+sumSuffix, []byte(sum), 0o644); err != nil {
				return err
			}
		}
		result := filepath.Join(out, program.Name)
		if err := linkOrCopy(name, result); err != nil {
			return err
		}
		used := time.Now()
		if err := errors.Join(os.Chtimes(name, used, used), os.Chtimes(name+sumSuffix, used, used), c.store.Know(result, sum)); err != nil {
			return err
		}
	}
	return nil
}

// sumSuffix makes the name of the file with a program's sum.
const sumSuffix = ".sha256"

// soundFile is a program that is what its sum says.
type soundFile struct {
	fs.FileInfo
	sum string
}

// checkShelf removes the programs that are not what their sums say, and describes the others.
func checkShelf(shelf string, programs []pipeline.Program) (map[string]soundFile, error) {
	if err := os.MkdirAll(shelf, 0o755); err != nil {
		return nil, err
	}
	sound := map[string]soundFile{}
	for _, program := range programs {
		name := filepath.Join(shelf, program.Name)
		want, _ := os.ReadFile(name + sumSuffix) // none fits no sum
		sum, err := image.FileSum(name)
		if err == nil && sum == string(want) {
			if info, err := os.Stat(name); err == nil {
				sound[program.Name] = soundFile{info, sum}
				continue
			}
		}
		if err := errors.Join(os.RemoveAll(name), os.RemoveAll(name+sumSuffix)); err != nil {
			return nil, err
		}
	}
	return sound, nil
}

// shelf is the folder of the programs of one source and platform. Settings that change the programs need no shelf of their
// own: go build sees that they have changed.
func (c *compiler) shelf(p pipeline.Compile) (string, error) {
	text, err := json.Marshal([]any{c.source, c.plan.Source.Dir, p.Platform.String(), p.Packages})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	kept := c.store.Folder("programs")
	if err := os.MkdirAll(kept, 0o755); err != nil {
		return "", err
	}
	return filepath.Join(kept, hex.EncodeToString(sum[:16])), nil
}

// linkOrCopy gives a file a second name. The Go command removes a program before it writes another in its place, so what the
// second name leads to stays as it is.
func linkOrCopy(from, to string) error {
	if os.Link(from, to) == nil {
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
