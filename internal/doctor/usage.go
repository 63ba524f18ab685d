package doctor

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/slipway-ci/slipway/internal/console"
)

// usageLimit is how long a directory is added up. Caches of Go may have a million files.
const usageLimit = 2 * time.Second

var errLong = errors.New("it takes too long")

// usage is how much there is in a directory.
func usage(dir string) string {
	deadline := time.Now().Add(usageLimit)
	var all int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case time.Now().After(deadline):
			return errLong
		case !e.Type().IsRegular():
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // trimmed meanwhile
		}
		if err == nil {
			all += info.Size()
		}
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "empty"
	case errors.Is(err, errLong):
		return "more than " + console.Size(all)
	case err != nil:
		return err.Error()
	default:
		return console.Size(all)
	}
}
