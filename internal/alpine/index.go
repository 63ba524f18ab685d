package alpine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/cache"
)

// repository is what an index says.
type repository struct {
	// name is its address for an architecture, without https://.
	name string
	date time.Time
	// digest is that of the index.
	digest string
	text   []byte
}

// Limits in bytes on an index, packed and unpacked.
const (
	packedLimit = 64 << 20
	indexLimit  = 512 << 20
)

// repositories fetches and verifies the indexes of the base's repositories.
func (a *Archive) repositories(ctx context.Context, notBefore map[string]time.Time) ([]*repository, error) {
	all := make([]*repository, len(a.Base.repositories))
	group, groupCtx := errgroup.WithContext(ctx)
	for i, address := range a.Base.repositories {
		group.Go(func() (err error) {
			name := address + "/" + a.Architecture
			if all[i], err = a.repository(groupCtx, name, notBefore[name]); err != nil {
				return fmt.Errorf("reading the index of %s: %w", name, err)
			}
			return nil
		})
	}
	return all, group.Wait()
}

func (a *Archive) repository(ctx context.Context, name string, notBefore time.Time) (*repository, error) {
	packed, err := a.Document(ctx, "https://"+name+"/APKINDEX.tar.gz", packedLimit)
	if err != nil {
		return nil, err
	}
	signed, err := a.Base.keys.verify(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, err
	}
	r := &repository{name: name, digest: cache.DigestOf(packed)}
	files, date, err := readMember(bytes.NewReader(packed[signed.from:]), indexLimit)
	if err != nil {
		return nil, err
	}
	r.text, r.date = files["APKINDEX"], date.UTC()
	if r.text == nil {
		return nil, errors.New("it has no list of packages")
	}
	if r.date.Before(notBefore) {
		return nil, fmt.Errorf("it is of %s, and the one of the lock of %s: the mirror is behind, or somebody has put an old one in its place (try again later, or choose another mirror)",
			r.date.Format(time.RFC3339), notBefore.Format(time.RFC3339))
	}
	return r, nil
}

// index is what packages there are. Of the tens of thousands, only those that are asked for are parsed.
type index struct {
	// named are the paragraphs of packages, by their names, providing those of packages that provide a name, and conditional those that come
	// by themselves with others.
	named, providing map[string][]paragraph
	conditional      []paragraph
	parsed           map[*byte]*candidate
}

// paragraph is the text of one, from the repository with that number.
type paragraph struct {
	repository int
	name       string
	text       []byte
}

// candidate is a package that could be chosen, or one that the base has.
type candidate struct {
	name, text string
	version    version
	// digest is that of its control part, as indexes have it.
	digest string
	size   int64
	// path is that of its file, with the host.
	path                              string
	origin                            string
	needs, refuses, provides, comesIf []dependency
	priority, repository              int
	// base says that it is in the base, and has no file.
	base bool
}

func newIndex(repositories []*repository) *index {
	x := &index{named: map[string][]paragraph{}, providing: map[string][]paragraph{}, parsed: map[*byte]*candidate{}}
	for i, r := range repositories {
		for text := range paragraphs(r.text) {
			p := paragraph{i, r.name, text}
			name := field(text, 'P')
			x.named[name] = append(x.named[name], p)
			for _, provided := range strings.Fields(field(text, 'p')) {
				if at := strings.IndexAny(provided, "<>=~"); at >= 0 {
					provided = provided[:at]
				}
				x.providing[provided] = append(x.providing[provided], p)
			}
			if field(text, 'i') != "" {
				x.conditional = append(x.conditional, p)
			}
		}
	}
	return x
}

// paragraphs are those of an index or database that are not empty.
func paragraphs(text []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for paragraph := range bytes.SplitSeq(text, []byte("\n\n")) {
			if paragraph = bytes.Trim(paragraph, "\n"); len(paragraph) > 0 && !yield(paragraph) {
				return
			}
		}
	}
}

// field is the value of a field of a paragraph. Source: apk-package(5), which has their letters
func field(paragraph []byte, letter byte) string {
	key := []byte{'\n', letter, ':'}
	if !bytes.HasPrefix(paragraph, key[1:]) {
		at := bytes.Index(paragraph, key)
		if at < 0 {
			return ""
		}
		paragraph = paragraph[at+1:]
	}
	value, _, _ := bytes.Cut(paragraph[2:], []byte("\n"))
	return string(value)
}

// called are the packages that have a name, themselves or as something that they provide, the best first: in the order of the versions under
// that name, of their own versions, of their priorities, and of the repositories. Source: apk-package(5)
func (x *index) called(name string) ([]*candidate, error) {
	all, err := x.parse(slices.Concat(x.named[name], x.providing[name]))
	slices.SortStableFunc(all, func(a, b *candidate) int {
		own := 0
		if a.name == b.name {
			own = b.version.compare(a.version)
		}
		return cmp.Or(compareVersions(b.as(name), a.as(name)), own, b.priority-a.priority, a.repository-b.repository, strings.Compare(a.name, b.name))
	})
	return all, err
}

// as is the version that a package has under a name; nil for none.
func (c *candidate) as(name string) version {
	if c.name == name {
		return c.version
	}
	for _, p := range c.provides {
		if p.name == name {
			return p.version
		}
	}
	return nil
}

// compareVersions compares versions that may be missing: one that is missing is older.
func compareVersions(a, b version) int {
	if a == nil || b == nil {
		return cmp.Compare(min(len(a), 1), min(len(b), 1))
	}
	return a.compare(b)
}

func (x *index) parse(paragraphs []paragraph) ([]*candidate, error) {
	var all []*candidate
	for _, p := range paragraphs {
		c := x.parsed[&p.text[0]]
		if c == nil {
			var err error
			if c, err = parsePackage(p); err != nil {
				return nil, fmt.Errorf("the package %s of %s: %w", field(p.text, 'P'), p.name, err)
			}
			x.parsed[&p.text[0]] = c
		}
		if !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	return all, nil
}

// conditionals are the packages that come by themselves with others. One that cannot be read does not come.
func (x *index) conditionals() []*candidate {
	var all []*candidate
	for _, p := range x.conditional {
		if one, err := x.parse([]paragraph{p}); err == nil {
			all = append(all, one...)
		}
	}
	return all
}

func parsePackage(p paragraph) (*candidate, error) {
	c, err := parseParagraph(p.text)
	if err != nil {
		return nil, err
	}
	c.repository, c.path = p.repository, p.name+"/"+c.name+"-"+c.text+".apk"
	if c.size, err = strconv.ParseInt(field(p.text, 'S'), 10, 64); err != nil || c.size < 0 || !fs.ValidPath(c.path) {
		return nil, errors.New("its file has no path or size")
	}
	if !strings.HasPrefix(c.digest, "Q1") {
		return nil, fmt.Errorf("its digest is %q, and only those that begin with Q1 are known", c.digest)
	}
	return c, nil
}

// packageName is the form of a package's name. Source: apk-package(5)
var packageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)

// parseParagraph reads what an index or the database say of a package.
func parseParagraph(text []byte) (_ *candidate, err error) {
	c := &candidate{name: field(text, 'P'), text: field(text, 'V'), digest: field(text, 'C'), origin: field(text, 'o')}
	if !packageName.MatchString(c.name) {
		return nil, fmt.Errorf("%q is no name of a package", c.name)
	}
	if c.version, err = parseVersion(c.text); err != nil {
		return nil, err
	}
	if priority := field(text, 'k'); priority != "" {
		if c.priority, err = strconv.Atoi(priority); err != nil {
			return nil, fmt.Errorf("its priority is %q", priority)
		}
	}
	for _, list := range []struct {
		letter byte
		into   *[]dependency
	}{{'D', &c.needs}, {'p', &c.provides}, {'i', &c.comesIf}} {
		if *list.into, err = parseDependencies(strings.Fields(field(text, list.letter))); err != nil {
			return nil, err
		}
	}
	c.refuses = slices.DeleteFunc(slices.Clone(c.needs), func(d dependency) bool { return !d.refuses })
	c.needs = slices.DeleteFunc(c.needs, func(d dependency) bool { return d.refuses })
	return c, nil
}
