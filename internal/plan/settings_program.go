package plan

import (
	"fmt"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

var nameSetting = Setting{
	Flag: "name", NotInModule: true, Value: "NAME", Help: "name of the image", Default: "that of its first program",
	Field: "Name",
	read: func(c Config, _ *settings, f *fault.Faults) {
		if c.Name != "" && !imageName.MatchString(c.Name) {
			f.Add("name", c.Name, "not a name of an image", "write lower-case letters and digits, with . _ __ or any number of - between them")
		}
	},
}

// imageName can be part of a file's name, and of a repository's. Source: OCI distribution specification, "Pulling manifests"
var imageName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$`)

// separators are what stands between the letters and digits of a program's name, of which an image's may have some.
var (
	separators = regexp.MustCompile(`[^a-z0-9]+`)
	separator  = regexp.MustCompile(`^(\.|_|__|-+)$`)
)

// nameOf is the name of the image of a program: the program's own in lower case, with a - for what cannot be in it; empty if nothing can.
func nameOf(program string) string {
	name := separators.ReplaceAllStringFunc(strings.ToLower(program), func(between string) string {
		if separator.MatchString(between) {
			return between
		}
		return "-"
	})
	return strings.Trim(name, "._-")
}

var packagesSetting = Setting{
	Flag: "package", Value: "DIR[=DESTINATION]",
	Help:    "main package to build, as a directory of the source like ./cmd/server, or with the path of its program in the image like ./cmd/server=/usr/bin/server; of several programs in one image the first is the entrypoint",
	Default: "the only one there is, in " + appDir,
	Field:   "Packages",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.destinations = map[string]string{}
		s.packages = each(f, "package", c.Packages, func(text string) (string, error) {
			text, destination, given := strings.Cut(text, "=")
			dir, err := parsePackage(text)
			if err != nil || !given {
				return dir, err
			}
			at := path.Clean(destination)
			if !path.IsAbs(at) || at == "/" || strings.ContainsRune(at, 0) || strings.HasSuffix(destination, "/") {
				return "", fmt.Errorf("%s is not the absolute path of a file in the image: write it like %s=/usr/bin/server", destination, text)
			}
			s.destinations[dir] = at
			return dir, imagePath(at)
		})
	},
}

func parsePackage(s string) (string, error) {
	switch {
	case s == "":
		return "", fmt.Errorf("names nothing: write the directory, like ./cmd/server")
	case strings.Contains(s, "..."):
		return "", fmt.Errorf("a pattern: name each main package by its directory, like ./cmd/server")
	case strings.HasSuffix(s, ".go"):
		return "", fmt.Errorf("a file: name the directory that it is in, like ./cmd/server")
	case path.IsAbs(s) || strings.Contains(s, `\`):
		return "", fmt.Errorf("not a directory relative to the source: write it like ./cmd/server")
	}
	clean := path.Clean(s)
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("outside the source: make a directory above both the source")
	}
	return clean, nil
}

var platformsSetting = Setting{
	Flag: "platform", Value: "PLATFORM", Help: "platform to build for, like linux/arm/v7", Default: "linux/amd64,linux/arm64",
	Examples: []string{"linux/amd64", "linux/arm64", "linux/arm/v7"},
	Field:    "Platforms",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.platforms = each(f, "platform", c.Platforms, ParsePlatform)
		if len(c.Platforms) == 0 {
			s.platforms = []Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
		}
		// The order has no meaning, so that two users who list the same platforms get the same image.
		slices.SortFunc(s.platforms, func(a, b Platform) int { return strings.Compare(a.String(), b.String()) })
		s.platforms = slices.Compact(s.platforms)
	},
}

var builderPackagesSetting = Setting{
	Flag: "builder-package", Value: "PACKAGE", Help: "package to install in the builder container, like protobuf-dev: Alpine's, or Debian's with --cgo dynamic",
	More:  "nothing is installed on this machine",
	Field: "BuilderPackages",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.builderPackages = sorted(each(f, "builder-package", c.BuilderPackages, parseSystemPackage))
	},
}

// systemPackage is the name of a package, with a version where the package managers of Alpine and Debian take one.
var systemPackage = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._:=~@-]*$`)

func parseSystemPackage(s string) (string, error) {
	if !systemPackage.MatchString(s) {
		return "", fmt.Errorf("not the name of a package: write it like protobuf-dev or curl=8.17.0-r1")
	}
	return s, nil
}

var buildTagsSetting = Setting{
	Flag: "build-tags", Value: "TAG", Help: "build constraint to satisfy, as go build -tags takes it",
	Field: "BuildTags",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.tags = append(s.tags, each(f, "build-tags", c.BuildTags, parseBuildTag)...)
	},
}

var buildTag = regexp.MustCompile(`^[\p{L}\p{N}_.]+$`)

func parseBuildTag(s string) (string, error) {
	if !buildTag.MatchString(s) {
		return "", fmt.Errorf("not a build tag: letters, digits, underscores and dots make one")
	}
	return s, nil
}

var tzdataSetting = Setting{
	Flag: "tzdata", Help: "compile the time zones into the program, which takes about 0.5 MB: scratch and alpine have none",
	Field: "TZData",
	read: func(c Config, s *settings, _ *fault.Faults) {
		if c.TZData {
			s.tags = append(s.tags, "timetzdata") // Source: https://pkg.go.dev/time/tzdata
		}
	},
}

var ldflagsSetting = Setting{
	Flag: "ldflags", Value: "FLAGS", Help: "more flags for the linker, after -s -w", Template: true,
	Field: "LDFlags",
}

var stampsSetting = Setting{
	Flag: "stamp", Value: "IMPORTPATH.NAME=VALUE", Help: "string variable to set at link time, like main.version=v1.2.3", Template: true,
	Field: "Stamps",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.stamps = each(f, "stamp", c.Stamps, func(text string) (stamp, error) {
			if isTemplate(text) {
				return stamp{template: text}, nil // it is parsed when what it names is known
			}
			flag, err := parseStamp(text)
			return stamp{flag: flag}, err
		})
	},
}

// stamp sets a variable: by the linker's flag, or by a template of that.
type stamp struct{ flag, template string }

// linkerFlags joins the linker's flags: without symbol table and debug data, then the stamps, then the user's own, which
// the linker reads last.
func (r resolver) linkerFlags(p Platform, names map[string]any) string {
	names = maps.Clone(names)
	maps.Copy(names, p.names())
	var flags []string
	if !r.config.Debug {
		flags = append(flags, "-s", "-w")
	}
	if r.cgo == cgoStatic {
		flags = append(flags, "-linkmode", "external", "-extldflags", "-static")
	}
	for _, stamp := range r.stamps {
		if stamp.template == "" {
			flags = append(flags, "-X", stamp.flag)
			continue
		}
		for _, flag := range each(r.faults, "stamp", r.expandAll("stamp", []string{stamp.template}, names), parseStamp) {
			flags = append(flags, "-X", flag)
		}
	}
	for _, own := range r.expandAll("ldflags", []string{r.config.LDFlags}, names) {
		flags = append(flags, strings.TrimSpace(own))
	}
	return strings.TrimSpace(strings.Join(flags, " "))
}

// parseStamp reads "importpath.name=value" and quotes it for go build's -ldflags, which knows quotes but no escapes.
func parseStamp(s string) (string, error) {
	variable, value, ok := strings.Cut(s, "=")
	dot := strings.LastIndex(variable, ".")
	if !ok || dot < 1 || !token.IsIdentifier(variable[dot+1:]) || strings.ContainsAny(variable, " \t\n'\"") {
		return "", fmt.Errorf("not of the form IMPORTPATH.NAME=VALUE: write it like main.version=v1.2.3")
	}
	switch {
	case strings.ContainsRune(value, 0):
		return "", fmt.Errorf("holds a zero byte: leave it out")
	case !strings.ContainsAny(s, " \t\r\n'\""):
		return s, nil
	case !strings.Contains(s, "'"):
		return "'" + s + "'", nil
	case !strings.Contains(s, `"`):
		return `"` + s + `"`, nil
	default:
		return "", fmt.Errorf("has both kinds of quotes, which go build cannot take: use one kind")
	}
}
