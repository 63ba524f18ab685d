package plan

import (
	"io/fs"
	"path"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// IgnoreFile is the name of the file, in the source's directory, that says what of the source is neither sent to another engine nor
// part of an image. It means what it means to docker build with the source as its context.
const IgnoreFile = ".dockerignore"

// gitDir is git's own directory, or the file in its place, wherever it is. It is never sent nor part of an image.
const gitDir = ".git"

// Ignored are the patterns of an [IgnoreFile] with that text, as Docker reads it, and of git's own.
func Ignored(text string) ([]string, error) {
	patterns, err := ignorefile.ReadAll(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	patterns = append(patterns, "**/"+gitDir)
	_, err = patternmatcher.New(patterns)
	return patterns, err
}

// ignore matches names of the source with the patterns of its [IgnoreFile].
type ignore struct {
	matcher *patternmatcher.PatternMatcher
	dirs    map[string]patternmatcher.MatchInfo
}

// readIgnore reads the source's [IgnoreFile]. What is wrong with it is a fault, and nothing is ignored.
func (t tree) readIgnore() *ignore {
	patterns, err := Ignored(string(t.read(IgnoreFile)))
	if err != nil {
		t.add(IgnoreFile, "", err.Error(), "correct it: docker build refuses it, too")
		patterns = nil
	}
	matcher, _ := patternmatcher.New(patterns) // Ignored has tried it
	return &ignore{matcher, map[string]patternmatcher.MatchInfo{}}
}

// matches reports whether name is ignored. What is below a directory that is may not be.
func (i *ignore) matches(name string) (bool, error) {
	ignored, _, err := i.match(name)
	return ignored, err
}

func (i *ignore) match(name string) (bool, patternmatcher.MatchInfo, error) {
	if name == "." {
		return false, patternmatcher.MatchInfo{}, nil
	}
	dir := path.Dir(name)
	above, ok := i.dirs[dir]
	if !ok {
		var err error
		if _, above, err = i.match(dir); err != nil {
			return false, above, err
		}
		i.dirs[dir] = above
	}
	return i.matcher.MatchesUsingParentResults(name, above)
}

// whole reports whether all below an ignored directory is ignored, too.
func (i *ignore) whole() bool { return !i.matcher.Exclusions() }

// excluded are the files that the plan's build needs in any case, and that are ignored.
func (r resolver) excluded(ignore *ignore, plan *Plan) ([]string, error) {
	needed := plan.ModuleFiles()
	for _, part := range plan.Parts() {
		for _, program := range part.Programs {
			dir := path.Join(part.Source.Dir, program.Package)
			entries, err := fs.ReadDir(r, dir)
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				if read(e.Name()) && !strings.HasSuffix(e.Name(), "_test.go") {
					needed = append(needed, path.Join(dir, e.Name()))
				}
			}
		}
	}
	var excluded []string
	for _, name := range sorted(needed) {
		ignored, err := ignore.matches(name)
		if err != nil {
			return nil, err
		}
		if ignored {
			excluded = append(excluded, name)
		}
	}
	return excluded, nil
}
