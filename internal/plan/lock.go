package plan

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// LockFile is the name of the file that says, beside go.work or else go.mod, which digests the images of plans have.
const LockFile = "slipway.lock"

// Lock has the digest of each reference that is pinned: of the index, where there is one, so that all platforms follow.
//
// One lock serves all plans of its directory, such as those of several programs or runtimes. So it may have more references than
// one plan has, but no fewer: [Resolve] faults a plan with a reference that its lock lacks.
type Lock map[string]string

// lockHeader is for those who meet the file for the first time.
const lockHeader = "# The digests that image references stood for when slipway pin was run. Commit this file.\n"

// digestForm is the form of a digest. Source: https://github.com/opencontainers/image-spec/blob/main/descriptor.md
var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// ParseLock reads the text of a lock: a reference in full and its digest on each line. Empty lines and those that begin with #
// do not count.
func ParseLock(text string) (Lock, error) {
	lock := Lock{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		switch {
		case len(fields) != 2 || !digestForm.MatchString(fields[1]):
			return nil, fmt.Errorf("line %d is not a reference and its digest", number)
		case !taggedInFull(fields[0]):
			return nil, fmt.Errorf("line %d: %q is not a reference with registry, repository and tag", number, fields[0])
		case lock[fields[0]] != "":
			return nil, fmt.Errorf("line %d: %s is there twice", number, fields[0])
		}
		lock[fields[0]] = fields[1]
	}
	return lock, nil
}

func taggedInFull(ref string) bool {
	full, err := parseBase(ref)
	return err == nil && full == ref && needsPin(ref)
}

// String is the text of the lock, in the order of the references.
func (l Lock) String() string {
	var b strings.Builder
	b.WriteString(lockHeader)
	for _, ref := range slices.Sorted(maps.Keys(l)) {
		b.WriteString(ref + " " + l[ref] + "\n")
	}
	return b.String()
}

// needsPin reports whether a reference names an image of a registry by its tag alone.
func needsPin(ref string) bool {
	return ref != "" && !strings.Contains(ref, "@") && !strings.HasPrefix(ref, "oci:") && !strings.HasPrefix(ref, "oci-archive:")
}

// Floating are the references of the plan that are not by digest, in order.
func (p *Plan) Floating() []string {
	return sorted(slices.DeleteFunc([]string{p.Builder, p.Image.Base}, func(ref string) bool { return !needsPin(ref) }))
}

// pin gives the plan's references the digests of the lock, if there is one.
func (r resolver) pin(plan *Plan, work *workset) {
	file := path.Join(work.dir, LockFile)
	if !r.exists(file) {
		return
	}
	lock, err := ParseLock(string(r.read(file)))
	if err != nil {
		r.add(file, "", err.Error(), "mend it, or delete it and run slipway pin")
		return
	}
	for _, ref := range []*string{&plan.Builder, &plan.Image.Base} {
		if !needsPin(*ref) {
			continue
		}
		digest, ok := lock[*ref]
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
