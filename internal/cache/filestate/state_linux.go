package filestate

import (
	"slices"

	"golang.org/x/sys/unix"
)

// fileSystems note the time of every change by this machine's own clock. Of those of networks and of other systems nobody knows.
var fileSystems = []uint32{
	unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.BCACHEFS_SUPER_MAGIC,
	unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC,
	0x2fc12fc1, // ZFS. Source: https://github.com/openzfs/zfs/blob/zfs-2.3.0/include/sys/fs/zfs.h
}

// Supported reports whether the file system of name keeps for each file when it last was changed in any way.
func Supported(name string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(name, &stat) == nil && slices.Contains(fileSystems, uint32(stat.Type))
}
