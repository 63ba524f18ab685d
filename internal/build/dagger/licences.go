package dagger

import (
	"context"
	"fmt"
	"path"
	"strings"

	"golang.org/x/mod/module"
)

// copyLicences copies what bills of materials say of modules out of the module cache: the go.mod and the licences of each module
// whose directory below the cache is a line of /modules, followed by the file of its go.mod.
const copyLicences = `set -e
mkdir ` + outDir + `
cd "$GOMODCACHE"
while read -r dir mod; do
  if [ -f "$mod" ]; then mkdir -p "` + outDir + `/${mod%/*}"; cp "$mod" "` + outDir + `/$mod"; fi
  if [ -d "$dir" ]; then
    mkdir -p "` + outDir + `/$dir"
    find "$dir" -maxdepth 1 -type f -size -1025k '(' -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'unlicense*' ')' -exec cp {} "` + outDir + `/$dir" ';'
  fi
done < /modules
`

// Licences brings what the engine's module cache has of the licences and requirements of the modules that goSums name into the
// directory out, on this side of the session, which then is a module cache with nothing else in it.
func (b *Build) Licences(ctx context.Context, out string, goSums ...string) error {
	var list strings.Builder
	seen := map[module.Version]bool{}
	for _, goSum := range goSums {
		for line := range strings.Lines(goSum) {
			fields := strings.Fields(line)
			if len(fields) != 3 {
				continue
			}
			v := module.Version{Path: fields[0], Version: strings.TrimSuffix(fields[1], "/go.mod")}
			escapedPath, err1 := module.EscapePath(v.Path)
			escapedVersion, err2 := module.EscapeVersion(v.Version)
			if err1 != nil || err2 != nil || seen[v] {
				continue
			}
			seen[v] = true
			fmt.Fprintf(&list, "%s@%s %s.mod\n", escapedPath, escapedVersion, path.Join("cache/download", escapedPath, "@v", escapedVersion))
		}
	}
	if len(seen) == 0 {
		return nil
	}
	_, err := b.builder(nil).WithNewFile("/modules", list.String()).
		WithExec(inShell(copyLicences)).Directory(outDir).Export(ctx, out)
	return b.explain("reading the licences of modules", err)
}
