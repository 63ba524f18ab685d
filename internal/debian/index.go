package debian

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"pault.ag/go/debian/control"
	"pault.ag/go/debian/dependency"
	"pault.ag/go/debian/version"

	"github.com/slipway-ci/slipway/internal/distro"
)

// index is what packages there are for an architecture. Of the tens of thousands, only those that are asked for are parsed.
type index struct {
	// named are the paragraphs of packages, by their names, and providing those of packages that provide a name.
	named, providing map[string][]paragraph
	parsed           map[*byte]*candidate
}

// paragraph is the text of one, from a suite's list.
type paragraph struct {
	suite Suite
	text  []byte
}

// candidate is a package that could be chosen, or one that the base has.
type candidate struct {
	distro.Package
	architecture string
	version      version.Version
	// needs is Pre-Depends and Depends, refuses Conflicts and Breaks.
	needs, refuses, provides []dependency.Relation
	priority                 int
	// base says that it is in the base, and has no file.
	base bool
}

// releases fetches and verifies the InRelease of each suite.
func (a *Archive) releases(ctx context.Context, notBefore map[string]time.Time) ([]*inRelease, error) {
	keys, err := a.Release.keyring()
	if err != nil {
		return nil, err
	}
	all := make([]*inRelease, len(a.Release.Suites))
	group, groupCtx := errgroup.WithContext(ctx)
	for i, suite := range a.Release.Suites {
		group.Go(func() (err error) {
			if all[i], err = a.release(groupCtx, keys, suite, notBefore[suite.Name]); err != nil {
				return fmt.Errorf("reading the InRelease of %s: %w", suite.Name, err)
			}
			return nil
		})
	}
	return all, group.Wait()
}

// read fetches the lists of packages of all suites.
func (a *Archive) read(ctx context.Context, releases []*inRelease, architecture string) (*index, error) {
	lists := make([][]byte, len(releases))
	group, groupCtx := errgroup.WithContext(ctx)
	for i, r := range releases {
		group.Go(func() (err error) {
			if lists[i], err = a.list(groupCtx, r, architecture); err != nil {
				return fmt.Errorf("reading the packages of %s for %s: %w", r.suite.Name, architecture, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	x := &index{named: map[string][]paragraph{}, providing: map[string][]paragraph{}, parsed: map[*byte]*candidate{}}
	for i, r := range releases {
		x.add(r.suite, lists[i])
	}
	return x, nil
}

// listOf is the name of a suite's list of packages for an architecture.
func listOf(architecture string) string { return "main/binary-" + architecture + "/Packages" }

// list is the text of a suite's packages for an architecture, those for all included.
func (a *Archive) list(ctx context.Context, r *inRelease, architecture string) ([]byte, error) {
	name := listOf(architecture)
	plain, ok := r.files[name]
	if !ok {
		return nil, errors.New("there are none")
	}
	if plain.size > indexLimit {
		return nil, fmt.Errorf("they have %d bytes, more than the %d that are read", plain.size, indexLimit)
	}
	for _, extension := range []string{".gz", ".xz"} { // the former takes a fifth of the time
		packed, ok := r.files[name+extension]
		if !ok {
			continue
		}
		at := name + extension
		if r.byHash {
			at = "main/binary-" + architecture + "/by-hash/SHA256/" + packed.digest
		}
		if err := a.Blob(ctx, current+r.suite.Archive+"/dists/"+r.suite.Name+"/"+at, packed.digest, packed.size); err != nil {
			return nil, err
		}
		return a.unpackList(packed, extension, plain)
	}
	return nil, errors.New("they are compressed in no way that is known")
}

func (a *Archive) unpackList(packed signedFile, extension string, plain signedFile) (_ []byte, err error) {
	content, err := a.Cache.GetBlob(packed.digest)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	unpacked, err := decompress(content, extension)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unpacked.Close()) }()
	var list bytes.Buffer
	list.Grow(int(plain.size) + bytes.MinRead)
	if _, err := list.ReadFrom(io.LimitReader(unpacked, plain.size+1)); err != nil {
		return nil, err
	}
	if int64(list.Len()) != plain.size {
		return nil, fmt.Errorf("they do not have the %d bytes that InRelease says", plain.size)
	}
	return list.Bytes(), nil
}

// add takes note of where the paragraphs of a list are.
func (x *index) add(suite Suite, list []byte) {
	for len(list) > 0 {
		text, rest, _ := bytes.Cut(list, []byte("\n\n"))
		list = rest
		if name := field(text, "Package"); name != "" {
			x.named[name] = append(x.named[name], paragraph{suite, text})
		}
		for provided := range strings.SplitSeq(field(text, "Provides"), ",") {
			if name, _, _ := strings.Cut(strings.TrimSpace(provided), " "); name != "" {
				x.providing[name] = append(x.providing[name], paragraph{suite, text})
			}
		}
	}
}

// field is the value of a field that stands on one line.
func field(paragraph []byte, name string) string {
	at := 0
	if !bytes.HasPrefix(paragraph, []byte(name+":")) {
		if at = bytes.Index(paragraph, []byte("\n"+name+":")); at < 0 {
			return ""
		}
		at++
	}
	value, _, _ := bytes.Cut(paragraph[at+len(name)+1:], []byte("\n"))
	return string(bytes.TrimSpace(value))
}

// packages are those of a name, and providers those that provide it, the newest first, each version once.
func (x *index) packages(name string) ([]*candidate, error)  { return x.parse(x.named[name]) }
func (x *index) providers(name string) ([]*candidate, error) { return x.parse(x.providing[name]) }

func (x *index) parse(paragraphs []paragraph) ([]*candidate, error) {
	var all []*candidate
	for _, p := range paragraphs {
		c := x.parsed[&p.text[0]]
		if c == nil {
			var err error
			if c, err = parsePackage(p); err != nil {
				return nil, fmt.Errorf("the package %s of %s: %w", field(p.text, "Package"), p.suite.Name, err)
			}
			x.parsed[&p.text[0]] = c
		}
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b *candidate) int {
		return cmp.Or(a.priority-b.priority, strings.Compare(a.Name, b.Name), version.Compare(b.version, a.version))
	})
	return slices.CompactFunc(all, func(a, b *candidate) bool { return a.Name == b.Name && a.Version == b.Version }), nil
}

// priorities are in the order of preference. Source: https://www.debian.org/doc/debian-policy/ch-archive.html#priorities
var priorities = []string{"required", "important", "standard", "optional", "extra"}

func parsePackage(p paragraph) (*candidate, error) {
	c, fields, err := parseControl(p.text)
	if err != nil {
		return nil, err
	}
	c.Path, c.SHA256 = p.suite.Archive+"/"+fields["Filename"], fields["SHA256"]
	if c.Size, err = strconv.ParseInt(fields["Size"], 10, 64); err != nil || c.Size < 0 || len(c.SHA256) != 64 || !fs.ValidPath(c.Path) {
		return nil, errors.New("its file has no path, size or SHA-256")
	}
	return c, nil
}

// parseControl reads the paragraph of a package, in an archive's list, a package or a database.
func parseControl(text []byte) (*candidate, map[string]string, error) {
	paragraphs, err := control.NewParagraphReader(bytes.NewReader(text), nil)
	if err != nil {
		return nil, nil, err
	}
	read, err := paragraphs.Next()
	if err != nil {
		return nil, nil, err
	}
	fields := read.Values
	c := &candidate{Package: distro.Package{Name: fields["Package"], Version: fields["Version"]}, architecture: fields["Architecture"]}
	if !packageName.MatchString(c.Name) {
		return nil, nil, fmt.Errorf("%q is no name of a package", c.Name)
	}
	if c.version, err = version.Parse(c.Version); err != nil {
		return nil, nil, fmt.Errorf("its version %q: %w", c.Version, err)
	}
	if c.priority = slices.Index(priorities, fields["Priority"]); c.priority < 0 {
		c.priority = len(priorities)
	}
	for _, list := range []struct {
		field string
		into  *[]dependency.Relation
	}{{"Pre-Depends", &c.needs}, {"Depends", &c.needs}, {"Conflicts", &c.refuses}, {"Breaks", &c.refuses}, {"Provides", &c.provides}} {
		if fields[list.field] == "" {
			continue
		}
		parsed, err := dependency.Parse(fields[list.field])
		if err != nil {
			return nil, nil, fmt.Errorf("its %s: %w", list.field, err)
		}
		*list.into = append(*list.into, parsed.Relations...)
	}
	return c, fields, nil
}
