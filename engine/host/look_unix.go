//go:build linux || darwin

package host

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// look takes the fingerprint of all that is below names, files or folders, of a file system that hasChangeTime. A module cache
// has tens of thousands of files, so nothing is done here that can be left out.
func look(now time.Time, names ...string) (fingerprint, error) {
	l := looker{sum: sha256.New(), before: now.Add(-settled).UnixNano(), fingerprint: fingerprint{sound: true}}
	for _, name := range names {
		var stat unix.Stat_t
		err := unix.Lstat(name, &stat)
		if errors.Is(err, fs.ErrNotExist) {
			l.note("", nil)
			continue
		}
		if err != nil {
			return fingerprint{}, &fs.PathError{Op: "lstat", Path: name, Err: err}
		}
		l.any = true
		if err := l.entry(name, "", &stat); err != nil {
			return fingerprint{}, err
		}
	}
	l.fingerprint.sum = hex.EncodeToString(l.sum.Sum(l.text[:0]))
	return l.fingerprint, nil
}

type looker struct {
	fingerprint
	sum hash.Hash
	// before is a time, in nanoseconds, that all changes have to be older than.
	before int64
	text   []byte // of an entry, kept for the next one
}

// note adds an entry to the sum; one that is not there if stat is nil.
func (l *looker) note(name string, stat *unix.Stat_t) {
	l.text = binary.AppendUvarint(l.text[:0], uint64(len(name)))
	l.text = append(l.text, name...)
	if stat != nil {
		for _, number := range []int64{int64(stat.Mode), stat.Size, stat.Mtim.Nano(), stat.Ctim.Nano(), int64(stat.Ino)} {
			l.text = binary.LittleEndian.AppendUint64(l.text, uint64(number))
		}
	}
	l.sum.Write(l.text)
}

// entry adds what is called name in the folder parent, with all that is below it; parent itself if name is empty.
func (l *looker) entry(parent, name string, stat *unix.Stat_t) error {
	l.note(name, stat)
	kind := stat.Mode & unix.S_IFMT
	l.sound = l.sound && (kind == unix.S_IFREG || kind == unix.S_IFDIR) && stat.Ctim.Nano() < l.before
	if kind != unix.S_IFDIR {
		return nil
	}
	path := filepath.Join(parent, name)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		l.sound = false // it went away meanwhile
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	dir := os.NewFile(uintptr(fd), path)
	return errors.Join(l.folder(path, dir, fd), dir.Close())
}

func (l *looker) folder(path string, dir *os.File, fd int) error {
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		var stat unix.Stat_t
		err := unix.Fstatat(fd, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, fs.ErrNotExist) {
			l.sound = false
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "lstat", Path: filepath.Join(path, name), Err: err}
		}
		if err := l.entry(path, name, &stat); err != nil {
			return err
		}
	}
	l.note("", nil) // the end of the folder
	return nil
}
