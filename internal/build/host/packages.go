package host

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/slipway-ci/slipway/internal/build"
)

// graphFlag has go build write its graph of actions into a file, before it begins, and with times when it is done. No other flag says which
// packages there are: -debug-trace costs a twentieth of a build, and -v does not say when a package is done. The Go command does not promise
// to have it. Source: cmd/go/internal/work, exec.go
const graphFlag = "-debug-actiongraph"

// watchAfter is how long a step takes until somebody wants to know how far it is, and watchEvery how often that is looked up.
const (
	watchAfter = time.Second
	watchEvery = 250 * time.Millisecond
)

// action is one of the graph.
type action struct {
	ID      int
	Mode    string
	Package string
	Deps    []int
	// Objdir is the directory of what it makes; several actions for a package have the same.
	Objdir string
	// When it was done, once all are.
	TimeStart, TimeDone time.Time
}

// readGraph returns the actions. There are none while the file is being written.
func readGraph(file string) []action {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var all []action
	if json.Unmarshal(text, &all) != nil {
		return nil
	}
	return all
}

// watched runs go build, which compiles so many packages at once, and reports how far it is.
func (c *compiler) watched(ctx context.Context, step build.Step, cmd command, env map[string]string, atOnce int) error {
	dir, err := os.MkdirTemp(c.dir, "graph")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "graph.json")
	watched := cmd
	watched.args = slices.Insert(slices.Clone(cmd.args), 2, graphFlag+"="+file)
	w := watcher{file: file, atOnce: atOnce, now: time.Now}
	done := watch(ctx, step, w.look)
	err = c.goCommand(ctx, step, watched, env)
	done()
	if trace.SpanFromContext(ctx).IsRecording() {
		parts(file, step)
	}
	if err != nil && strings.Contains(err.Error(), "flag provided but not defined: "+graphFlag) {
		return c.goCommand(ctx, step, cmd, env)
	}
	return err
}

// longPart is how long compiling a package takes that a trace has.
const longPart = time.Second

// parts reports which packages took long, and linking.
func parts(file string, step build.Step) {
	for _, a := range readGraph(file) {
		if a.Objdir == "" || a.TimeDone.Sub(a.TimeStart) < longPart {
			continue
		}
		switch a.Mode {
		case "build":
			step.Part(build.Part{Name: a.Package, Began: a.TimeStart, Done: a.TimeDone})
		case "link":
			step.Part(build.Part{Name: "link " + a.Package, Began: a.TimeStart, Done: a.TimeDone})
		}
	}
}

// watch reports how far a step is, as look finds it, until done is called.
func watch(ctx context.Context, step build.Step, look func() (p build.Progress, ok bool)) (done func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		for wait := watchAfter; ; wait = watchEvery {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
				if p, ok := look(); ok {
					step.Progress(p)
				}
			}
		}
	})
	return func() {
		cancel()
		watching.Wait()
	}
}

// watcher finds out which packages are compiled by what is in the directories of their actions: the Go command makes one when it begins with
// a package that it does not have, and the archive in it when it has compiled it.
type watcher struct {
	file   string
	atOnce int // as many packages may be compiled
	now    func() time.Time

	all      map[int]action    // of any kind
	compile  []action          // of a package
	begun    map[int]time.Time // when packages were begun
	finished map[int]bool      // actions, and all that they need
	quiet    map[int]bool      // actions of which nothing is seen, and of nothing that they need
	seemed   map[int]int       // how often in a row packages seemed to be in the Go command's cache
	linking  time.Time         // since when all are
}

// archive is what compiling a package makes. Source: cmd/go/internal/work, build
const archive = "_pkg_.a"

// seemsCached is how often in a row a package is seen not to be compiled, and could be, until it is taken as cached.
const seemsCached = 8

// look is how far the build is; ok is false while nothing is known.
func (w *watcher) look() (p build.Progress, ok bool) {
	if w.all == nil && !w.read() {
		return p, false
	}
	now, running := w.now(), 0
	for _, a := range w.compile {
		if w.finished[a.ID] {
			continue
		}
		if _, known := w.begun[a.ID]; !known {
			if _, err := os.Stat(a.Objdir); err != nil {
				continue
			}
			w.begun[a.ID] = now
			for _, dep := range a.Deps {
				w.finish(dep)
			}
		}
		if _, err := os.Stat(filepath.Join(a.Objdir, archive)); err == nil {
			w.finish(a.ID)
			continue
		}
		running++
		if since := now.Sub(w.begun[a.ID]); p.Slowest == "" || since > p.For {
			p.Slowest, p.For = a.Package, since
		}
	}
	// With nothing to wait for, and as long as the Go command could compile more, what it does not compile is in its cache. It may also be reading
	// the sources of a package, to find out.
	w.quiet = map[int]bool{}
	for _, a := range w.compile {
		if running < w.atOnce && w.isQuiet(a.ID) {
			w.seemed[a.ID]++
		} else {
			w.seemed[a.ID] = 0
		}
		if w.finished[a.ID] || w.seemed[a.ID] >= seemsCached {
			p.Done++
		}
	}
	p.Unit, p.Total = build.Packages, int64(len(w.compile))
	switch {
	case p.Done < p.Total:
		w.linking = time.Time{} // it was too early to say so
	case w.linking.IsZero():
		w.linking = now
		fallthrough
	default:
		p.Slowest, p.For = "linking", now.Sub(w.linking)
	}
	return p, true
}

func (w *watcher) read() bool {
	graph := readGraph(w.file)
	if len(graph) == 0 {
		return false
	}
	w.all, w.begun, w.finished, w.seemed = map[int]action{}, map[int]time.Time{}, map[int]bool{}, map[int]int{}
	for _, a := range graph {
		w.all[a.ID] = a
		if a.Mode == "build" && a.Objdir != "" {
			w.compile = append(w.compile, a)
		}
	}
	return true
}

// finish takes an action, and everything that it needs, as done.
func (w *watcher) finish(id int) {
	if w.finished[id] {
		return
	}
	w.finished[id] = true
	for _, dep := range w.all[id].Deps {
		w.finish(dep)
	}
}

// isQuiet reports whether neither an action nor anything that it needs is being done.
func (w *watcher) isQuiet(id int) bool {
	if w.finished[id] {
		return true
	}
	if quiet, known := w.quiet[id]; known {
		return quiet
	}
	_, begun := w.begun[id]
	w.quiet[id] = !begun && !slices.ContainsFunc(w.all[id].Deps, func(dep int) bool { return !w.isQuiet(dep) })
	return w.quiet[id]
}
