//go:build unix

package gitcommand

import (
	"os"
	"syscall"
)

// ownedByCaller reports whether a file is the user's own.
func ownedByCaller(name string) bool {
	info, err := os.Lstat(name)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
