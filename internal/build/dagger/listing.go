package dagger

import (
	"archive/tar"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"dagger.io/dagger"

	"github.com/slipway-ci/slipway/internal/oci"
)

// list runs in the builder, whose tools may be GNU's or BusyBox's, for the base's programs do not run on every engine. Of each file of
// the base it writes three texts with a NUL after each: mode in hexadecimal digits, owner, group and size; path; and where a symbolic
// link leads, with a line break. Names may have any bytes, which Base64 brings through the engine's answer.
const list = `set -e
find /base -exec sh -c 'stat -c "%f %u %g %s" "$@" | for name; do
  read -r about || exit 1
  printf "%s\0%s\0" "$about" "$name"
  if [ -L "$name" ]; then readlink "$name"; fi
  printf "\0"
done' sh {} + > /listing
base64 /listing > /listing.base64
`

// fileSystem is that of a base, whose files are read when somebody asks for them.
func (b *Build) fileSystem(ctx context.Context, base *dagger.Directory) (*oci.FileSystem, error) {
	if b.plan.Image.Base == "" {
		return oci.FileSystemOf(nil)
	}
	listing, err := b.client.Container().From(b.plan.Builder).WithMountedDirectory("/base", base).
		WithExec(inShell(list)).File("/listing.base64").Contents(ctx)
	var found *oci.FileSystem
	if err == nil {
		found, err = parseListing(listing, func(name string) (string, error) {
			return base.File(strings.TrimPrefix(name, "/")).Contents(ctx)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("reading the file system of the base %s: %w", b.plan.Image.Base, err)
	}
	return found, nil
}

var errListing = errors.New("the listing of its files is damaged: report it as a bug")

// parseListing reads what list wrote. read reads a regular file.
func parseListing(listing string, read func(name string) (string, error)) (*oci.FileSystem, error) {
	text, err := base64.StdEncoding.DecodeString(listing)
	if err != nil {
		return nil, errListing
	}
	fields := strings.Split(string(text), "\x00")
	if len(fields) < 4 || len(fields)%3 != 1 || fields[len(fields)-1] != "" {
		return nil, errListing
	}
	var files []oci.File
	for ; len(fields) > 3; fields = fields[3:] {
		var mode, uid, gid uint32
		var size int64
		_, err := fmt.Sscanf(fields[0], "%x %d %d %d", &mode, &uid, &gid, &size)
		name, ok := strings.CutPrefix(fields[1], "/base")
		if err != nil || !ok {
			return nil, errListing
		}
		if name == "" {
			continue // the root directory
		}
		files = append(files, oci.File{
			Path: name, Mode: (&tar.Header{Mode: int64(mode)}).FileInfo().Mode(), UID: int(uid), GID: int(gid), Size: size,
			Link: strings.TrimSuffix(fields[2], "\n"), Open: func() (io.ReadCloser, error) {
				content, err := read(name)
				return io.NopCloser(strings.NewReader(content)), err
			},
		})
	}
	return oci.FileSystemOf(files)
}
