package filestate

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Supported reports whether the file system of name keeps for each file when it last was changed in any way.
func Supported(name string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(name, &stat) == nil && slices.Contains([]string{"apfs", "hfs"}, unix.ByteSliceToString(stat.Fstypename[:]))
}
