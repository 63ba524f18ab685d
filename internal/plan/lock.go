package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/slipway-ci/slipway/internal/distro"
)

// LockFile is the name of the file that says, beside go.work or else go.mod, which digests the images and downloads of plans have, and which
// packages they are made of.
const LockFile = "slipway.lock"

// Lock is what images, URLs and packages stood for when they were pinned.
//
// One lock serves all plans of its directory, such as those of several programs or runtimes. So it may have more than one plan has, but no
// less: [Resolve] faults a plan with something that its lock lacks.
type Lock struct {
	// Images has the digest of each reference that is pinned: of the index, where there is one, so that all platforms follow.
	Images map[string]string
	// Files are the downloads of each URL.
	Files map[string]Download
	// Packages are those of each request, by [PackageRequest.String].
	Packages map[string]distro.Selection
}

// lockHeader is for those who meet the file for the first time.
const lockHeader = "# What images and packages stood for when slipway pin was run. Commit this file.\n"

// digestForm is the form of a digest. Source: https://github.com/opencontainers/image-spec/blob/main/descriptor.md
var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// ParseLock reads the text of a lock: a reference in full and its digest on each line, downloads, and requests for packages, each followed by
// the suites and packages that it stands for. Empty lines and those that begin with # do not count.
func ParseLock(text string) (Lock, error) {
	lock := Lock{Images: map[string]string{}, Files: map[string]Download{}, Packages: map[string]distro.Selection{}}
	request := ""
	number := 0
	for line := range strings.Lines(text) {
		number++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var err error
		switch word, rest, _ := strings.Cut(line, " "); word {
		case "packages":
			request = rest
			_, err = ParsePackageRequest(rest)
			if _, twice := lock.Packages[rest]; err == nil && twice {
				err = errors.New("it is there twice")
			}
			if err != nil {
				err = fmt.Errorf(": %w", err)
			}
			lock.Packages[rest] = distro.Selection{Dates: map[string]time.Time{}}
		case "suite", "package":
			if request == "" {
				return Lock{}, fmt.Errorf("line %d: it follows no line that begins with packages", number)
			}
			group := lock.Packages[request]
			err = parseChosen(&group, word, strings.Fields(rest))
			lock.Packages[request] = group
		case "file":
			request = ""
			err = lock.parseFile(strings.Fields(rest))
		default:
			request = ""
			err = lock.parseImage(strings.Fields(line))
		}
		if err != nil {
			return Lock{}, fmt.Errorf("line %d%w", number, err)
		}
	}
	return lock, nil
}

func (l *Lock) parseImage(fields []string) error {
	switch {
	case len(fields) != 2 || !digestForm.MatchString(fields[1]):
		return errors.New(" is not a reference and its digest")
	case !taggedInFull(fields[0]):
		return fmt.Errorf(": %q is not a reference with registry, repository and tag", fields[0])
	case l.Images[fields[0]] != "":
		return fmt.Errorf(": %s is there twice", fields[0])
	}
	l.Images[fields[0]] = fields[1]
	return nil
}

func (l *Lock) parseFile(fields []string) error {
	if len(fields) != 3 {
		return errors.New(" is not a file's URL, size and digest")
	}
	d := Download{URL: fields[0], Digest: fields[2]}
	var err error
	if d.Size, err = parseSize(fields[1]); err != nil || !digestForm.MatchString(d.Digest) {
		return errors.New(" is not a file's URL, size and digest")
	}
	if err := checkURL(d.URL); err != nil {
		return fmt.Errorf(": %q: %w", d.URL, err)
	}
	if _, twice := l.Files[d.URL]; twice {
		return fmt.Errorf(": %s is there twice", d.URL)
	}
	l.Files[d.URL] = d
	return nil
}

// parseSize reads a size in bytes, in its one notation.
func parseSize(text string) (int64, error) {
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != text {
		return 0, errors.New("not a size in bytes")
	}
	return size, nil
}

// parseChosen reads what follows a request: the date of a suite, or a package.
func parseChosen(l *distro.Selection, word string, fields []string) error {
	if word == "suite" {
		if len(fields) != 2 {
			return errors.New(" is not a suite and its date")
		}
		date, err := time.Parse(time.RFC3339, fields[1])
		if err != nil || date.UTC().Format(time.RFC3339) != fields[1] {
			return errors.New(" is not a suite and its date")
		}
		l.Dates[fields[0]] = date
		return nil
	}
	if len(fields) != 5 || !digestForm.MatchString(fields[4]) || !fs.ValidPath(fields[2]) {
		return errors.New(" is not a package with its version, path, size and digest")
	}
	size, err := parseSize(fields[3])
	if err != nil {
		return errors.New(" is not a package with its version, path, size and digest")
	}
	l.Packages = append(l.Packages, distro.Package{
		Name: fields[0], Version: fields[1], Path: fields[2], Size: size, SHA256: strings.TrimPrefix(fields[4], "sha256:"),
	})
	return nil
}

func taggedInFull(ref string) bool {
	full, err := parseBase(ref)
	return err == nil && full == ref && needsPin(ref)
}

// String is the text of the lock, in the order of the references, URLs and requests.
func (l Lock) String() string {
	var b strings.Builder
	b.WriteString(lockHeader)
	for _, ref := range slices.Sorted(maps.Keys(l.Images)) {
		b.WriteString(ref + " " + l.Images[ref] + "\n")
	}
	for _, url := range slices.Sorted(maps.Keys(l.Files)) {
		fmt.Fprintf(&b, "file %s %d %s\n", url, l.Files[url].Size, l.Files[url].Digest)
	}
	for _, request := range slices.Sorted(maps.Keys(l.Packages)) {
		group := l.Packages[request]
		b.WriteString("packages " + request + "\n")
		for _, suite := range slices.Sorted(maps.Keys(group.Dates)) {
			b.WriteString("  suite " + suite + " " + group.Dates[suite].UTC().Format(time.RFC3339) + "\n")
		}
		for _, p := range group.Packages {
			fmt.Fprintf(&b, "  package %s %s %s %d sha256:%s\n", p.Name, p.Version, p.Path, p.Size, p.SHA256)
		}
	}
	return b.String()
}

// needsPin reports whether a reference names an image of a registry by its tag alone.
func needsPin(ref string) bool {
	return ref != "" && !strings.Contains(ref, "@") && !strings.HasPrefix(ref, "oci:") && !strings.HasPrefix(ref, "oci-archive:")
}

// references are those of the images that carrying the plan out needs.
func (p *Plan) references() []*string {
	refs := []*string{&p.Builder, &p.Image.Base}
	for _, other := range p.OtherModules {
		refs = append(refs, &other.Builder)
	}
	if p.Prebuild != nil {
		refs = append(refs, &p.Prebuild.Image)
	}
	return refs
}

// Floating are the references of the plan that are not by digest, in order.
func (p *Plan) Floating() []string {
	var refs []string
	for _, ref := range p.references() {
		if needsPin(*ref) {
			refs = append(refs, *ref)
		}
	}
	return sorted(refs)
}

// FloatingTools are the references of tools' images that are not by digest. A plan can be carried out without them.
func (p *Plan) FloatingTools() []string {
	var refs []string
	for _, check := range p.Checks {
		if check.Tool != nil && needsPin(check.Tool.Image) {
			refs = append(refs, check.Tool.Image)
		}
	}
	return refs
}

// pinTools gives the images of tools the digests of the lock, and leaves out those that it lacks: they are nothing that a build needs.
func pinTools(checks []Check, lock Lock) {
	for i, check := range checks {
		if check.Tool == nil || !needsPin(check.Tool.Image) {
			continue
		}
		tool := *check.Tool
		if digest := lock.Images[tool.Image]; digest != "" {
			tool.Image += "@" + digest
		} else {
			tool.Image, tool.File = "", ""
		}
		checks[i].Tool = &tool
	}
}

// pin gives the plan's references and downloads the digests of the lock. Without one, only downloads are refused.
func (r resolver) pin(plan *Plan, work *workset) {
	file := path.Join(work.dir, LockFile)
	if !r.exists(file) {
		r.pinDownloads(plan, Lock{}, file)
		return
	}
	lock, err := ParseLock(string(r.read(file)))
	if err != nil {
		r.add(file, "", err.Error(), "mend it, or delete it and run slipway pin")
		return
	}
	pinTools(plan.Checks, lock)
	r.pinDownloads(plan, lock, file)
	for _, request := range plan.PackageRequests() {
		locked, ok := lock.Packages[request.String()]
		if !ok {
			r.add(file, request.String(), "the build needs these packages, and the file does not say which they are", "run slipway pin with the same settings")
			continue
		}
		plan.Image.Distribution.Locked = append(plan.Image.Distribution.Locked, locked)
	}
	for _, ref := range plan.references() {
		if !needsPin(*ref) {
			continue
		}
		digest, ok := lock.Images[*ref]
		if !ok {
			r.add(file, *ref, "the build needs this image, and the file has no digest of it", "run slipway pin with the same settings")
			continue
		}
		*ref += "@" + digest
	}
}

// exactVersion is what a tag has in it that names one release.
var exactVersion = regexp.MustCompile(`[0-9]\.[0-9]+(\.[0-9]+|rc[0-9]+)`)

// moving are the references of the plan whose tags are given to newer images in the ordinary course of things.
func (p *Plan) moving() []string {
	return slices.DeleteFunc(p.Floating(), func(ref string) bool {
		tag, err := name.NewTag(ref)
		return err != nil || exactVersion.MatchString(tag.TagStr())
	})
}
