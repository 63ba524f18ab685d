package slipway

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/gitcommand"
	"github.com/slipway-ci/slipway/internal/plan"
)

// defaultOutput is the directory of archives where no setting names another place.
const defaultOutput = "dist"

// layoutNames and reportNames are what Slipway writes into the directories that --output and --report name, as patterns.
var (
	layoutNames = []string{"oci-layout", "index.json", "blobs"}
	reportNames = []string{"junit.xml", "findings.sarif", "coverage.out", "govulncheck*.json", "openvex.json"}
)

// ignoreFile is the file in a directory of the source that Slipway made, by which git ignores what it writes there. Its text is always
// the same, so that later runs know the directory.
const ignoreFile = ".gitignore"

var ignoreText = "# Written by slipway: its output is not part of the source.\n/" +
	strings.Join(slices.Concat([]string{ignoreFile, "*.tar"}, layoutNames, reportNames), "\n/") + "\n"

// outputs are what Slipway writes into the source: archives in the directory that is the default, what Output names, and its files in
// directories that it made. Those are searched in the source, along Output and Report, and in one another.
func (r *Request) outputs() plan.Outputs {
	var outputs plan.Outputs
	add := func(at string, patterns ...string) {
		name, ok := within(r.Dir, at)
		if !ok {
			return
		}
		for _, pattern := range patterns {
			outputs = append(outputs, path.Join(literal(name), pattern))
		}
	}
	add(defaultOutput, "*.tar")
	switch {
	case r.Output == "":
	case strings.HasSuffix(r.Output, ".tar"):
		add(r.Output, "")
	default:
		add(r.Output, layoutNames...)
	}
	files := slices.Concat([]string{ignoreFile, "*.tar"}, layoutNames, reportNames)
	addMade := func(made string) { add(made, files...) }
	walkMade(r.Dir, addMade)
	for _, written := range []string{r.Output, r.Report} {
		at, err := filepath.Abs(written)
		for above := filepath.Dir(at); written != "" && err == nil && isBelow(r.Dir, above); above = filepath.Dir(above) {
			walkMade(above, addMade)
		}
	}
	return outputs
}

// walkMade calls visit for each directory in dir that Slipway made, and for those in them.
func walkMade(dir string, visit func(made string)) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // what is wrong with it, its reader says
	}
	for _, e := range entries {
		if made := filepath.Join(dir, e.Name()); e.IsDir() && isMade(made) {
			visit(made)
			walkMade(made, visit)
		}
	}
}

// isMade reports whether Slipway made the directory.
func isMade(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, ignoreFile))
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(ignoreText)) {
		return false
	}
	text, err := os.ReadFile(filepath.Join(dir, ignoreFile))
	return err == nil && string(text) == ignoreText
}

// WriteInto calls write, which writes into the directory dir, and has git ignore that in each directory that write made in the source.
func (r *Request) WriteInto(dir string, write func() error) error {
	var missing []string
	for at := dir; isBelow(r.Dir, at); at = filepath.Dir(at) {
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, at)
	}
	if err := write(); err != nil {
		return err
	}
	for _, made := range missing {
		if err := ignore(made); err != nil {
			return err
		}
	}
	return nil
}

// ignore has git ignore what Slipway writes into a directory.
func ignore(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, ignoreFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil // of another image
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(ignoreText)
	return errors.Join(err, f.Close())
}

// isBelow reports whether the path at leads to something in dir, which is not dir itself.
func isBelow(dir, at string) bool {
	name, ok := within(dir, at)
	return ok && name != "."
}

// within returns the name of a path in a directory, with slashes, if it is in it.
func within(dir, at string) (name string, ok bool) {
	dir, err1 := filepath.Abs(dir)
	at, err2 := filepath.Abs(at)
	if err1 != nil || err2 != nil {
		return "", false
	}
	name, err := filepath.Rel(dir, at)
	return filepath.ToSlash(name), err == nil && filepath.IsLocal(name)
}

// literal is a name as a pattern of package path that nothing else matches.
func literal(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

// dirty reports whether the source differs from its commit, by more than what Slipway wrote there.
func (r *Request) dirty(status gitcommand.Status) bool {
	own := r.outputs()
	return status.Modified || slices.ContainsFunc(status.Untracked, func(name string) bool { return !own.Has(name) })
}
