package plan

import (
	"cmp"
	"errors"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Download is a file of the network.
type Download struct {
	URL string `json:"url"`
	// Size in bytes and Digest, like "sha256:…", are those that [LockFile] has. A plan without a lock has neither.
	Size   int64  `json:"size,omitempty"`
	Digest string `json:"digest,omitempty"`
}

// Name is the last element of the URL's path.
func (d Download) Name() string {
	parsed, err := url.Parse(d.URL)
	if err != nil {
		return path.Base(d.URL)
	}
	return path.Base(parsed.Path)
}

// Downloads are those of all platforms, by their URLs, in order.
func (p *Plan) Downloads() []Download {
	var all []Download
	for _, layer := range p.Image.Layers {
		for _, f := range layer.Files {
			switch {
			case f.Downloads != nil:
				all = slices.AppendSeq(all, maps.Values(f.Downloads))
			case f.Download != nil:
				all = append(all, *f.Download)
			}
		}
	}
	slices.SortFunc(all, func(a, b Download) int { return cmp.Compare(a.URL, b.URL) })
	return slices.Compact(all)
}

// urlForm is how the source of a file begins that is a URL.
var urlForm = regexp.MustCompile(`^(?i:[a-z][a-z0-9+.-]*)://`)

// isURL reports whether the source of a file is a URL, or a template of one.
func isURL(src string) bool { return urlForm.MatchString(src) }

// splitURL splits "URL:DESTINATION[:MODE]" at its colons, of which a URL has some itself.
func splitURL(s string) []string {
	i := strings.LastIndex(s, ":/")
	if strings.HasPrefix(s[i:], "://") {
		return []string{s}
	}
	return append([]string{s[:i]}, strings.Split(s[i+1:], ":")...)
}

// checkURL says what keeps a URL from being downloaded.
func checkURL(text string) error {
	parsed, err := url.Parse(text)
	switch {
	case err != nil || parsed.Opaque != "" || parsed.Hostname() == "" || strings.ContainsFunc(text, func(c rune) bool { return c > unicode.MaxASCII || !unicode.IsGraphic(c) || c == ' ' }):
		return errors.New("it is no URL: write it like https://example.com/tool, with % and two digits for special characters")
	case parsed.Scheme != "https" || !strings.HasPrefix(text, "https://"):
		return errors.New("files are downloaded by https alone: write a URL like https://example.com/tool")
	case parsed.User != nil:
		return errors.New("a login in a URL would be in the plan: leave it out, or bring the file with the source")
	case strings.Contains(text, "#"):
		return errors.New("what follows # is no part of what a server is asked for: leave it out")
	case parsed.Path == "" || strings.HasSuffix(parsed.Path, "/"):
		return errors.New("the URL names no file: write it like https://example.com/tool")
	}
	return nil
}

// placeDownload adds a file whose source is a URL.
func (p *placer) placeDownload(f file) error {
	placed := File{Path: f.dst, Mode: cmp.Or(f.mode, 0o755), Download: &Download{URL: f.src}}
	if !isTemplate(f.src) {
		p.put(f.text, placed)
		return nil
	}
	placed.Downloads = map[string]Download{}
	return p.onPlatforms(f, func(platform Platform, address string) error {
		if err := checkURL(address); err != nil {
			p.add("file", f.text, address+": "+err.Error(), "")
		}
		placed.Downloads[platform.String()] = Download{URL: address}
		return nil
	}, func() { p.put(f.text, placed) })
}

// pinDownloads gives the plan's downloads the digests of the lock in file, and faults those that it lacks.
func (r resolver) pinDownloads(p *Plan, lock Lock, file string) {
	for _, d := range p.Downloads() {
		if _, ok := lock.Files[d.URL]; !ok {
			r.add(file, d.URL, "the build downloads this file, and nothing says what its digest is", "run slipway pin with the same settings")
		}
	}
	for _, layer := range p.Image.Layers {
		for _, f := range layer.Files {
			for platform, d := range f.Downloads {
				f.Downloads[platform] = lock.Files[d.URL]
			}
			if f.Download != nil && f.Downloads == nil {
				*f.Download = lock.Files[f.Download.URL]
			}
		}
	}
}
