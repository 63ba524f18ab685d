package host

import (
	"slices"

	"golang.org/x/sys/unix"
)

// hasChangeTime says whether the file system of dir keeps for each file when it last was changed in any way.
func hasChangeTime(dir string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(dir, &stat) == nil && slices.Contains([]string{"apfs", "hfs"}, unix.ByteSliceToString(stat.Fstypename[:]))
}
