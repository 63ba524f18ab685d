package modcache

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"go/build"
	"hash"
	"io"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/slipway-ci/slipway/internal/attest/sbom"
)

// part is what a set has of a module.
type part struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	// Packages are the directories of packages, "." for the module's own.
	Packages []string `json:"packages,omitempty"`
	// Files are all files of the module, by their names.
	Files []file `json:"files"`
}

// file is a file of a module. Only those with a size are in the set.
type file struct {
	Name string `json:"name"`
	Sum  []byte `json:"sum"`
	Size *int64 `json:"size,omitempty"`
}

func (p *part) version() module.Version { return module.Version{Path: p.Path, Version: p.Version} }

// needs reports whether a file is in the set by the rule. embedding are the packages that embed files.
func (p *part) needs(name string, on *platforms, embedding map[string]bool) bool {
	dir := path.Dir(name)
	if dir == "." && sbom.IsLicence(name) {
		return true
	}
	if slices.Contains(p.Packages, dir) && on.reads(path.Base(name)) {
		return true
	}
	for ; ; dir = path.Dir(dir) {
		if embedding[dir] {
			return true
		}
		if dir == "." {
			return false
		}
	}
}

// reading takes the content of a file.
type reading struct {
	sum hash.Hash
	// embeds says that it may be a Go file that embeds others.
	embeds bool
	tail   []byte
}

// embedLine is what such a file has in it.
const embedLine = "//go:embed"

func newReading() *reading { return &reading{sum: sha256.New()} }

func (r *reading) Write(p []byte) (int, error) {
	r.tail = append(r.tail, p...)
	r.embeds = r.embeds || bytes.Contains(r.tail, []byte(embedLine))
	r.tail = append(r.tail[:0], r.tail[max(0, len(r.tail)-len(embedLine)+1):]...)
	return r.sum.Write(p)
}

// noteEmbedding notes the package of a file that was read, if it embeds files.
func (p *part) noteEmbedding(name string, r *reading, on *platforms, embedding map[string]bool) {
	dir := path.Dir(name)
	if r.embeds && path.Ext(name) == ".go" && slices.Contains(p.Packages, dir) && on.reads(path.Base(name)) {
		embedding[dir] = true
	}
}

// platforms are those that a set is for.
type platforms struct {
	contexts []build.Context
	known    map[string]bool
}

// newPlatforms takes platforms such as "linux/arm/v7".
func newPlatforms(names []string) *platforms {
	p := &platforms{known: map[string]bool{}}
	for _, name := range names {
		goos, rest, _ := strings.Cut(name, "/")
		arch, _, _ := strings.Cut(rest, "/")
		p.contexts = append(p.contexts, build.Context{GOOS: goos, GOARCH: arch, Compiler: "gc", OpenFile: func(string) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("package p\n")), nil // which is for all platforms
		}})
	}
	return p
}

// reads reports whether the Go command reads a file of a package on one of the platforms, as far as the file's name says.
func (p *platforms) reads(name string) bool {
	is, known := p.known[name]
	if !known {
		is = !strings.HasSuffix(name, "_test.go") && slices.ContainsFunc(p.contexts, func(c build.Context) bool {
			matches, err := c.MatchFile("", name)
			return matches || err != nil
		})
		p.known[name] = is
	}
	return is
}

// directory is that of a package in a module, by its import path.
func directory(importPath, modulePath string) string {
	return cmp.Or(strings.TrimPrefix(strings.TrimPrefix(importPath, modulePath), "/"), ".")
}
