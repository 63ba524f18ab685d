//go:build linux || darwin

package fingerprint

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
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Look takes the fingerprint, at the time now, of the files called names, and of all that counts below the directories among them. Some
// may not be there. There may be tens of thousands of files, so nothing is done here that can be left out.
func Look(now time.Time, counts Counts, names ...string) (Fingerprint, error) {
	l := looker{sum: sha256.New(), now: now.UnixNano(), counts: counts, Fingerprint: Fingerprint{Sound: true}}
	for _, name := range names {
		var stat unix.Stat_t
		err := unix.Lstat(name, &stat)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Fingerprint{}, &fs.PathError{Op: "lstat", Path: name, Err: err}
		}
		l.Any, l.Sound = true, l.Sound && Supported(name)
		if err := l.entry(name, &stat); err != nil {
			return Fingerprint{}, err
		}
	}
	l.Fingerprint.Sum = hex.EncodeToString(l.sum.Sum(l.text[:0]))
	return l.Fingerprint, nil
}

type looker struct {
	Fingerprint
	sum    hash.Hash
	now    int64 // in nanoseconds
	counts Counts
	text   []byte // of an entry, kept for the next one
}

// note adds what is no directory to the sum.
func (l *looker) note(path string, stat *unix.Stat_t) {
	l.text = binary.AppendUvarint(l.text[:0], uint64(len(path)))
	l.text = append(l.text, path...)
	for _, number := range []int64{int64(stat.Mode), stat.Size, stat.Mtim.Nano(), stat.Ctim.Nano(), int64(stat.Ino)} {
		l.text = binary.LittleEndian.AppendUint64(l.text, uint64(number))
	}
	l.sum.Write(l.text)
}

// entry adds what is at path, with all that is below it.
func (l *looker) entry(path string, stat *unix.Stat_t) error {
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		l.note(path, stat)
		l.Sound = l.Sound && stat.Mode&unix.S_IFMT == unix.S_IFREG && settled(stat.Ctim.Nano(), l.now)
		return nil
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		l.Sound = false // it went away meanwhile
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	dir := os.NewFile(uintptr(fd), path)
	return errors.Join(l.directory(path, dir, fd), dir.Close())
}

func (l *looker) directory(path string, dir *os.File, fd int) error {
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if !l.counts(path, e) {
			continue
		}
		var stat unix.Stat_t
		err := unix.Fstatat(fd, e.Name(), &stat, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, fs.ErrNotExist) {
			l.Sound = false
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "lstat", Path: filepath.Join(path, e.Name()), Err: err}
		}
		if err := l.entry(filepath.Join(path, e.Name()), &stat); err != nil {
			return err
		}
	}
	return nil
}
