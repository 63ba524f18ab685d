package plan

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/source"
)

// Copy is a directory of the source in the image, as it was asked for. Layers have its files one by one.
type Copy struct {
	// Source is the directory, relative to the source, and Path where it is in the image.
	Source string `json:"source"`
	Path   string `json:"path"`
	// Links says that all links of the directory are links in the image, too. Otherwise the layers say which of them are, and others are
	// the files that they lead to.
	Links bool `json:"links,omitempty"`
	// Mode is that of all files. None: 0755 for those that their owner may execute, else 0644.
	Mode Mode `json:"mode,omitempty"`
	// Without are patterns, by the rules of [path.Match] and relative to the directory, of what Slipway itself writes there and leaves
	// out, with directories that hold nothing else. It leaves out git's own everywhere.
	Without []string `json:"without,omitempty"`
}

// FilePatterns are the files and directories of the source that Files puts into an image and that a prebuild that does not run has made,
// as patterns of an [IgnoreFile]: for who brings these only. What is not of the right form is left out, which [Resolve] reports.
func (c Config) FilePatterns() []string {
	var patterns []string
	for _, output := range c.PrebuildOutputs {
		if output, err := parsePrebuildOutput(output); err == nil && !c.RunPrebuild {
			patterns = append(patterns, output)
		}
	}
	for _, text := range c.Files {
		f, err := parseFile(text)
		switch {
		case err != nil || isURL(f.src):
		case f.src == ".":
			patterns = append(patterns, "**")
		case isTemplate(f.src):
			// What stands alone may fill in several elements, as a platform does.
			pattern := "/" + action.ReplaceAllString(literalPattern.Replace(f.src), "*") + "/"
			patterns = append(patterns, strings.Trim(strings.ReplaceAll(pattern, "/*/", "/**/"), "/"))
		case isPattern(f.src):
			patterns = append(patterns, escapeNot.ReplaceAllString(f.src, `\!`))
		default:
			patterns = append(patterns, literalPattern.Replace(f.src))
		}
	}
	return patterns
}

// FileRoots are the files and directories of the source that Files names, and the directories above those that are patterns or templates.
func (c Config) FileRoots() []string {
	var roots []string
	for _, text := range c.Files {
		f, err := parseFile(strings.TrimSpace(text))
		if err != nil || isURL(f.src) {
			continue
		}
		if i := strings.IndexAny(f.src, "*?{"); i >= 0 {
			f.src = path.Dir(f.src[:i] + "x")
		}
		roots = append(roots, f.src)
	}
	return roots
}

// LocalBase is the file or directory that a base names, as patterns of an [IgnoreFile]; none for an image of a registry. The name of
// an image in it may follow after a colon.
func LocalBase(base string) []string {
	scheme, name, _ := strings.Cut(base, ":")
	if scheme != "oci" && scheme != "oci-archive" {
		return nil
	}
	patterns := []string{literalPattern.Replace(path.Clean(name))}
	if i := strings.LastIndexByte(name, ':'); i > 0 {
		patterns = append(patterns, literalPattern.Replace(path.Clean(name[:i])))
	}
	return patterns
}

// literalPattern writes a name as a pattern of itself alone.
var literalPattern = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "!", `\!`)

// isPattern reports whether the source of a file is a pattern of package path, unless there is a file of that very name. Brackets alone
// make none: names like [id].js are common.
func isPattern(src string) bool { return strings.ContainsAny(src, "*?") }

// action is what a template fills in.
var action = regexp.MustCompile(`\{\{.*?\}\}`)

// escapeNot finds the beginning of a pattern that an [IgnoreFile] would take for an exception.
var escapeNot = regexp.MustCompile(`^!`)

// placer collects what Config.Files puts into the image.
type placer struct {
	resolver
	ignore *ignore
	names  map[string]any // for templates
	files  []File
	placed map[string]bool
	copies []Copy
}

// sourceFiles lists what Config.Files puts into the image: directories file by file, and as copies.
func (r resolver) sourceFiles(ctx context.Context, ignore *ignore, names map[string]any) ([]File, []Copy, error) {
	p := &placer{resolver: r, ignore: ignore, names: names, placed: map[string]bool{}}
	for _, f := range r.settings.files {
		if err := p.place(ctx, f); err != nil {
			return nil, nil, err
		}
	}
	slices.SortFunc(p.files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return p.files, p.copies, nil
}

// place adds what f asks for.
func (p *placer) place(ctx context.Context, f file) error {
	if isURL(f.src) {
		return p.placeDownload(f)
	}
	if isTemplate(f.src) {
		return p.placeOfPlatforms(f)
	}
	if !p.exists(f.src) && isPattern(f.src) {
		return p.placeMatches(ctx, f)
	}
	if p.madeBefore(f.src) {
		p.add("file", f.text, f.src+" is made by prebuild, and files of the image are chosen before anything runs", "have a program embed it, or make it by yourself and leave out --prebuild")
		return nil
	}
	if !p.exists(f.src) {
		// Where the ignored files were not even brought here, they are reported as what they are.
		if ignored, err := p.ignore.matches(f.src); err != nil || ignored && !slices.Contains(strings.Split(f.src, "/"), gitDir) {
			p.isIgnored(f)
			return err
		}
		p.add("file", f.text, f.src+" is not in the source", "name a file or directory that is")
		return nil
	}
	if slices.Contains(strings.Split(f.src, "/"), gitDir) {
		p.add("file", f.text, f.src+" is git's", "name a file or directory of the source")
		return nil
	}
	before, dir := len(p.files), false
	var links []link
	without := below(f.src, p.config.Outputs)
	err := fs.WalkDir(p, f.src, func(name string, e fs.DirEntry, err error) error {
		if err != nil && e != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		inner := relative(f.src, name)
		if name != f.src && p.leftOut(name, inner, without, e) {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		ignored, err := p.ignore.matches(name)
		if err != nil {
			return err
		}
		at := path.Join(f.dst, inner)
		info, err := fs.Stat(p, name) // follows links: an image has no use for one to somewhere else
		if err != nil && !ignored {
			p.badLink(f, name, err)
			return nil
		}
		switch {
		case e.IsDir() && name == f.src:
			dir = true
			if !ignored && at == f.dst {
				p.put(f.text, File{Path: at, Mode: 0o755, Dir: true})
			}
		case ignored && e.IsDir() && p.ignore.whole():
			return fs.SkipDir
		case ignored:
		case name != f.src && e.Type() == fs.ModeSymlink:
			target, err := fs.ReadLink(p.FS, name)
			if err != nil {
				return err
			}
			p.parents(f, inner)
			links = append(links, link{name, at, target, info})
		case info.Mode().IsRegular():
			p.parents(f, inner)
			p.put(f.text, File{Path: at, Mode: f.fileMode(info.Mode()), Source: name})
		case !e.IsDir():
			p.add("file", f.text, name+" is "+source.ErrIrregular.Error(), "leave it out")
		default:
			p.parents(f, inner)
			p.put(f.text, File{Path: at, Mode: 0o755, Dir: true})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if ignored, err := p.ignore.matches(f.src); err != nil || ignored && len(p.files) == before {
		p.isIgnored(f)
		return err
	}
	kept := p.putLinks(f, links)
	if dir {
		p.copies = append(p.copies, Copy{Source: f.src, Path: f.dst, Links: kept > 0 && kept == len(links), Mode: f.mode, Without: without})
	}
	return nil
}

// placeMatches adds what the pattern f asks for: each match, as if it were named alone.
func (p *placer) placeMatches(ctx context.Context, f file) error {
	matches, err := fs.Glob(p, f.src)
	if err != nil {
		p.add("file", f.text, f.src+" is no pattern", `write it with *, ? and [a-z], and \ before such a character that is part of a name`)
		return nil
	}
	left := matches[:0]
	for _, name := range matches {
		info, err := fs.Stat(p, name)
		if err == nil && p.leftOut(name, name, p.config.Outputs, fs.FileInfoToDirEntry(info)) {
			continue
		}
		if ignored, err := p.ignore.matches(name); err != nil {
			return err
		} else if !ignored {
			left = append(left, name)
		}
	}
	switch {
	case len(left) == 0:
		p.add("file", f.text, "nothing in the source matches "+f.src, "correct the pattern, or leave --file out")
	case f.into == "":
		p.add("file", f.text, f.dst+" would be several files", "name the directory for them, with a slash at its end: "+f.dst+"/")
		left = nil
	}
	for _, name := range left {
		if err := p.place(ctx, file{f.text, name, path.Join(f.into, path.Base(name)), "", f.mode}); err != nil {
			return err
		}
	}
	return nil
}

// placeOfPlatforms adds a file whose source is a template, which names another file for each platform.
func (p *placer) placeOfPlatforms(f file) error {
	placed := File{Path: f.dst, Source: f.src, Sources: map[string]string{}}
	return p.onPlatforms(f, func(platform Platform, name string) error {
		info, err := fs.Stat(p, path.Clean(name))
		switch {
		case err == nil && !info.Mode().IsRegular():
			p.add("file", f.text, name+" is no regular file", "name files: directories are the same on all platforms")
			return nil
		case err == nil && slices.Contains(strings.Split(name, "/"), gitDir):
			p.add("file", f.text, name+" is git's", "name a file of the source")
			return nil
		case errors.Is(err, fs.ErrInvalid), errors.Is(err, fs.ErrNotExist):
			p.add("file", f.text, name+" is not in the source", "name a file that is, for "+platform.String())
			return nil
		case err != nil:
			p.badLink(f, name, err)
			return nil
		}
		if ignored, err := p.ignore.matches(path.Clean(name)); err != nil {
			return err
		} else if ignored {
			p.isIgnored(file{text: f.text, src: name})
		}
		placed.Sources[platform.String()] = path.Clean(name)
		placed.Mode = max(placed.Mode, f.fileMode(info.Mode()))
		return nil
	}, func() { p.put(f.text, placed) })
}

// onPlatforms calls each for every platform with what the template of f's source is there, and then put, unless there were faults.
func (p *placer) onPlatforms(f file, each func(platform Platform, name string) error, put func()) error {
	if f.into != "" {
		p.add("file", f.text, "its name would be another on each platform", "name the file in the image: "+f.into+"/tool")
		return nil
	}
	before := len(*p.faults)
	for _, platform := range p.settings.platforms {
		names := platform.names()
		maps.Copy(names, p.names)
		for _, name := range p.expandAll("file", []string{f.src}, names) {
			if err := each(platform, name); err != nil {
				return err
			}
		}
	}
	if len(*p.faults) == before {
		put()
	}
	return nil
}

// isIgnored adds the fault of a file that the [IgnoreFile] leaves out.
func (p *placer) isIgnored(f file) {
	p.add("file", f.text, f.src+" is left out by "+IgnoreFile, "take it out of that file, which means here what it means to docker build, or leave --file out")
}

// put places a file or directory.
func (p *placer) put(text string, f File) {
	if err := imagePath(f.Path); err != nil {
		p.add("file", text, err.Error(), "")
	}
	if p.placed[f.Path] {
		p.add("file", text, f.Path+" is placed twice", "leave one out")
	}
	p.placed[f.Path] = true
	p.files = append(p.files, f)
}

// parents places the ignored directories of f's that are there after all, since one below is not.
func (p *placer) parents(f file, inner string) {
	for dir := path.Dir(inner); dir != "."; dir = path.Dir(dir) {
		at := path.Join(f.dst, dir)
		if p.placed[at] {
			return
		}
		p.put(f.text, File{Path: at, Mode: 0o755, Dir: true})
	}
}

// badLink adds the fault of a link that leads nowhere, or out of the source.
func (p *placer) badLink(f file, name string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		p.add("file", f.text, name+" is a link to nothing", "correct it, or leave it out by "+IgnoreFile)
		return
	}
	problem, hint := source.Describe(err)
	p.add("file", f.text, name+" is "+problem, hint)
}

// leftOut reports whether an entry of a directory is git's own, or one of Slipway's outputs, or holds nothing but those.
func (p *placer) leftOut(name, inner string, outputs []string, e fs.DirEntry) bool {
	if e.Name() == gitDir {
		return true
	}
	above := false
	for _, pattern := range outputs {
		if matches, _ := path.Match(pattern, inner); matches {
			return true
		}
		above = above || path.Dir(pattern) != "." && within(inner, path.Dir(pattern))
	}
	if !above || !e.IsDir() {
		return false
	}
	entries, err := fs.ReadDir(p, name)
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !p.leftOut(path.Join(name, e.Name()), path.Join(inner, e.Name()), outputs, e)
	})
}

// below are the patterns of what is in dir, relative to it.
func below(dir string, patterns []string) []string {
	var inner []string
	for _, pattern := range patterns {
		if within(dir, pattern) && pattern != dir {
			inner = append(inner, relative(dir, pattern))
		}
	}
	return inner
}
