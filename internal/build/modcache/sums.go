package modcache

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
)

// Sums are the hashes that go.sum files pin, by the versions that stand there: those of go.mod files end in "/go.mod".
type Sums map[module.Version]string

// goModSuffix is what the version of a go.mod file ends with.
const goModSuffix = "/go.mod"

// Lines are the versions and hashes of a go.sum. Source: https://go.dev/ref/mod#go-sum-files
func Lines(text string) iter.Seq2[module.Version, string] {
	return func(yield func(module.Version, string) bool) {
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			if len(f) == 3 && strings.HasPrefix(f[2], "h1:") && !yield(module.Version{Path: f[0], Version: f[1]}, f[2]) {
				return
			}
		}
	}
}

// ParseSums reads go.sum files by their names; other files are left out.
func ParseSums(files map[string]string) Sums {
	all := Sums{}
	for name, text := range files {
		if path.Ext(name) != ".sum" {
			continue
		}
		for v, hash := range Lines(text) {
			all[v] = hash
		}
	}
	return all
}

// hash is what go.sum has for a module with these files. Source: https://pkg.go.dev/golang.org/x/mod/sumdb/dirhash#Hash1
func (p *part) hash() string {
	all := sha256.New()
	for _, f := range p.Files {
		fmt.Fprintf(all, "%x  %s@%s/%s\n", f.Sum, p.Path, p.Version, f.Name)
	}
	return "h1:" + base64.StdEncoding.EncodeToString(all.Sum(nil))
}

// hashGoMod is what go.sum has for a go.mod file.
func hashGoMod(text []byte) (string, error) {
	return dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil })
}

// Names returns, of a module in a module cache, what the names of its files below cache/download begin with, and its directory. Source:
// https://go.dev/ref/mod#module-cache
func Names(v module.Version) (download, dir string, err error) {
	escaped, err := module.EscapePath(v.Path)
	if err != nil {
		return "", "", err
	}
	version, err := module.EscapeVersion(v.Version)
	if err != nil {
		return "", "", err
	}
	return path.Join("cache/download", escaped, "@v", version), escaped + "@" + version, nil
}
