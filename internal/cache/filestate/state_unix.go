//go:build linux || darwin

package filestate

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

// Read reads the state, at the time now, of the files called names, and of everything that is included below the directories among them. Some may
// not be there. There may be tens of thousands of files, so nothing is done here that can be left out.
func Read(now time.Time, include Include, names ...string) (State, error) {
	r := reader{hash: sha256.New(), now: now.UnixNano(), include: include, State: State{Settled: true}}
	for _, name := range names {
		var stat unix.Stat_t
		err := unix.Lstat(name, &stat)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return State{}, &fs.PathError{Op: "lstat", Path: name, Err: err}
		}
		r.Exists, r.Settled = true, r.Settled && Supported(name)
		if err := r.entry(name, &stat); err != nil {
			return State{}, err
		}
	}
	r.Digest = hex.EncodeToString(r.hash.Sum(r.text[:0]))
	return r.State, nil
}

type reader struct {
	State
	hash    hash.Hash
	now     int64 // in nanoseconds
	include Include
	text    []byte // of an entry, kept for the next one
}

// note adds what is no directory to the digest.
func (r *reader) note(path string, stat *unix.Stat_t) {
	r.text = binary.AppendUvarint(r.text[:0], uint64(len(path)))
	r.text = append(r.text, path...)
	for _, number := range []int64{int64(stat.Mode), stat.Size, stat.Mtim.Nano(), stat.Ctim.Nano(), int64(stat.Ino)} {
		r.text = binary.LittleEndian.AppendUint64(r.text, uint64(number))
	}
	r.hash.Write(r.text)
}

// entry adds what is at path, with everything that is below it.
func (r *reader) entry(path string, stat *unix.Stat_t) error {
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		r.note(path, stat)
		r.Settled = r.Settled && stat.Mode&unix.S_IFMT == unix.S_IFREG && settled(stat.Ctim.Nano(), r.now)
		return nil
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		r.Settled = false // it went away meanwhile
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	dir := os.NewFile(uintptr(fd), path)
	return errors.Join(r.directory(path, dir, fd), dir.Close())
}

func (r *reader) directory(path string, dir *os.File, fd int) error {
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if !r.include(path, e) {
			continue
		}
		var stat unix.Stat_t
		err := unix.Fstatat(fd, e.Name(), &stat, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, fs.ErrNotExist) {
			r.Settled = false
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "lstat", Path: filepath.Join(path, e.Name()), Err: err}
		}
		if err := r.entry(filepath.Join(path, e.Name()), &stat); err != nil {
			return err
		}
	}
	return nil
}
