package temporary

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/slipway-ci/slipway/internal/cache/filelock"
)

// sweepLimit bounds how long a process clears up after others. What it does not get to, the next one does.
const sweepLimit = 2 * time.Second

var (
	sweeping sync.Mutex
	swept    = map[string]bool{}
)

// sweepOnce removes, once in a process, what killed processes have left in parent: directories of newDir. It is best effort: what
// cannot be removed stays, and does no harm to this process.
func sweepOnce(parent, prefix string) {
	sweeping.Lock()
	defer sweeping.Unlock()
	if key := filepath.Join(parent, prefix); swept[key] {
		return
	} else {
		swept[key] = true
	}
	sweep(parent, prefix, time.Now().Add(sweepLimit))
}

func sweep(parent, prefix string, deadline time.Time) {
	root, err := os.OpenRoot(parent)
	if err != nil {
		return
	}
	defer root.Close()
	list, err := root.Open(".")
	if err != nil {
		return
	}
	defer list.Close()
	for {
		entries, err := list.ReadDir(1000)
		for _, e := range entries {
			if time.Now().After(deadline) {
				return
			}
			number, ok := strings.CutPrefix(e.Name(), prefix)
			if ok && number != "" && strings.Trim(number, "0123456789") == "" && e.IsDir() {
				removeLeft(root, e.Name())
			}
		}
		if err != nil { // io.EOF at the end
			return
		}
	}
}

// removeLeft removes the directory name, unless it is somebody's. It follows no links.
func removeLeft(parent *os.Root, name string) {
	info, err := parent.Lstat(name)
	if err != nil || !info.IsDir() || !owned(info) {
		return
	}
	dir, err := parent.OpenRoot(name)
	if err != nil {
		return
	}
	defer dir.Close()
	if opened, err := dir.Stat("."); err != nil || !os.SameFile(info, opened) {
		return
	}
	file, err := dir.Lstat(lockName)
	if errors.Is(err, fs.ErrNotExist) {
		// Its process ended before it had a lock file, or is about to make one, and makes another directory then.
		_ = parent.Remove(name) // which removes no directory that holds something
		return
	}
	if err != nil {
		return
	}
	lock, err := filelock.Try(filepath.Join(parent.Name(), name, lockName))
	if err != nil || lock == nil {
		return
	}
	if !lock.Is(file) || empty(dir) != nil || dir.Close() != nil {
		_ = lock.Unlock()
		return
	}
	_ = lock.Remove()
	_ = parent.Remove(name)
}
