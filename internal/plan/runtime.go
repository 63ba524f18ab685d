package plan

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/slipway-ci/slipway/internal/fault"
)

// Runtime is a kind of image that programs run in.
type Runtime string

// The runtimes.
const (
	// Distroless has root certificates, time zones and a non-root user, and no shell or libc.
	Distroless Runtime = "distroless"
	// DistrolessBase adds glibc, for cgo.
	DistrolessBase Runtime = "distroless-base"
	// Debian is what distroless is, made of Debian's packages by Slipway itself.
	Debian Runtime = "debian"
	// Alpine has a shell and a package manager.
	Alpine Runtime = "alpine"
	// Scratch has what Slipway puts there: root certificates, /tmp, a user.
	Scratch Runtime = "scratch"
	// Custom is any other base; nothing but the programs is added to it.
	Custom Runtime = "custom"
)

// runtimes are the bases and users of the runtimes, and what they are for.
var runtimes = map[Runtime]struct {
	base string
	user string
	libc bool
	help string
}{
	Distroless:     {base: "gcr.io/distroless/static-debian13:nonroot", user: "65532:65532", help: "Root certificates, time zones and a non-root user; no shell, no libc. The production default."},
	DistrolessBase: {base: "gcr.io/distroless/base-debian13:nonroot", user: "65532:65532", libc: true, help: "Distroless with glibc, for cgo."},
	Debian:         {user: "65532:65532", help: "What distroless has, put together from the packages of Debian " + debianRelease + ", with others if you like; no registry."},
	Alpine:         {base: "docker.io/library/alpine:3.24.2", user: "1000:1000", help: "A shell and a package manager, for debugging."},
	Scratch:        {user: "1000:1000", help: "Nothing but root certificates, /tmp and a user."},
	Custom:         {user: "65532:65532", libc: true},
}

var baseSetting = Setting{
	Flag: "base", Value: "IMAGE", Help: "image to build on instead of the runtime's own, with a tag or digest; or oci-archive:FILE, an OCI archive",
	More:  "or oci:DIR, an OCI layout",
	Field: "Base",
}

var runtimeSetting = Setting{
	Flag: "runtime", Value: "RUNTIME", Help: "what the program runs in", Default: string(Distroless),
	Choices: runtimeChoices(), Enum: true,
	Field: "Runtime",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.runtime, s.base = c.readRuntime(f)
		if s.ownDebian() && c.Engine.NoDebian {
			f.Add("runtime", c.Runtime, noDebian, noDebianHint)
		}
	},
}

// The fault of a plan with packages of Debian for an engine that cannot place them.
const (
	noDebian     = "the engine alone puts no packages of Debian into a container"
	noDebianHint = "make an image or an archive instead, or choose --runtime distroless"
)

func runtimeChoices() []Choice {
	var choices []Choice
	for _, name := range Runtimes() {
		choices = append(choices, Choice{name, runtimes[Runtime(name)].help})
	}
	return choices
}

func (c Config) readRuntime(f *fault.Faults) (Runtime, string) {
	var base string
	if c.Base != "" {
		var err error
		if base, err = parseBase(c.Base); err != nil {
			f.Add("base", c.Base, err.Error(), "")
		}
		if strings.HasPrefix(base, "oci:") && c.Engine.NoLayouts {
			f.Add("base", c.Base, "a Dagger engine reads no OCI layout directory", "put it into an archive with tar, and name that with oci-archive:FILE")
		}
	}
	switch {
	case c.Runtime == "" && c.Base != "":
		return Custom, base
	case c.Runtime == "":
		return Distroless, runtimes[Distroless].base
	case !slices.Contains(Runtimes(), c.Runtime):
		f.Add("runtime", c.Runtime, "no such runtime", "choose from "+strings.Join(Runtimes(), ", ")+", or name an image with --base")
		return Custom, base
	case c.Runtime == string(Scratch) && c.Base != "":
		f.Add("base", c.Base, "the runtime scratch has no base", "leave out one of the two")
		return Scratch, ""
	case c.Base != "":
		return Runtime(c.Runtime), base
	default:
		return Runtime(c.Runtime), runtimes[Runtime(c.Runtime)].base
	}
}

var runtimePackagesSetting = Setting{
	Flag: "runtime-package", Value: "PACKAGE", Help: "package of Debian or, on Alpine, of Alpine to install in the image",
	Field: "RuntimePackages",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.runtimePackages = sorted(each(f, "runtime-package", c.RuntimePackages, parseSystemPackage))
		given := strings.Join(c.RuntimePackages, ",")
		switch distribution := s.packagesOf(); {
		case len(c.RuntimePackages) == 0:
		case distribution == "":
			f.Add("runtime-package", given, "the runtime "+string(s.runtime)+" has no packages that Slipway knows",
				"add --runtime debian or --runtime alpine, also to your own image in --base")
		case distribution == debianName && c.Engine.NoDebian:
			f.Add("runtime-package", given, noDebian, noDebianHint)
		}
	},
}

// Runtimes are the names that [Config.Runtime] takes.
func Runtimes() []string {
	return []string{string(Distroless), string(DistrolessBase), string(Debian), string(Alpine), string(Scratch)}
}

// etc are the files that make a runtime complete, of the user with the numeric name "UID:GID" and, unless it is empty, the name that was
// asked for, and the certificates that it is to trust besides the public ones. Distroless brings its own of all others.
func (r Runtime) etc(user, asked, caCerts string) []File {
	certificates := File{Path: CABundle, Mode: 0o644, Certificates: true, CACerts: caCerts}
	uid, gid, _ := strings.Cut(user, ":")
	name := cmp.Or(asked, "app")
	if r == Debian {
		name = cmp.Or(asked, "nonroot")
	}
	// What runs containers finds HOME in passwd.
	home := File{Path: path.Join("/home", name), Mode: 0o700, Dir: true, Owner: user}
	passwd := fmt.Sprintf("%s:x:%s:%s:%s:%s:/sbin/nologin\n", name, uid, gid, name, home.Path)
	group := fmt.Sprintf("%s:x:%s:\n", name, gid)
	appended := func(files []File) []File {
		if uid == "0" {
			return files
		}
		return append(files,
			File{Path: "/etc/group", Mode: 0o644, Append: group},
			File{Path: "/etc/passwd", Mode: 0o644, Append: passwd, Required: asked != ""},
			home)
	}
	switch r {
	case Alpine:
		return appended([]File{certificates})
	case Scratch:
		root := [2]string{"root:x:0:0:root:/:/sbin/nologin\n", "root:x:0:\n"}
		if uid == "0" {
			passwd = ""
		}
		if gid == "0" {
			group = ""
		}
		files := []File{
			{Path: "/etc/group", Mode: 0o644, Text: root[1] + group},
			{Path: "/etc/passwd", Mode: 0o644, Text: root[0] + passwd},
			certificates,
			{Path: "/tmp", Mode: 0o1777, Dir: true},
		}
		if uid != "0" {
			files = append(files, home)
		}
		return files
	default:
		var files []File
		if caCerts != "" {
			files = []File{{Path: CABundle, Mode: 0o644, CACerts: caCerts}}
		}
		if r != Debian && asked == "" { // a base has its users
			return files
		}
		return appended(files)
	}
}

// etc are the files that make the image's runtime complete. A base has its own, whatever it is said to be. A link may take the place of
// the user's home.
func (s settings) etc() []File {
	runtime := s.runtime
	if runtime == Debian && !s.ownDebian() {
		runtime = Custom
	}
	return slices.DeleteFunc(runtime.etc(s.user, s.userName, s.caCerts), func(f File) bool {
		return f.Dir && f.Owner != "" && slices.ContainsFunc(s.links, func(link File) bool { return link.Path == f.Path })
	})
}

// RootLabel is the label of images whose program runs as root, for those who search for them. Its value is "allowed".
const RootLabel = "io.github.slipway-ci.root"

// parseBase checks a base and returns it in full: a registry reference with its registry and repository spelled out.
func parseBase(s string) (string, error) {
	for _, scheme := range []string{"oci:", "oci-archive:"} {
		if rest, ok := strings.CutPrefix(s, scheme); ok {
			if rest == "" {
				return "", fmt.Errorf("names no path: write it like %s./base", scheme)
			}
			return s, nil
		}
	}
	if slices.Contains(Runtimes(), s) {
		return "", fmt.Errorf("not an image in one version, but a runtime has this name: use --runtime %s", s)
	}
	ref, err := name.ParseReference(s, name.WithDefaultTag(""))
	if err != nil {
		return "", fmt.Errorf("not an image reference: write it like registry.example/repository:tag")
	}
	// Docker Hub's registry answers at index.docker.io, but everyone, Docker first, writes docker.io.
	full := strings.Replace(ref.Name(), "index.docker.io/", "docker.io/", 1)
	tag, ok := ref.(name.Tag)
	if !ok {
		// A tag before the digest means nothing to registries, but says to people what the digest is of.
		before, _, _ := strings.Cut(s, "@")
		if tag, err := name.NewTag(before, name.WithDefaultTag("")); err == nil && tag.TagStr() != "" {
			full = strings.Replace(full, "@", ":"+tag.TagStr()+"@", 1)
		}
		return full, nil
	}
	// A name such as static-debian13:nonroot has its version before the colon.
	if tag.TagStr() == "" || tag.TagStr() == "latest" || !strings.ContainsAny(path.Base(tag.RepositoryStr())+tag.TagStr(), "0123456789") {
		return "", fmt.Errorf("what it means changes from day to day: give a version tag or a digest, like %s:1.2.3 or %[1]s@sha256:…",
			strings.TrimSuffix(strings.TrimSuffix(s, tag.TagStr()), ":"))
	}
	return full, nil
}
