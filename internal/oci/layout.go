package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/cache/filelock"
	"github.com/slipway-ci/slipway/internal/cache/ownfile"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
)

// WriteLayout adds an image or index to the OCI layout in the directory dir, which is made if need be. An entry of the
// layout that is named refName is replaced, and all others stay; with an empty refName it is the nameless entry of the
// same content that is replaced. Blobs that are there are kept.
//
// The entry appears when everything that it consists of is there. Several processes may write to one layout: they wait for each
// other. A directory that holds something else is refused and left as it is.
func WriteLayout(ctx context.Context, dir string, artifact remote.Taggable, refName string) error {
	parts, entry, err := blobs(artifact)
	if err != nil {
		return fmt.Errorf("writing to the OCI layout %s: %w", dir, err)
	}
	return addToLayout(ctx, dir, parts, []v1.Descriptor{named(entry, map[string]string{oci.AnnotationRefName: refName})})
}

// addToLayout writes blobs, and then the entries.
func addToLayout(ctx context.Context, dir string, parts []blob, entries []v1.Descriptor) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing to the OCI layout %s: %w", dir, err)
		}
	}()
	lock, err := lockLayout(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Remove()) }()
	if err := mark(filepath.Join(dir, "oci-layout")); err != nil {
		return err
	}
	for _, blobs := range []string{"blobs", "blobs/sha256"} {
		if err := ownfile.MakeDir(filepath.Join(dir, filepath.FromSlash(blobs))); err != nil {
			return err
		}
	}
	for _, b := range parts {
		if err := again(func() error { return b.writeTo(ctx, dir) }); err != nil {
			return err
		}
	}
	return replaceEntries(filepath.Join(dir, "index.json"), entries)
}

// again tries once more what a cached blob failed that turned out to be damaged: the cache has got rid of it.
func again(try func() error) error {
	err := try()
	if errors.Is(err, cache.ErrDamaged) {
		err = try()
	}
	return err
}

// writeTo writes a blob to a layout, unless it is there as it has to be.
func (b blob) writeTo(ctx context.Context, layout string) error {
	name, err := blobName(b.digest)
	if err != nil {
		return err
	}
	name = filepath.Join(layout, filepath.FromSlash(name))
	if sound, err := isSound(ctx, name, b); sound || err != nil {
		return err
	}
	err = ownfile.Write(name, func(w io.Writer) error { return b.copyTo(ctx, w) })
	if err != nil && runtime.GOOS == "windows" { // which keeps a file that somebody reads from being replaced
		if sound, failure := isSound(ctx, name, b); sound && failure == nil {
			return nil
		}
	}
	return err
}

// isSound reads all of a file.
func isSound(ctx context.Context, name string, b blob) (bool, error) {
	f, err := ownfile.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	is := cache.NewDigester(io.Discard)
	info, err := f.Stat()
	if err == nil && info.Size() == b.size {
		_, err = copyAll(ctx, is, f)
	}
	return is.Size == b.size && hashOf(is.Digest()) == b.digest, errors.Join(err, f.Close())
}

// lockLayout waits until no other process writes to the layout.
func lockLayout(ctx context.Context, dir string) (*filelock.Lock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, name := range []string{"oci-layout", "index.json", "blobs", "blobs/sha256"} {
		if err := refuseLink(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), temporary.Unfinished) })
	isMarker := func(e fs.DirEntry) bool { return e.Name() == "oci-layout" }
	if len(entries) > 0 && !slices.ContainsFunc(entries, isMarker) {
		return nil, errors.New("the directory holds something else: choose a new or empty directory, or one with an OCI layout")
	}
	lock, err := filelock.Wait(ctx, filepath.Join(dir, temporary.Unfinished+".lock"))
	if ctx.Err() != nil {
		return nil, fmt.Errorf("waiting for another process that writes to it: %w", err)
	}
	return lock, err
}

// refuseLink keeps what is written from going elsewhere.
func refuseLink(name string) error {
	info, err := os.Lstat(name)
	if err == nil && info.Mode().Type() == fs.ModeSymlink {
		return fmt.Errorf("%s is a link, and nothing is written through one: remove it", name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// mark writes the file oci-layout if there is none, and else checks its version.
func mark(name string) error {
	raw, err := ownfile.Read(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(raw) == 0 {
		return temporary.WriteFile(name, func(w io.Writer) error {
			_, err := io.WriteString(w, layoutMarker)
			return err
		})
	}
	if err != nil {
		return err
	}
	var layout struct{ ImageLayoutVersion string }
	if err := json.Unmarshal(raw, &layout); err != nil {
		return fmt.Errorf("its file oci-layout: %w", err)
	}
	if layout.ImageLayoutVersion != "1.0.0" {
		return fmt.Errorf("it has the version %q, and only 1.0.0 is supported: choose another directory", layout.ImageLayoutVersion)
	}
	return nil
}

// replaceEntries puts entries into an index.json. All else in it is kept as it is, whatever it may be.
func replaceEntries(name string, added []v1.Descriptor) error {
	index := map[string]json.RawMessage{"schemaVersion": json.RawMessage("2")}
	var err error
	if index["mediaType"], err = json.Marshal(types.OCIImageIndex); err != nil {
		return err
	}
	raw, err := ownfile.Read(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(raw, &index); err != nil {
			return fmt.Errorf("its index.json: %w", err)
		}
	}
	var entries []json.RawMessage
	if old := index["manifests"]; old != nil {
		if err := json.Unmarshal(old, &entries); err != nil {
			return fmt.Errorf("the manifests of its index.json: %w", err)
		}
	}
	for _, entry := range added {
		if entries, err = replaceEntry(entries, entry); err != nil {
			return err
		}
	}
	if index["manifests"], err = json.Marshal(entries); err != nil {
		return err
	}
	return ownfile.Write(name, func(w io.Writer) error { return json.NewEncoder(w).Encode(index) })
}

// replaceEntry puts an entry in the place of the one with its name, or if it has none, of a nameless one of the same content.
func replaceEntry(entries []json.RawMessage, entry v1.Descriptor) ([]json.RawMessage, error) {
	added, err := json.Marshal(entry)
	if err != nil {
		return nil, err
	}
	at := len(entries)
	for i := len(entries) - 1; i >= 0; i-- {
		var old v1.Descriptor
		if err := json.Unmarshal(entries[i], &old); err != nil {
			return nil, fmt.Errorf("the manifests of its index.json: %w", err)
		}
		refName := old.Annotations[oci.AnnotationRefName]
		if refName == entry.Annotations[oci.AnnotationRefName] && (refName != "" || old.Digest == entry.Digest) {
			entries = slices.Delete(entries, i, i+1)
			at = i
		}
	}
	return slices.Insert(entries, at, added), nil
}
