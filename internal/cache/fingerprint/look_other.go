//go:build !linux && !darwin

package fingerprint

import (
	"errors"
	"time"
)

// Supported says whether the file system of name keeps for each file when it last was changed in any way: not that Go tells.
func Supported(string) bool { return false }

// Look takes the fingerprint of files and directories where there is a file system that is [Supported].
func Look(time.Time, Counts, ...string) (Fingerprint, error) {
	return Fingerprint{}, errors.ErrUnsupported
}
