package results

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Behaviour is the digest of this program: another one may make other images of the same.
func Behaviour(c *cache.Cache) (string, error) {
	file, err := os.Executable()
	if err != nil {
		return "", err
	}
	return c.FileDigest(file)
}

// form is part of every key. It has to change when keys are to hold something else.
const form = "slipway result 1"

// base is what decides on the base of an image.
type base struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

// Keys are the keys of the results of a plan, by platform. An error says why there are none.
func (e *Engine) Keys(ctx context.Context, p *plan.Plan, inputs *plan.Inputs) (map[string]string, error) {
	if why := floating(p); why != "" {
		return nil, errors.New(why)
	}
	compiled, err := inputs.Digests(p)
	if err != nil {
		return nil, err
	}
	on, err := e.base(ctx, p.Image.Base)
	if err != nil {
		return nil, err
	}
	keys := map[string]string{}
	for _, platform := range p.Platforms() {
		one := p.Only(platform)
		one.Image = one.Image.For(platform)
		// They follow from the source, or change nothing.
		one.Checks, one.Notes, one.Source.Files, one.Source.Excluded = nil, nil, nil, nil
		for _, other := range one.OtherModules {
			other.Source.Files = nil
		}
		placed := map[string]string{}
		for _, layer := range one.Image.Layers {
			for _, f := range layer.Files {
				if f.Source != "" && f.Link == "" {
					if placed[f.Source], err = inputs.Digest(f.Source); err != nil {
						return nil, err
					}
				}
			}
		}
		text, err := json.Marshal(struct {
			Form, Behaviour  string
			Plan             *plan.Plan
			Compiled, Placed map[string]string
			Base             base
		}{form, e.Behaviour, one, compiled, placed, on})
		if err != nil {
			return nil, err
		}
		keys[platform.String()] = cache.DigestOf(text)
	}
	return keys, nil
}

// floating says what of an image may be another tomorrow, and is only known when it is built; empty for nothing.
func floating(p *plan.Plan) string {
	if d := p.Image.Distribution; d != nil && d.Locked == nil {
		return "its packages are not in " + plan.LockFile
	}
	for _, d := range p.Downloads() {
		if d.Digest == "" {
			return d.URL + " is not in " + plan.LockFile
		}
	}
	return ""
}

// base finds what ref leads to. One with a digest is not asked for.
func (e *Engine) base(ctx context.Context, ref string) (base, error) {
	if ref == "" {
		return base{}, nil
	}
	if !strings.HasPrefix(ref, "oci:") && !strings.HasPrefix(ref, "oci-archive:") {
		if pinned, err := name.NewDigest(ref); err == nil {
			return base{ref, pinned.DigestStr()}, nil
		}
	}
	find, _ := e.resolved.LoadOrStore(ref, sync.OnceValues(func() (base, error) {
		found, err := e.Bases.Resolve(ctx, ref)
		if err != nil {
			return base{}, err
		}
		return base{found.Name, found.Digest.String()}, nil
	}))
	return find.(func() (base, error))()
}
