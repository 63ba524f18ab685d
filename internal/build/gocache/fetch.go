package gocache

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/slot"
)

// fetched is what a repository has for a build.
type fetched struct {
	// blobs are those of all slots that were found, and images those that have one.
	blobs  []blob
	images map[string]bool
	// broken are the digests of blobs that could not be read, as far as is known before receiving has ended.
	broken    map[v1.Hash]bool
	mu        sync.Mutex
	receiving sync.WaitGroup
	// arriving are the objects that are being fetched, by their actions.
	arriving map[id]*arriving
}

// arriving is an object that is fetched. Once done is closed, it is in file, or missing.
type arriving struct {
	object
	file string
	done chan struct{}
}

// wait waits until an object that is being fetched has arrived.
func (f *fetched) wait(action id) (o object, file string, ok bool) {
	a := f.arriving[action]
	if a == nil {
		return o, "", false
	}
	<-a.done
	return a.object, a.file, a.file != ""
}

// sound are the blobs but for those that could not be read. What has arrived of a blob is used before all of it is known to be sound, so this
// waits for the rest.
func (f *fetched) sound() []blob {
	f.receiving.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.blobs), func(b blob) bool {
		digest, err := b.layer.Digest()
		return err != nil || f.broken[digest]
	})
}

// breaks notes that a blob could not be read.
func (f *fetched) breaks(digest v1.Hash) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken[digest] = true
}

// sideBySide bounds how many slots are read or written at a time.
const sideBySide = 8

// fetch finds what the repository has, and begins to fetch what this machine lacks.
func (s *Session) fetch(ctx context.Context, step io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx) // layers are read with it later
	asking := time.AfterFunc(Patience, func() { cancel(errStalled) })
	defer asking.Stop()
	found, failure := s.find(ctx)
	f := &fetched{images: map[string]bool{}, broken: map[v1.Hash]bool{}, arriving: map[id]*arriving{}}
	slots := map[v1.Hash]*slot.Slot{} // by the digests of blobs
	read := map[v1.Hash]bool{}        // artifacts
	for image, one := range found {
		artifact, ok := one.Artifact(artifactType)
		if !ok {
			continue
		}
		f.images[image] = true
		if read[artifact.Digest] {
			continue
		}
		read[artifact.Digest] = true
		blobs, err := s.index(ctx, one, artifact)
		if err != nil {
			delete(f.images, image)
			failure = err
			continue
		}
		for _, b := range blobs {
			digest, err := b.layer.Digest()
			if err != nil {
				return err
			}
			slots[digest] = one
			if !slices.ContainsFunc(f.blobs, func(other blob) bool { return other.equal(b) }) {
				f.blobs = append(f.blobs, b)
			}
		}
	}
	slices.SortFunc(f.blobs, func(a, b blob) int { return len(b.objects) - len(a.objects) })
	shared := store{s.cache.Local.Shared("gocache", s.cache.Name)}
	var wanted []blob
	var bytes int64
	for _, b := range f.blobs {
		if local := s.local(b, shared); (b.size()-local)*10 > b.size() {
			size, err := b.layer.Size()
			if err != nil {
				return err
			}
			bytes += size
			wanted = append(wanted, b)
		}
	}
	s.fetched = f
	if len(wanted) == 0 && !exists(shared.dir) {
		return failure
	}
	if err := shared.open(); err != nil {
		return err
	}
	s.shared = shared
	s.take()
	for _, b := range wanted {
		var own []*arriving
		for _, o := range b.objects {
			a := &arriving{object: o, done: make(chan struct{})}
			if f.arriving[o.action] != nil {
				a = nil // an object of another blob
			} else {
				f.arriving[o.action] = a
			}
			own = append(own, a)
		}
		digest, _ := b.layer.Digest() // as above
		f.receiving.Add(1)
		s.running.Go(func() {
			defer f.receiving.Done()
			err := s.receive(ctx, slots[digest], b, own)
			if err == nil || errors.Is(err, context.Canceled) {
				return
			}
			f.breaks(digest)
			_ = build.Do(s.Report, s.Lane, "cache", func(step build.Step) error {
				_, err := fmt.Fprintf(step, "not all compiled packages are taken from %s: %v\n", s.cache.Name, err)
				return err
			})
		})
	}
	if bytes > 0 {
		_, _ = fmt.Fprintf(step, "%.1f MB of compiled packages come from %s\n", float64(bytes)/1e6, s.cache.Name)
	}
	return failure
}

// find reads the slots of the images, of the first branch that has one of this form, Go version and platform. An error says that there may
// be more.
func (s *Session) find(ctx context.Context) (map[string]*slot.Slot, error) {
	slots := make([][]*slot.Slot, len(s.Images))
	failures := make([][]error, len(s.Images))
	var group errgroup.Group
	group.SetLimit(sideBySide)
	for i, image := range s.Images {
		slots[i], failures[i] = make([]*slot.Slot, len(s.cache.Branches)), make([]error, len(s.cache.Branches))
		for n, branch := range s.cache.Branches {
			group.Go(func() error {
				slots[i][n], failures[i][n] = s.cache.Repository.Get(ctx, s.entry(image, branch).Name())
				return nil
			})
		}
	}
	_ = group.Wait()
	found := map[string]*slot.Slot{}
	var all []error
	for i, image := range s.Images {
		all = append(all, failures[i]...)
		for _, one := range slots[i] {
			if one != nil && one.Index.Annotations[slot.AnnotationKey] == s.form() {
				found[image] = one
				break
			}
		}
	}
	return found, errors.Join(all...)
}

// index reads the index of an artifact.
func (s *Session) index(ctx context.Context, from *slot.Slot, artifact v1.Descriptor) ([]blob, error) {
	layers, err := from.Layers(ctx, artifact)
	if err != nil {
		return nil, err
	}
	if len(layers) == 0 {
		return nil, errIndex
	}
	text, err := from.ReadAll(ctx, layers[0])
	if err != nil {
		return nil, err
	}
	if key := s.cache.Key; key != nil {
		signature, err := base64.StdEncoding.DecodeString(from.Index.Annotations[slot.AnnotationSignature])
		if err != nil || key.Verifier().Verify(s.signed(text), signature) != nil {
			return nil, errors.New("they are not signed by this key")
		}
	}
	return decode(text, layers[1:])
}

// local is how many bytes of the objects of a blob this machine has.
func (s *Session) local(b blob, shared store) (total int64) {
	for _, o := range b.objects {
		is, _, ok := shared.get(o.action)
		if !ok {
			is, _, ok = s.own.get(o.action)
		}
		if ok && is.output == o.output {
			total += o.size
		}
	}
	return total
}

// receive fetches a blob, whose objects are those that are arriving, and nil for one that another blob has.
func (s *Session) receive(ctx context.Context, from *slot.Slot, b blob, objects []*arriving) error {
	defer func() {
		for _, a := range objects {
			if a != nil && a.file == "" {
				close(a.done)
			}
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := from.Read(ctx, b.layer, func(r io.Reader) error {
		timer := time.AfterFunc(Patience, func() { cancel(errStalled) })
		defer timer.Stop()
		d, err := slot.Decompress(moving{r, timer})
		if err != nil {
			return err
		}
		defer d.Close()
		for i, o := range b.objects {
			if err := s.receiveObject(d, o, objects[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// receiveObject reads an object from a blob. One that is not what it has to be is missing.
func (s *Session) receiveObject(blob io.Reader, o object, a *arriving) error {
	body := &io.LimitedReader{R: blob, N: o.size}
	if a != nil && a.file == "" {
		name, err := s.shared.put(o, body)
		switch {
		case err == nil:
			a.file = name
			close(a.done)
		case !errors.Is(err, errForeign):
			return err
		}
	}
	_, err := io.Copy(io.Discard, body)
	if err == nil && body.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	return err
}

var errStalled = fmt.Errorf("nothing has arrived for %v", Patience)

// moving notes that something arrives.
type moving struct {
	io.Reader
	timer *time.Timer
}

func (m moving) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if n > 0 {
		m.timer.Reset(Patience)
	}
	return n, err
}

// adopt takes an object over from a file.
func (s store) adopt(o object, file string) (string, error) {
	name := s.file(o.output, "d")
	if err := os.Link(file, name); err == nil || errors.Is(err, os.ErrExist) {
		return name, s.putAction(o)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	name, err = s.put(o, f)
	return name, errors.Join(err, f.Close())
}

// form names what packages are for. Those of another are of no use.
func (s *Session) form() string { return "1 go" + s.Go + " " + s.Platform }

// signed is what a key signs of an index.
func (s *Session) signed(index []byte) []byte {
	return append([]byte("slipway compiled packages "+s.form()+"\n"), index...)
}

// artifactType is the type of the artifact with the index and the blobs.
const artifactType = "application/vnd.slipway.gocache.v1"

// entry is that of an image on a branch.
func (s *Session) entry(image, branch string) slot.Entry {
	return slot.Entry{Kind: slot.Packages, Image: image, Platform: s.Platform, Branch: branch}
}
