package changed_test

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/gocache"
	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/changed"
	"github.com/slipway-ci/slipway/internal/plan"
)

func TestMain(m *testing.M) {
	gocache.Helper()
	os.Exit(m.Run())
}

// sharedPackages is a repository of compiled packages for the builds of a world.
type sharedPackages struct {
	dir   string // of an OCI layout
	taken int    // how many programs were compiled from it
}

// checkShared builds an image as a new machine does, with the packages that the builds before have left in the repository, and holds what it
// gets against its digest. The first machine has its own packages. Every fourth finds the repository damaged.
func (w *world) checkShared(step int, images []changed.Image, digests map[string]string) {
	random := rand.New(rand.NewPCG(uint64(step), 0))
	random.Shuffle(len(images), func(i, j int) { images[i], images[j] = images[j], images[i] })
	for _, img := range images {
		if digests[img.Name] == "" {
			continue // it does not compile
		}
		if step%4 == 3 {
			w.shared.damage(w.t, random)
		}
		digest, err := w.digest(w.dir, img.Plan, map[string]string{}, w.onNewMachine(step))
		require.NoError(w.t, err, w.log)
		require.Equal(w.t, digests[img.Name], digest, "step %d: %s from compiled packages of the cache, after:\n%s", step, img.Name, strings.Join(w.log, "\n"))
		return
	}
}

// onNewMachine returns how a program is compiled on a machine that shares packages.
func (w *world) onNewMachine(step int) compiling {
	return func(p *plan.Plan, c plan.Compile, run func(environ map[string]string) error) error {
		home, err := os.MkdirTemp("", "changed") // the path of a socket has to be short
		require.NoError(w.t, err)
		defer func() { require.NoError(w.t, os.RemoveAll(home)) }()
		repository, err := slot.Open("oci:"+w.shared.dir, nil)
		require.NoError(w.t, err)
		local, err := cache.Open(filepath.Join(home, "slipway"))
		require.NoError(w.t, err)
		own := filepath.Join(home, "go-build")
		if step == 0 {
			out, err := exec.Command("go", "env", "GOCACHE").Output()
			require.NoError(w.t, err)
			own = strings.TrimSpace(string(out))
		}
		shared := gocache.Cache{Repository: repository, Name: "shared", Branches: []string{"main"}, Local: local, Warn: func(text string) { w.t.Log(text) }}
		session := shared.Open(w.t.Context(), gocache.Build{
			Images: []string{"all"}, Platform: c.Platform.String(), Go: p.Go.Version, GoCache: own, Dir: home, Report: build.Discard,
		})
		defer func() { require.NoError(w.t, session.Close()) }()
		if err := run(session.Environ()); err != nil {
			return err
		}
		session.Compiled()
		if shared.Taken("all", c.Platform.String()) {
			w.shared.taken++
		}
		return nil
	}
}

// damage changes a byte of a blob.
func (s *sharedPackages) damage(t testing.TB, random *rand.Rand) {
	var names []string
	require.NoError(t, filepath.WalkDir(filepath.Join(s.dir, "blobs"), func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			names = append(names, name)
		}
		return err
	}))
	require.NotEmpty(t, names)
	name := names[random.IntN(len(names))]
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	content[random.IntN(len(content))] ^= 1
	require.NoError(t, os.WriteFile(name, content, 0o644))
}
