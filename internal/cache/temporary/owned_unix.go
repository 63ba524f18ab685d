//go:build unix

package temporary

import (
	"io/fs"
	"os"
	"syscall"
)

// owned reports whether a directory is this user's.
func owned(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
