package plan

import (
	"io/fs"
	"path"
	"strings"

	"github.com/slipway-ci/slipway/internal/source"
)

// link is a symbolic link in a directory of the source, by its name there, its path in the image and its target, and what it leads to.
type link struct {
	name, at, target string
	leads            fs.FileInfo
}

// putLinks places the links of a directory. Those that lead to what is placed with them are links in the image. The others are the files
// that they lead to, which links would not reach there. It returns how many are kept.
func (p *placer) putLinks(f file, links []link) (kept int) {
	targets := map[string]string{}
	for _, l := range links {
		targets[l.at] = l.target
	}
	files := make([]File, len(links))
	for i, l := range links {
		switch {
		case p.leads(f.dst, l.at, targets):
			kept++
			files[i] = File{Path: l.at, Mode: linkMode, Source: l.name, Link: l.target}
		case l.leads.Mode().IsRegular():
			files[i] = File{Path: l.at, Mode: f.fileMode(l.leads.Mode()), Source: l.name}
		case l.leads.IsDir():
			p.add("file", f.text, l.name+" is a link to a directory that "+f.src+" has not", "name the directory by another --file, or leave the link out by "+IgnoreFile)
		default:
			p.add("file", f.text, l.name+" is "+source.ErrIrregular.Error(), "leave it out")
		}
	}
	for _, file := range files {
		if file.Path != "" {
			p.put(f.text, file)
		}
	}
	return kept
}

// leads reports whether a link leads to something that is placed in dir, by way of links whose targets are given, as in the image.
func (p *placer) leads(dir, link string, targets map[string]string) bool {
	at, rest := path.Dir(link), []string{path.Base(link)}
	for hops := 0; len(rest) > 0; {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		target, isLink := targets[next]
		switch {
		case !within(dir, next) || path.IsAbs(target):
			return false
		case isLink:
			if hops++; hops > mostLinks {
				return false
			}
			rest = append(strings.Split(target, "/"), rest...)
		case next != dir && !p.placed[next]:
			return false
		default:
			at = next
		}
	}
	return true
}

// mostLinks is how many links Linux follows.
const mostLinks = 40
