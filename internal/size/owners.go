package size

import (
	"path"
	"strings"
)

// owners are the packages of a distribution that files are from, by the files' paths.
type owners map[string]string

// textLimit is the size in bytes of the biggest list of files that is read.
const textLimit = 64 << 20

// Where lists of files are. Distroless has one with digests beside each package's status, Debian one in a directory of them, and Alpine
// names files in its database. Sources: https://github.com/GoogleContainerTools/distroless and https://wiki.alpinelinux.org/wiki/Apk_spec
const (
	distrolessLists = "/var/lib/dpkg/status.d"
	debianLists     = "/var/lib/dpkg/info"
)

func isOwnership(name string) bool {
	switch path.Dir(name) {
	case distrolessLists:
		return strings.HasSuffix(name, ".md5sums")
	case debianLists:
		return strings.HasSuffix(name, ".list")
	}
	return name == "/lib/apk/db/installed" || name == "/usr/lib/apk/db/installed"
}

// read reads a list of files.
func (o owners) read(name, text string) {
	switch file := path.Base(name); {
	case strings.HasSuffix(file, ".md5sums"):
		for line := range strings.Lines(text) {
			if _, at, found := strings.Cut(strings.TrimRight(line, "\n"), "  "); found {
				o[path.Clean("/"+at)] = strings.TrimSuffix(file, ".md5sums")
			}
		}
	case strings.HasSuffix(file, ".list"):
		owner, _, _ := strings.Cut(strings.TrimSuffix(file, ".list"), ":")
		for line := range strings.Lines(text) {
			o[path.Clean("/"+strings.TrimRight(line, "\n"))] = owner
		}
	default:
		o.readAlpine(text)
	}
}

// readAlpine reads a database of apk: paragraphs, with P for the package, F for a directory and R for a file in it.
func (o owners) readAlpine(text string) {
	owner, dir := "", ""
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), ":")
		switch key {
		case "":
			owner, dir = "", ""
		case "P":
			owner = value
		case "F":
			dir = value
		case "R":
			o[path.Join("/", dir, value)] = owner
		}
	}
}
