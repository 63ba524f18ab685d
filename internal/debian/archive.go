package debian

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
)

// Archive is where packages come from.
type Archive struct {
	unpack.Store
	Release Release
}

// Where archives are: the current ones, and as they were at a time.
const (
	current  = "https://deb.debian.org/"
	snapshot = "https://snapshot.debian.org/archive/"
)

// Limits in bytes on what is read, so that no archive takes any amount of time or memory.
const (
	releaseLimit = 8 << 20
	indexLimit   = 512 << 20
)

// fetch makes sure that the cache has a package. taken is when it was the current one, if it is not any more.
func (a *Archive) fetch(ctx context.Context, p distro.Package, taken time.Time) error {
	if err := unpack.CheckSize(p.Name, p.Size); err != nil {
		return err
	}
	err := a.Blob(ctx, current+p.Path, p.SHA256, p.Size)
	if errors.Is(err, fs.ErrNotExist) && !taken.IsZero() {
		if older := a.Blob(ctx, snapshotOf(p.Path, taken), p.SHA256, p.Size); older != nil {
			err = errors.Join(err, older)
		} else {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("fetching the package %s %s: %w", p.Name, p.Version, err)
	}
	return nil
}

// snapshotOf is the address of a file as it was at a time. A snapshot is taken some hours after what it is of was released, and the address
// of a time leads to the last one before.
func snapshotOf(path string, taken time.Time) string {
	archive, rest, _ := strings.Cut(path, "/")
	return snapshot + archive + "/" + taken.AddDate(0, 0, 1).UTC().Format("20060102T150405Z") + "/" + rest
}
