// Package gocache shares what the Go command compiles between machines.
//
// The Go command asks a program for what was compiled before, by GOCACHEPROG, so that a build knows which objects it has used: those of
// the caches of this machine, those that a repository had, and those that it made. These, and no others, go into a slot of the repository
// for each image, platform and branch: an index, and a few compressed blobs. A build on a machine without them fetches each blob as one
// stream, and uses an object as soon as it is there. What changes from build to build comes to be in blobs of its own: a blob stays as it
// is while most of it is used, and what none of them has gets into another.
//
// What a repository had may be anything. It is kept apart from the Go command's own cache, in a directory for each repository, with all
// that was compiled from it, so that whoever writes to the repository decides on nothing but builds that use it.
package gocache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/version"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/cache"
)

// Cache is where compiled packages are shared.
type Cache struct {
	Repository slot.Repository
	// Name is what the user calls the repository.
	Name string
	Mode slot.Mode
	// Branches are those whose packages are taken, the one that is built first. The first names the slots that are written.
	Branches []string
	// Key signs the index, and only what it has signed is taken; nil for no signatures.
	Key *signing.Key
	// Local is the cache of this machine.
	Local *cache.Cache
	// Warn reports what kept packages from being shared, of a build that succeeds.
	Warn func(text string)

	// taken has images and platforms that took packages.
	taken sync.Map
}

// Taken reports whether the image for a platform may have been compiled from packages of the repository.
func (c *Cache) Taken(image, platform string) bool {
	_, taken := c.taken.Load([2]string{image, platform})
	return taken
}

// Build is a build that uses a cache.
type Build struct {
	// Images are the names of those whose programs are compiled, and Platform what for.
	Images   []string
	Platform string
	// Go is the version of the Go command that compiles.
	Go string
	// Settings stand for everything that decides about compiled packages of others: flags, variables, go.sum.
	Settings string
	// GoCache is the Go command's own cache.
	GoCache string
	// Dir is a directory for the build's files, whose path is short.
	Dir string
	// Lane is what its steps are reported under.
	Lane   string
	Report build.Reporter
}

// first is the first Go version that knows GOCACHEPROG.
const first = "go1.24"

// Supported reports whether packages can be shared that this Go version compiles.
func Supported(goVersion string) bool {
	return helps.Load() && version.Compare("go"+goVersion, first) >= 0
}

// Session is a build under way.
type Session struct {
	Build
	cache *Cache
	// own is the Go command's cache; shared the directory for what comes from the repository, which is empty if nothing does.
	own, shared store
	// environ is what the Go command needs, once opened is closed.
	environ map[string]string
	opened  chan struct{}
	// fetched is what there is in the repository.
	fetched *fetched
	// stop ends fetching.
	stop    context.CancelFunc
	running sync.WaitGroup
	closers []func() error
	// compiled gets whether the Go command has succeeded, once.
	compiled chan bool
	once     sync.Once

	mu sync.Mutex
	// used are the objects of this build, by their actions, and order has these as they were first used.
	used  map[id]usedObject
	order []id
	// probe is an object that was used, the largest.
	probe usedObject
}

type usedObject struct {
	object
	file string
}

// Open begins a build, and fetches what there is for it in the background. The caller calls Close.
func (c *Cache) Open(ctx context.Context, b Build) *Session {
	s := &Session{
		Build: b, cache: c, own: store{b.GoCache}, used: map[id]usedObject{}, fetched: &fetched{},
		opened: make(chan struct{}), compiled: make(chan bool, 1),
	}
	fetching, stop := context.WithCancel(ctx)
	s.stop = stop
	s.running.Go(func() {
		s.open(fetching)
		close(s.opened)
		succeeded := <-s.compiled
		stop() // what is still arriving was not used
		if !succeeded {
			return
		}
		if err := s.finish(ctx); err != nil && ctx.Err() == nil {
			c.Warn(fmt.Sprintf("compiled packages for %s are not in the cache %s: %v", s.Platform, c.Name, err))
		}
	})
	return s
}

// warm is what is noted of builds that need no more than a cache of this machine.
type warm struct {
	// Cache is the directory, empty for that of the Go command; Probe a file in it.
	Cache string `json:"cache"`
	Probe string `json:"probe"`
}

func (s *Session) warmKey() string {
	text, _ := json.Marshal([]string{"gocache 1", s.cache.Name, s.Platform, s.Go, s.Settings, s.GoCache}) // strings can be written
	return string(text)
}

// open finds out what the Go command is given.
func (s *Session) open(ctx context.Context) {
	var known warm
	if s.cache.Mode != slot.Refresh && s.cache.Local.Get(s.warmKey(), &known) && exists(known.Probe) {
		if known.Cache != "" {
			s.environ = map[string]string{"GOCACHE": known.Cache}
			s.take()
			s.account(known.Cache)
		}
		return
	}
	if s.cache.Mode != slot.Refresh {
		_ = build.Do(s.Report, s.Lane, "cache", func(step build.Step) error {
			if err := s.fetch(ctx, step); err != nil {
				_, _ = fmt.Fprintf(step, "no compiled packages are taken from %s: %v\n", s.cache.Name, err)
			}
			return nil
		})
		if s.cache.Mode == slot.Read && s.shared.dir == "" {
			return
		}
	}
	environ, err := s.listen()
	if err != nil {
		s.cache.Warn(fmt.Sprintf("compiled packages are not shared by %s: %v", s.cache.Name, err))
		return
	}
	s.environ = environ
}

// take notes that packages of the repository are used.
func (s *Session) take() {
	for _, image := range s.Images {
		s.cache.taken.Store([2]string{image, s.Platform}, true)
	}
}

// listen begins to answer the Go command.
func (s *Session) listen() (map[string]string, error) {
	socket := filepath.Join(s.Dir, "gocache")
	program := helperProgram(socket)
	if program == "" {
		return nil, errors.New("this program has a name that the Go command cannot start")
	}
	if err := s.target().open(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, listener.Close)
	s.running.Go(func() { serve(listener, s) })
	return map[string]string{"GOCACHEPROG": program}, nil
}

// Environ is what the Go command's environment needs.
func (s *Session) Environ() map[string]string {
	<-s.opened
	return s.environ
}

// target is where objects are put. Once something came from the repository, what is compiled may come from that.
func (s *Session) target() store {
	if s.shared.dir != "" {
		return s.shared
	}
	return s.own
}

// get implements answers.
func (s *Session) get(action id) (object, string, bool) {
	o, name, ok := s.fetched.wait(action)
	if !ok {
		o, name, ok = s.shared.get(action)
	}
	if !ok {
		if o, name, ok = s.own.get(action); !ok {
			return o, "", false
		}
		s.own.used(o)
		if s.shared.dir != "" { // so that it has everything for the next build
			if into, err := s.shared.adopt(o, name); err == nil {
				name = into
			}
		}
	}
	s.note(usedObject{o, name})
	return o, name, true
}

// put implements answers.
func (s *Session) put(o object, body io.Reader) (string, error) {
	name, err := s.target().put(o, body)
	if err == nil {
		s.note(usedObject{o, name})
	}
	return name, err
}

func (s *Session) note(o usedObject) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.used[o.action]; !known {
		s.order = append(s.order, o.action)
	}
	s.used[o.action] = o
	if o.size >= s.probe.size {
		s.probe = o
	}
}

// Compiled says that the Go command has succeeded. What it used is saved in the background.
func (s *Session) Compiled() { s.once.Do(func() { s.compiled <- true }) }

// finish saves, and notes that this machine is warm.
func (s *Session) finish(ctx context.Context) error {
	if s.environ["GOCACHEPROG"] == "" {
		return nil
	}
	s.mu.Lock()
	used, probe := make([]usedObject, 0, len(s.order)), s.probe
	for _, action := range s.order {
		used = append(used, s.used[action])
	}
	s.mu.Unlock()
	if s.shared.dir != "" {
		s.account(s.shared.dir)
	}
	if s.cache.Mode != slot.Read {
		if err := s.save(ctx, used); err != nil {
			return err // which the next build tries again
		}
	}
	if probe.file == "" {
		return nil
	}
	return s.cache.Local.Put(s.warmKey(), warm{s.shared.dir, probe.file})
}

// account notes the size of a directory for what comes from a repository, from time to time.
func (s *Session) account(dir string) {
	_ = s.cache.Local.Account(dir, store{dir}.size) // else it is accounted later
}

// Close ends the build, after what is being saved.
func (s *Session) Close() error {
	s.once.Do(func() { s.compiled <- false })
	s.stop()
	<-s.opened
	var errs []error
	for _, do := range s.closers {
		errs = append(errs, do())
	}
	s.running.Wait()
	return errors.Join(errs...)
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// Patience is how long a repository may take to answer: a build may take no longer for its sake.
const Patience = 15 * time.Second
