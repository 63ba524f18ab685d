//go:build !linux && !darwin

package filestate

import (
	"errors"
	"time"
)

// Supported reports whether the file system of name keeps for each file when it last was changed in any way: Go does not say so here.
func Supported(string) bool { return false }

// Read reads the state of files and directories where there is a file system that is [Supported].
func Read(time.Time, Include, ...string) (State, error) {
	return State{}, errors.ErrUnsupported
}
