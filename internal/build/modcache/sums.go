package modcache

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
)

// Sums are the hashes that go.sum files pin, by the versions that stand there: those of go.mod files end in "/go.mod".
type Sums map[module.Version]string

// goModSuffix is what the version of a go.mod file ends with.
const goModSuffix = "/go.mod"

// ParseSums reads go.sum files by their names; other files are left out. Source: https://go.dev/ref/mod#go-sum-files
func ParseSums(files map[string]string) Sums {
	all := Sums{}
	for name, text := range files {
		if path.Ext(name) != ".sum" {
			continue
		}
		for line := range strings.Lines(text) {
			if f := strings.Fields(line); len(f) == 3 && strings.HasPrefix(f[2], "h1:") {
				all[module.Version{Path: f[0], Version: f[1]}] = f[2]
			}
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

// download is the beginning of the names of a module's files below cache/download, and dir its directory, in a module cache. Source:
// https://go.dev/ref/mod#module-cache
func names(v module.Version) (download, dir string, err error) {
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
