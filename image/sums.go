package image

import (
	"io/fs"
	"os"
	"time"

	"github.com/slipway-ci/slipway/image/fingerprint"
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
	if info.Size() < worthNoting {
		return FileSum(name)
	}
	// An error, and what is not sound, mean that it has to be read.
	is, _ := fingerprint.Look(time.Now(), fingerprint.All, name)
	var was fileSum
	if is.Sound && s.Recall(sumKey(name), &was) && was.Fingerprint == is.Sum {
		return was.Sum, nil
	}
	sum, err := FileSum(name)
	if err != nil || !is.Sound {
		return sum, err
	}
	return sum, s.Remember(sumKey(name), fileSum{is.Sum, sum})
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

func (s *Store) knows(name string, info fs.FileInfo) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.known[name]
	if !ok || !os.SameFile(k.info, info) || k.info.Size() != info.Size() || !k.info.ModTime().Equal(info.ModTime()) {
		return ""
	}
	return k.sum
}
