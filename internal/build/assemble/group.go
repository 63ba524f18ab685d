package assemble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

// group compiles for the plans that compile together. What it does is done once, for the first who asks, and stopped when no
// image waits for it any more.
type group struct {
	*shared
	plan.Group
	ctx      context.Context
	cancel   context.CancelFunc
	waiting  atomic.Int64
	compiler Compiler
	dir      string
	modules  func() error
	compiled map[plan.Platform]func() (compiled, error)
}

// compiled are programs for a platform.
type compiled struct {
	dir     string
	digests map[string]string // as far as they are noted
}

func newGroup(ctx context.Context, s *shared, members plan.Group, compiler Compiler, dir string) *group {
	g := &group{shared: s, Group: members, compiler: compiler, dir: dir, compiled: map[plan.Platform]func() (compiled, error){}}
	g.ctx, g.cancel = context.WithCancel(ctx)
	g.waiting.Store(int64(len(members.Members)))
	g.modules = sync.OnceValue(func() error {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		return compiler.Modules(g.ctx)
	})
	for _, c := range members.Plan.Compile {
		g.compiled[c.Platform] = sync.OnceValues(func() (compiled, error) { return g.compile(c, members.Compiled(c), g.out(c.Platform)) })
	}
	return g
}

// out is the directory of the programs for a platform.
func (g *group) out(p plan.Platform) string {
	return filepath.Join(g.dir, "out", strings.ReplaceAll(p.String(), "/", "-"))
}

func (g *group) compile(c plan.Compile, programs []plan.Program, out string) (made compiled, err error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return made, err
	}
	made.dir = out
	err = g.work(g.ctx, func() (err error) {
		made.digests, err = g.compiler.Compile(g.ctx, c, programs, out)
		return err
	})
	return made, err
}

// part is the programs of an image that one group compiles.
type part struct {
	*group
	plan   *plan.Plan
	number int // of the part among those of all images
}

// programs finds the part's programs for the platform with that number. If they fail to compile with those of other images, they are
// compiled alone: go build does not say whose fault it was.
func (p *part) programs(platform int) (compiled, error) {
	c := p.plan.Compile[platform]
	made, err := p.compiled[c.Platform]()
	if err == nil || len(p.Members) == 1 || p.ctx.Err() != nil {
		return made, err
	}
	return p.compile(c, p.plan.Programs, p.out(c.Platform)+"-"+strconv.Itoa(p.number))
}

// recompile compiles programs for a platform again, since cached ones were not what was noted of them.
func (p *part) recompile(platform int, was compiled) (compiled, error) {
	for _, program := range p.plan.Programs {
		file, err := filepath.EvalSymlinks(filepath.Join(was.dir, program.Name))
		if err == nil {
			err = os.Remove(file)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return compiled{}, fmt.Errorf("removing a cached program that was altered: %w", err)
		}
	}
	c := p.plan.Compile[platform]
	return p.compile(c, p.plan.Programs, p.out(c.Platform)+"-again-"+strconv.Itoa(p.number))
}

// altered reports whether err may come from a cached program that is not what was noted of it.
func (p *part) altered(err error, programs compiled) bool {
	if errors.Is(err, oci.ErrAltered) {
		return programs.digests != nil
	}
	for _, program := range p.plan.Programs {
		noted := programs.digests[program.Name]
		if is, err := cache.ReadFileDigest(filepath.Join(programs.dir, program.Name)); noted != "" && (err != nil || is != noted) {
			return true
		}
	}
	return false
}

// programDirs have the programs of an image for a platform, by its parts.
type programDirs []compiled

// of is where the program of that name is. The debugger is with those of the first part.
func (b *execution) of(programs programDirs, name string) compiled {
	for i, p := range b.parts {
		if slices.ContainsFunc(p.plan.Programs, func(own plan.Program) bool { return own.Name == name }) {
			return programs[i]
		}
	}
	return programs[0]
}
