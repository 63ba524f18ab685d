package oci

import (
	"io/fs"
	"os"
	"time"

	"github.com/slipway-ci/slipway/internal/cache/fingerprint"
)

// known is a file whose sum somebody told.
type known struct {
	info fs.FileInfo
	sum  string
}

// fileSum is the note of a file's sum.
type fileSum struct {
	// Fingerprint is the file's when it had the Sum.
	Fingerprint string `json:"fingerprint"`
	Sum         string `json:"sum"`
}

// worthNoting is the size in bytes of files that take longer to read than a note of their sum.
const worthNoting = 256 << 10

func sumKey(name string) string { return "sum of the file " + name }

// FileSum is as the function of that name. It does not read a file that Know was told of, nor one that has not been changed in any
// way since this store, in this process or another, read it. A nil store reads all.
func (s *Store) FileSum(name string) (string, error) {
	if s == nil {
		return FileSum(name)
	}
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if sum := s.knows(name, info); sum != "" {
		return sum, nil
	}
	sum, is := s.noted(name, info)
	if sum != "" {
		return sum, nil
	}
	if sum, err = FileSum(name); err != nil || is == "" {
		return sum, err
	}
	return sum, s.Remember(sumKey(name), fileSum{is, sum})
}

// NotedSum is FileSum where nothing has to be read for it; else empty.
func (s *Store) NotedSum(name string) string {
	info, err := os.Stat(name)
	if err != nil {
		return ""
	}
	sum, _ := s.noted(name, info)
	return sum
}

// noted is the sum that is noted of a file. Where it is empty, is may be the fingerprint to note one with.
func (s *Store) noted(name string, info fs.FileInfo) (sum, is string) {
	if info.Size() < worthNoting {
		return "", ""
	}
	// After an error, and if it is not sound, the file has to be read.
	f, err := fingerprint.Look(time.Now(), fingerprint.All, name)
	if err != nil || !f.Sound {
		return "", ""
	}
	var was fileSum
	if s.Recall(sumKey(name), &was) && was.Fingerprint == f.Sum {
		return was.Sum, f.Sum
	}
	return "", f.Sum
}

// Know tells the sum of a file, as FileSum made it, which this process believes while nothing else takes the file's place. One that
// is wrong keeps layers from being made.
func (s *Store) Know(name, sum string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[name] = known{info, sum}
	return nil
}

// Later returns what notes the sum of a file, as FileSum made it, for other processes: to be called when enough time has passed that
// nothing could have been done to the file since without a trace. If something has been, or too little time has passed, it notes
// nothing. Only who keeps others from writing to the file may say its sum within a moment of what was last done to it.
func (s *Store) Later(name, sum string) (note func() error, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	was, _ := fingerprint.Look(time.Now(), fingerprint.All, name) // without one, it notes nothing
	return func() error {
		noted, is := s.noted(name, info)
		if noted != "" || is == "" || is != was.Sum {
			return nil
		}
		return s.Remember(sumKey(name), fileSum{is, sum})
	}, nil
}

func (s *Store) knows(name string, info fs.FileInfo) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.known[name]
	if !ok || !os.SameFile(k.info, info) || k.info.Size() != info.Size() || !k.info.ModTime().Equal(info.ModTime()) {
		return ""
	}
	return k.sum
}
