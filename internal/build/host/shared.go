package host

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"

	"github.com/slipway-ci/slipway/internal/build/gocache"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/plan"
)

// share begins to fetch compiled packages for images whose programs are compiled together. A C compiler's headers and libraries are not what
// the Go command knows packages by, so that those of another machine may be others. Programs of an image's other modules are not shared.
func (c *compiler) share(ctx context.Context, e *Engine, images []string) {
	if len(images) == 0 {
		return
	}
	cache, own := e.shared(images[0]), goenv.BuildCache(e.environ)
	if cache == nil || own == "" || !gocache.Supported(c.plan.Go.Version) {
		return
	}
	files, err := c.read(c.plan.Dependencies.Files...)
	if err != nil {
		return // which building reports
	}
	c.shared = map[plan.Platform]*gocache.Session{}
	for i, p := range c.plan.Compile {
		settings, err := json.Marshal([]any{p.Flags, p.Env, c.plan.Env, files, p.AllPackages()})
		dir := filepath.Join(c.dir, "s"+strconv.Itoa(i))
		if err != nil || p.C != nil || os.MkdirAll(dir, 0o700) != nil {
			continue
		}
		b := gocache.Build{
			Images: images, Platform: p.Platform.String(), Go: c.plan.Go.Version, Settings: string(settings), GoCache: own, Dir: dir,
			Lane: p.Platform.String(), Report: c.report,
		}
		session := cache.Open(ctx, b)
		c.shared[p.Platform] = session
		c.atClose(session.Close)
	}
}
