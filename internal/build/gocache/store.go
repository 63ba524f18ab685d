package gocache

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-ci/slipway/internal/cache"
)

// id is the digest by which the Go command knows an action, or what it has put out.
type id [sha256.Size]byte

// object is what the Go command keeps of an action.
type object struct {
	action, output id
	size           int64
}

// store is a directory in the form of the Go command's own cache, so that the Go command can take it for one. Objects of another form
// count as absent. Source: cmd/go/internal/cache, DiskCache
type store struct{ dir string }

// open makes the directories.
func (s store) open() error {
	for i := range 256 {
		if err := os.MkdirAll(filepath.Join(s.dir, fmt.Sprintf("%02x", i)), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (s store) file(of id, kind string) string {
	return filepath.Join(s.dir, hex.EncodeToString(of[:1]), hex.EncodeToString(of[:])+"-"+kind)
}

// entryFormat is the form of the file of an action: digests of action and output, size, and time.
const entryFormat = "v1 %x %x %20d %20d\n"

// entrySize is the size of such a file in bytes.
const entrySize = len("v1 ") + 2*(2*sha256.Size+1) + 2*20 + len(" \n")

// get finds what there is of an action, and the file with its output.
func (s store) get(action id) (o object, name string, ok bool) {
	if s.dir == "" {
		return o, "", false
	}
	entry := s.file(action, "a")
	f, err := os.Open(entry)
	if err != nil {
		return o, "", false
	}
	text, err := io.ReadAll(io.LimitReader(f, int64(entrySize)+1))
	_ = f.Close() // it was only read
	if err != nil || len(text) != entrySize {
		return o, "", false
	}
	o.action = action
	fields := strings.Fields(string(text))
	if len(fields) != 5 || fields[0] != "v1" || fields[1] != hex.EncodeToString(action[:]) || hex.DecodedLen(len(fields[2])) != len(o.output) {
		return o, "", false
	}
	_, err1 := hex.Decode(o.output[:], []byte(fields[2]))
	size, err2 := strconv.ParseInt(fields[3], 10, 64)
	if err1 != nil || err2 != nil {
		return o, "", false
	}
	o.size = size
	name = s.file(o.output, "d")
	if info, err := os.Stat(name); err != nil || info.Size() != o.size {
		return o, "", false
	}
	return o, name, true
}

// used keeps what was got from being trimmed by the Go command.
func (s store) used(o object) {
	cache.Used(s.file(o.action, "a"))
	cache.Used(s.file(o.output, "d"))
}

// errForeign says that content is not that of an object.
var errForeign = errors.New("the content is not that of the object")

// put stores an object, whose content is what body has up to the object's size, and returns the file with it. An error is errForeign if
// body has other content.
func (s store) put(o object, body io.Reader) (name string, err error) {
	name = s.file(o.output, "d")
	err = s.write(name, func(w io.Writer) error {
		in := bufio.NewReaderSize(io.LimitReader(body, o.size), 32<<10)
		head, err := in.Peek(int(min(o.size, headSize)))
		if err != nil {
			return err
		}
		hash := sha256.New()
		n, err := io.Copy(io.MultiWriter(w, hash), in)
		switch {
		case err != nil:
			return err
		case n != o.size:
			return io.ErrUnexpectedEOF
		case id(hash.Sum(nil)) != o.output || !archiveOf(o.action, head):
			return errForeign
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return name, s.putAction(o)
}

// putAction notes an object whose content is there.
func (s store) putAction(o object) error {
	return s.write(s.file(o.action, "a"), func(w io.Writer) error {
		_, err := fmt.Fprintf(w, entryFormat, o.action, o.output, o.size, time.Now().UnixNano())
		return err
	})
}

// headSize is how many bytes of an object are read to learn which action it is of.
const headSize = 512

// archiveOf reports whether an object that begins with head, if it is a package, is what the action has put out: a package has the
// beginning of the action's digest in its build ID. Source: cmd/go/internal/work, buildid.go
func archiveOf(action id, head []byte) bool {
	if !bytes.HasPrefix(head, []byte("!<arch>\n")) {
		return true
	}
	_, text, found := bytes.Cut(head, []byte("\nbuild id \""))
	return found && bytes.HasPrefix(text, []byte(base64.RawURLEncoding.EncodeToString(action[:15])+"/"))
}

// write makes a file with what fill writes, which is there whole or not at all. The Go command removes what a process that was killed has
// left, by the end of its name.
func (s store) write(name string, fill func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), "slipway-*-d")
	if err != nil {
		return err
	}
	err = errors.Join(fill(f), f.Chmod(0o644))
	if err = errors.Join(err, f.Close()); err == nil {
		if err = os.Rename(f.Name(), name); err == nil {
			return nil
		}
		if _, found := os.Stat(name); found == nil && runtime.GOOS == "windows" { // which keeps a file that somebody reads
			err = nil
		}
	}
	if removed := os.Remove(f.Name()); err == nil {
		err = removed
	}
	return err
}

// size is that of all files in bytes.
func (s store) size() (total int64) {
	for i := range 256 {
		entries, _ := os.ReadDir(filepath.Join(s.dir, fmt.Sprintf("%02x", i))) // which may be gone
		for _, e := range entries {
			if info, err := e.Info(); err == nil {
				total += info.Size()
			}
		}
	}
	return total
}
