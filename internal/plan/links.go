package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

var linksSetting = Setting{
	Flag: "link", Value: "PATH=TARGET", Help: "symbolic link of the image, as PATH=TARGET, like /usr/bin/tool=/app/tool",
	Field: "Links",
	read:  func(c Config, s *settings, f *fault.Faults) { s.links = each(f, "link", c.Links, parseLink) },
}

// parseLink reads "PATH=TARGET". With a slash at its end, a path is the directory of the link, as for ln.
func parseLink(s string) (File, error) {
	at, target, ok := strings.Cut(s, "=")
	if !ok || at == "" || target == "" || strings.ContainsRune(target, 0) {
		return File{}, fmt.Errorf("not of the form PATH=TARGET: write it like /usr/bin/tool=/app/tool")
	}
	if strings.HasSuffix(at, "/") {
		at += path.Base(target)
	}
	if at = path.Clean(at); !path.IsAbs(at) || at == "/" {
		return File{}, fmt.Errorf("%s is not the absolute path of a link in the image: write it like /usr/bin/tool", at)
	}
	return File{Path: at, Mode: linkMode, Link: target}, imagePath(at)
}

// linkMode is the mode of every symbolic link.
const linkMode Mode = 0o777

// checkLinks faults links in whose place something else of the image would be.
func (r resolver) checkLinks(others []File) {
	for i, link := range r.links {
		text := link.Path + "=" + link.Link
		if slices.ContainsFunc(r.links[:i], func(f File) bool { return f.Path == link.Path }) {
			r.add("link", text, "another link has the same path", "leave one out")
		}
		if j := slices.IndexFunc(others, func(f File) bool { return f.Path == link.Path }); j >= 0 {
			r.add("link", text, link.Path+" of the image is there: "+others[j].origin(), "choose another path")
		}
	}
}
