// Package filestate reports without reading files whether they have changed.
//
// A file system notes for each file when it last was changed in any way: its time of change, which no program can set. While
// that, the file's number and its size stay, so does its content.
package filestate

import (
	"io/fs"
	"time"
)

// State describes files.
type State struct {
	// Digest differs when a file has been written to, added, removed, renamed or put in another's place, or its mode is another.
	// Directories matter for their files alone.
	Digest string
	// Exists reports whether there is a file or directory at all.
	Exists bool
	// Settled reports that nobody can do any of this later and leave the Digest as it is. Two changes may have the same time if one follows
	// the other at once, so nothing that has just been changed is settled; nor is what is neither file nor directory, since a link's target
	// changes without it, and what is on a file system that is not [Supported].
	Settled bool
}

// How old a change has to be for the next one to have another time: more than what the clocks of file systems need to separate two
// times apart. One that notes no fractions of seconds needs a second; others have the time of the kernel's last tick, as a rule
// a hundredth of a second ago, and on a virtual machine that had to wait somewhat more.
const (
	settledWhole    = 2 * time.Second
	settledFraction = 250 * time.Millisecond
)

// settled reports whether a change at the time changed, in nanoseconds, is old enough at the time now.
func settled(changed, now int64) bool {
	age := settledFraction
	if changed%int64(time.Second) == 0 {
		age = settledWhole
	}
	return changed < now-int64(age)
}

// Include chooses entries of the directory dir; those that it does not choose may change as they like, with all below them.
type Include func(dir string, e fs.DirEntry) bool

// All includes everything.
func All(string, fs.DirEntry) bool { return true }
