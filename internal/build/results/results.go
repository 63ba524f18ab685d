// Package results takes finished images from a cache that builds on other machines share, and puts them there.
//
// A result is the image of one plan for one platform. It is found by a key over everything that decides it: the plan, every file of the
// source that compiling could read, the base, and Slipway itself. In doubt there is no key, and no result: a wrong one is worse than a
// build. Whoever writes to the cache says what a compiler made; readers believe that, unless they have a key that signs.
package results

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/source"
)

// Cache is where the results of an image are.
type Cache struct {
	Repository slot.Repository
	// Name is what the user calls the repository.
	Name string
	// Fetch says that what was found has to be here before it counts as found: nothing that needs it may fail for the want of it.
	Fetch bool

	// unreachable says that nothing answers.
	unreachable atomic.Bool
}

// Reachable reports whether the cache has answered so far.
func (c *Cache) Reachable() bool { return !c.unreachable.Load() }

// List runs go list with args for the packages of c, in the environment of a plan. It returns what that prints, and the directory of
// the source in it.
type List func(ctx context.Context, source string, p *plan.Plan, c plan.Compile, args ...string) (out []byte, root string, err error)

// Engine takes results from caches, and has another engine build what they lack.
type Engine struct {
	// Next builds.
	Next build.Engine
	// Bases has the bases of plans; Results those that are in caches, which no mirror has.
	Bases, Results *oci.Bases
	// Cache is the cache of the plan with that number; nil for none.
	Cache func(i int) *Cache
	Mode  slot.Mode
	// Key signs results, and only those that it has signed are taken; nil for no signatures.
	Key *signing.Key
	// Behaviour is the same for Slipways that make the same images.
	Behaviour string
	// Branches are those whose results are taken, the one that is built first. The first names the slots that are written.
	Branches []string
	// List verifies results before they are put into a cache; nil where none are put there.
	List List
	// Several says that lanes need the name of an image.
	Several bool

	source string
	mu     sync.Mutex
	// keys are those of the results that were missing, by plan and platform.
	keys map[*plan.Plan]map[string]string
	// resolved are bases, by their references.
	resolved sync.Map
}

// Build carries plans out. See [build.Engine].
func (e *Engine) Build(
	ctx context.Context, dir string, plans []*plan.Plan, report build.Reporter, done func(int, *build.Result, error),
) {
	e.source, e.keys = dir, map[*plan.Plan]map[string]string{}
	found := make([]map[string]*build.Image, len(plans))
	if tree, err := source.Open(dir); err == nil { // else the next engine says what is wrong
		inputs := plan.NewInputs(tree)
		var group errgroup.Group
		group.SetLimit(sideBySide)
		for i, p := range plans {
			group.Go(func() error {
				found[i] = e.find(ctx, i, p, inputs, report)
				return nil
			})
		}
		_ = group.Wait()
		_ = tree.Close() // it was only read
	}
	var rest []*plan.Plan
	var numbers []int
	for i, p := range plans {
		missing := slices.DeleteFunc(p.Platforms(), func(platform plan.Platform) bool { return found[i][platform.String()] != nil })
		if len(missing) == 0 {
			result, err := merge(p, found[i], nil)
			done(i, result, err)
			continue
		}
		numbers = append(numbers, i)
		if len(missing) < len(p.Compile) {
			p = p.Only(missing...)
		}
		rest = append(rest, p)
	}
	if len(rest) == 0 {
		return
	}
	e.Next.Build(ctx, dir, rest, report, func(n int, built *build.Result, err error) {
		i := numbers[n]
		if err == nil && len(found[i]) > 0 {
			built, err = merge(plans[i], found[i], built)
		}
		done(i, built, err)
	})
}

// patience is how long a cache has to say whether it has a result: a build may take no longer.
const patience = 15 * time.Second

// errNoAnswer says that a cache cannot be reached.
var errNoAnswer = errors.New("nothing answers")

// answered is err, which is errNoAnswer, too, unless a registry has answered.
func answered(err error) error {
	if answer := (*transport.Error)(nil); err == nil || errors.As(err, &answer) {
		return err
	}
	return fmt.Errorf("%w: %w", errNoAnswer, err)
}

// sideBySide bounds how many plans are looked for at a time, and how many go list commands run.
const sideBySide = 8

// merge puts the images of a plan together: those that were found, and those that were built, nil for none.
func merge(p *plan.Plan, found map[string]*build.Image, built *build.Result) (*build.Result, error) {
	merged := &build.Result{Close: func() error { return nil }}
	if built != nil {
		merged.Close = built.Close
	}
	var members []v1.Image
	for _, platform := range p.Platforms() {
		image := found[platform.String()]
		if image == nil {
			i := slices.IndexFunc(built.Images, func(b build.Image) bool { return b.Platform == platform.String() })
			image = &built.Images[i]
		}
		merged.Images, members = append(merged.Images, *image), append(members, image.Image)
	}
	merged.Artifact = members[0]
	if len(members) > 1 {
		index, err := oci.NewIndex(members, p.Image.Annotations)
		if err != nil {
			return nil, err
		}
		merged.Artifact = index
	}
	return merged, nil
}

// find looks for the results of a plan, and notes the keys of those that are missing. What is wrong with the cache is a warning: there is a
// build for that.
func (e *Engine) find(ctx context.Context, i int, p *plan.Plan, inputs *plan.Inputs, report build.Reporter) map[string]*build.Image {
	c := e.Cache(i)
	if c == nil {
		return nil
	}
	keys, err := e.Keys(ctx, p, inputs)
	if err != nil {
		_ = build.Do(report, e.lane(p, ""), "cache", func(step build.Step) error {
			_, err := fmt.Fprintf(step, "this image has no results in %s: %v\n", c.Name, err)
			return err
		})
		return nil
	}
	found := map[string]*build.Image{}
	missing := map[string]string{}
	var mu sync.Mutex
	var group errgroup.Group
	for _, platform := range p.Platforms() {
		group.Go(func() error {
			key := keys[platform.String()]
			var image *build.Image
			if e.Mode != slot.Refresh && !e.known(c, key) {
				_ = build.Do(report, e.lane(p, platform.String()), "cache", func(step build.Step) (err error) {
					if image, err = e.get(ctx, c, p, platform, key); err != nil {
						if errors.Is(err, errNoAnswer) {
							c.unreachable.Store(true)
						}
						_, _ = fmt.Fprintf(step, "nothing is taken from %s: %v\n", c.Name, err)
						return nil
					}
					if image != nil {
						_, _ = io.WriteString(step, "this very image was built before, and comes from "+c.Name+"\n")
					}
					return nil
				})
			}
			mu.Lock()
			defer mu.Unlock()
			if image != nil {
				found[platform.String()] = image
			} else {
				missing[platform.String()] = key
			}
			return nil
		})
	}
	_ = group.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keys[p] = missing
	return found
}

// lane is what the steps for a platform are reported under.
func (e *Engine) lane(p *plan.Plan, platform string) string {
	switch {
	case e.Several && platform != "":
		return p.Name + " " + platform
	case e.Several:
		return p.Name
	default:
		return platform
	}
}

// noted is the key in the cache of this machine for a result that was put into a cache: what it was made of is at hand here, too, and
// there is no need to ask a registry.
func (e *Engine) noted(c *Cache, key string) string {
	return "result " + key + " of " + e.Branches[0] + " in " + c.Name
}

func (e *Engine) known(c *Cache, key string) bool {
	return e.Bases.Cache != nil && e.Bases.Cache.Get(e.noted(c, key), new(bool))
}
