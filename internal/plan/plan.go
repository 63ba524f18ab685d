package plan

import (
	"archive/tar"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Plan says everything that a build does. An engine carries it out and decides nothing.
//
// A plan marshals to JSON that is stable from run to run: the same source and settings give the same bytes.
type Plan struct {
	// Name of the image.
	Name   string `json:"name"`
	Source Source `json:"source"`
	Go     Go     `json:"go"`
	// Builder is the image to compile in, always for the platform of the machine that it runs on: Go cross-compiles.
	// The host engine has no use for it.
	Builder string `json:"builder"`
	// BuilderPackages are what is installed in a builder container, by the command Prepare, before anything else is done there.
	// The host engine installs nothing.
	BuilderPackages []string `json:"builderPackages,omitempty"`
	Prepare         []string `json:"prepare,omitempty"`
	// Env is the environment of every command, besides what finds modules (GOPROXY, GOSUMDB, GOPRIVATE) and the tools (PATH, HOME).
	Env map[string]string `json:"env"`
	// CACerts are root certificates, in PEM, that every command trusts besides those of its machine or container.
	CACerts      string       `json:"caCerts,omitempty"`
	Dependencies Dependencies `json:"dependencies"`
	// Caches are the directories that outlive a build.
	Caches   []Cache   `json:"caches"`
	Programs []Program `json:"programs"`
	// Prebuild runs before Generate; nil where it was not asked for.
	Prebuild *Prebuild `json:"prebuild,omitempty"`
	// Generate is the command that writes code, in the source's directory, with the modules at hand and for the machine that it runs
	// on, before anything is compiled or checked; nil where none was asked for. What it writes is part of the source from then on,
	// but never of the user's.
	Generate []string `json:"generate,omitempty"`
	// Compile has one step for each platform, in the order of their names.
	Compile []Compile `json:"compile"`
	// OtherModules compile the programs that are of other modules or workspaces, for the same platforms, in the same order. They stand for no
	// image: their Name, Image and Checks are empty.
	OtherModules []*Plan `json:"otherModules,omitempty"`
	// Debugger is compiled for each platform, too, into the directory of the programs; nil where none was asked for.
	Debugger *Debugger `json:"debugger,omitempty"`
	Guard    Guard     `json:"guard"`
	Image    Image     `json:"image"`
	// Checks check the source. A build does not need them.
	Checks []Check `json:"checks"`
	// Notes are what the reader may want to know. They change nothing.
	Notes []Note `json:"notes,omitempty"`
}

// Note is a hint.
type Note struct {
	// About is a word on what it is about, such as "base".
	About string `json:"about"`
	Text  string `json:"text"`
}

// Source is what gets compiled.
type Source struct {
	// Module is the path of the main module; of the first program's module in a workspace.
	Module string `json:"module"`
	// Dir is the directory that commands run in, relative to the source: where go.work is, else where go.mod is.
	Dir string `json:"dir"`
	// Workspace says that go.work is in charge, Vendor that the vendor directory is.
	Workspace bool `json:"workspace,omitempty"`
	Vendor    bool `json:"vendor,omitempty"`
	// VCS is what programs are stamped with; nil for nothing.
	VCS *VCS `json:"vcs,omitempty"`
	// Files are patterns, in the manner of .dockerignore, of everything that compiling reads of the source. None: all of it.
	Files []string `json:"files,omitempty"`
	// Outputs are what Slipway writes into the source. They decide nothing about the image.
	Outputs Outputs `json:"-"`
	// Excluded are files that every build needs and that [IgnoreFile] leaves out: of modules, and of the programs' packages. Only an
	// engine that gets all of the source can build then.
	Excluded []string `json:"excluded,omitempty"`
}

// Go is the toolchain.
type Go struct {
	// Version is exact, such as "1.26.8".
	Version string `json:"version"`
	// From says where the version was read.
	From string `json:"from"`
}

// Dependencies says how modules are brought in.
type Dependencies struct {
	// Files are everything that the commands need of the source, relative to it, so that no other edit repeats them.
	Files []string `json:"files"`
	// Download and Verify are the commands. Both are empty where the vendor directory or nothing is needed.
	Download []string `json:"download,omitempty"`
	Verify   []string `json:"verify,omitempty"`
}

// Cache is a directory that outlives a build.
type Cache struct {
	// Name is the same for all builds that may share the directory.
	Name string `json:"name"`
	// Env is the variable that names the directory to Go, if one does, and Path where it is in a container.
	Env  string `json:"env,omitempty"`
	Path string `json:"path"`
}

// Program is an executable in the image.
type Program struct {
	// Name is what go build calls it, or what the build names it, where another has that name.
	Name string `json:"name"`
	// ImportPath is the full path of the main package.
	ImportPath string `json:"importPath"`
	// Package is the main package as a directory relative to Source.Dir, such as "./cmd/server".
	Package string `json:"package"`
	// Module that the package belongs to.
	Module string `json:"module"`
}

// Compile is the compilation of all programs for one platform.
type Compile struct {
	Platform Platform `json:"platform"`
	// Env is added to the plan's.
	Env map[string]string `json:"env"`
	// C is what compiles C; nil without cgo.
	C *C `json:"c,omitempty"`
	// Flags and Packages are arguments of go build.
	Flags    []string `json:"flags"`
	Packages []string `json:"packages"`
	// Renamed are programs that go build would call as others.
	Renamed []Renamed `json:"renamed,omitempty"`
}

// Renamed is a program with a name of its own.
type Renamed struct {
	Package string `json:"package"`
	Name    string `json:"name"`
}

// Command is the command line. It leaves the programs, by their names, in the directory out, but for those that are renamed.
func (c Compile) Command(out string) []string {
	command := append([]string{"go", "build"}, c.Flags...)
	command = append(command, "-o", strings.TrimSuffix(out, "/")+"/")
	return append(command, c.Packages...)
}

// Commands leave all programs, by their names, in the directory out. The first is Command, unless all programs are renamed.
func (c Compile) Commands(out string) [][]string {
	var commands [][]string
	if len(c.Packages) > 0 {
		commands = append(commands, c.Command(out))
	}
	for _, r := range c.Renamed {
		command := append([]string{"go", "build"}, c.Flags...)
		commands = append(commands, append(command, "-o", path.Join(out, r.Name), r.Package))
	}
	return commands
}

// AllPackages are those of all programs.
func (c Compile) AllPackages() []string {
	all := slices.Clone(c.Packages)
	for _, r := range c.Renamed {
		all = append(all, r.Package)
	}
	return all
}

// Guard is what every program must be before it goes into an image.
type Guard struct {
	// Static programs load no libraries: the runtime has none.
	Static bool `json:"static"`
	// GLIBC is the version of the C library that the runtime has, such as "2.36"; empty where it has none or which is not known.
	// A program that was linked against a newer one may not start.
	GLIBC string `json:"glibc,omitempty"`
	// Lacks are libraries that the runtime is known not to have. A program that loads one does not start, unless it is placed.
	Lacks []string `json:"lacks,omitempty"`
	// Symbols says that programs must have their symbols and debug data. Otherwise they must not.
	Symbols bool `json:"symbols,omitempty"`
	// Runtime is named in the error.
	Runtime Runtime `json:"runtime"`
}

// Image is what the images of all platforms have in common; they differ in programs and base alone.
type Image struct {
	Runtime Runtime `json:"runtime"`
	// Base is the reference to build upon; empty for none.
	Base string `json:"base,omitempty"`
	// Packages are what is installed in the base before there are any layers, as Distribution says. Install is the command that takes its
	// place, as root, where a Dockerfile or a container is made, which take the newest packages.
	Packages     []string      `json:"packages,omitempty"`
	Install      []string      `json:"install,omitempty"`
	Distribution *Distribution `json:"distribution,omitempty"`
	// Layers come on top of the base's, lowest first.
	Layers []Layer `json:"layers"`
	// Copies are the directories of the source that files of Layers come from.
	Copies []Copy `json:"copies,omitempty"`
	// User is always numeric, "UID:GID".
	User string `json:"user"`
	// Entrypoint is empty for that of the base, if it has one.
	Entrypoint []string `json:"entrypoint,omitempty"`
	Args       []string `json:"args,omitempty"`
	Env        []string `json:"env,omitempty"`
	// Path are directories that follow those of the base in the variable PATH.
	Path       []string `json:"path,omitempty"`
	WorkingDir string   `json:"workingDir"`
	StopSignal string   `json:"stopSignal,omitempty"`
	// Healthcheck is nil for none. OCI's configuration has no place for it; Docker reads it from there nevertheless.
	Healthcheck *Healthcheck      `json:"healthcheck,omitempty"`
	Volumes     []string          `json:"volumes,omitempty"`
	Ports       []string          `json:"ports,omitempty"`
	Labels      map[string]string `json:"labels"`
	// Annotations are those of each manifest and of the index. Each manifest gets its base's name and digest too.
	Annotations map[string]string `json:"annotations"`
	// Created is the time of everything in the image, in seconds since 1970.
	Created int64 `json:"created"`
	// Compression is that of Layers. The zero value is gzip.
	Compression Compression `json:"compression,omitzero"`
}

// Command is what a container runs, unless a user gives other arguments.
func (i Image) Command() []string { return slices.Concat(i.Entrypoint, i.Args) }

// For is the image as it is for a platform: with its files of the source and of the network.
func (i Image) For(platform Platform) Image {
	i.Layers = slices.Clone(i.Layers)
	for n, layer := range i.Layers {
		i.Layers[n].Files = slices.Clone(layer.Files)
		for m, f := range layer.Files {
			if f.Sources != nil {
				i.Layers[n].Files[m].Source, i.Layers[n].Files[m].Sources = f.Sources[platform.String()], nil
			}
			if f.Downloads != nil {
				chosen := f.Downloads[platform.String()]
				i.Layers[n].Files[m].Download, i.Layers[n].Files[m].Downloads = &chosen, nil
			}
		}
	}
	return i
}

// Compression is how layers are compressed.
type Compression struct {
	// Format is [Gzip] or [Zstd].
	Format string `json:"format"`
	// Level is that of the gzip or zstd command; 0 for the default.
	Level int `json:"level,omitempty"`
}

// Formats of compression.
const (
	Gzip = "gzip"
	Zstd = "zstd"
)

// String is the compression as a setting.
func (c Compression) String() string {
	if c.Level == 0 {
		return c.Format
	}
	return c.Format + ":" + strconv.Itoa(c.Level)
}

// FilesLayer is the name of the layer with what the settings place in the image.
const FilesLayer = "files"

// Layer is a layer of the image.
type Layer struct {
	// Name says what the layer is for, in the image's history.
	Name  string `json:"name"`
	Files []File `json:"files"`
}

// File is a file, directory or symbolic link in the image. Exactly one of Program, Source, Download, Text, Append, Certificates, CACerts, Link
// and Dir is set; only Certificates and CACerts may be together, and Source and Link.
type File struct {
	// Path is absolute.
	Path string `json:"path"`
	Mode Mode   `json:"mode"`
	// Program is the name of one of the plan's programs, or of its debugger.
	Program string `json:"program,omitempty"`
	// Source is a file of the source, relative to it; with Link, a link of the source.
	Source string `json:"source,omitempty"`
	// Sources are the files in place of Source, by platform, where that is a template; [Image.For] chooses.
	Sources map[string]string `json:"sources,omitempty"`
	// Download is a file of the network.
	Download *Download `json:"download,omitempty"`
	// Downloads are those in place of Download, by platform, where its URL is a template; [Image.For] chooses.
	Downloads map[string]Download `json:"downloads,omitempty"`
	// Text is the content itself.
	Text string `json:"text,omitempty"`
	// Append is a line for the end of the base's file of that path, in the manner of /etc/passwd: it is left out if the
	// base has a line with the same first or the same third field. The file keeps its mode and owner.
	Append string `json:"append,omitempty"`
	// Required says that a line of the base that has one of both fields must have the other, too: nothing can be made of it otherwise.
	Required bool `json:"required,omitempty"`
	// Certificates are the public root certificates that Slipway carries. They are added to the base's, in each of the [Bundles] that
	// it has; where it has none, the file of that path is made.
	Certificates bool `json:"certificates,omitempty"`
	// CACerts are certificates, in PEM, to add in the same way. A file that is made has the public ones, too.
	CACerts string `json:"caCerts,omitempty"`
	// Link is where a symbolic link leads, which need not be there.
	Link string `json:"link,omitempty"`
	// Dir is an empty directory.
	Dir bool `json:"dir,omitempty"`
	// Owner is the numeric user and group that the file belongs to, "UID:GID"; empty for root's. A directory that the base has belongs to
	// them, too, and its owner may write.
	Owner string `json:"owner,omitempty"`
	// Capabilities are those of Linux that a program has whichever user runs it.
	Capabilities []string `json:"capabilities,omitempty"`
	// Exact says that a directory that the base has gets Mode, too.
	Exact bool `json:"exact,omitempty"`
}

// given is what the setting of files names for f: a file of the source or a URL; empty for other files.
func (f File) given() string {
	if f.Download != nil {
		return f.Download.URL
	}
	return f.Source
}

// IDs are the numbers of Owner.
func (f File) IDs() (uid, gid int, err error) {
	if f.Owner == "" {
		return 0, 0, nil
	}
	if _, err := fmt.Sscanf(f.Owner, "%d:%d", &uid, &gid); err != nil {
		return 0, 0, fmt.Errorf("the owner %q of %s: %w", f.Owner, f.Path, err)
	}
	return uid, gid, nil
}

// Appended is the content of a file with Append, when the base's is content.
func (f File) Appended(content string) string {
	name, id := nameAndID(f.Append)
	for line := range strings.Lines(content) {
		if n, i := nameAndID(line); n == name || i == id {
			return content
		}
	}
	if content != "" && !strings.HasSuffix(content, "\n") {
		content += "\n"
	}
	return content + f.Append
}

// Taken is the line of the base's content that keeps a required line out; empty for none.
func (f File) Taken(content string) string {
	name, id := nameAndID(f.Append)
	for line := range strings.Lines(content) {
		if n, i := nameAndID(line); f.Required && (n == name) != (i == id) {
			return strings.TrimSuffix(line, "\n")
		}
	}
	return ""
}

// nameAndID are the first field of a line, and the third, if it has one.
func nameAndID(line string) (name, id string) {
	fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
	if len(fields) > 2 {
		id = fields[2]
	}
	return fields[0], id
}

// Mode is a file's mode in the manner of chmod, with the sticky bit. Its text is octal: "0755", "1777".
type Mode uint32

func (m Mode) String() string { return fmt.Sprintf("%04o", uint32(m)) }

// MarshalText makes a mode an octal string in JSON.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (m *Mode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 12)
	*m = Mode(n)
	return err
}

// FileMode is the mode in the terms of package fs.
func (m Mode) FileMode() fs.FileMode { return (&tar.Header{Mode: int64(m)}).FileInfo().Mode() }

// Platforms are the platforms of the plan.
func (p *Plan) Platforms() []Platform {
	platforms := make([]Platform, len(p.Compile))
	for i, c := range p.Compile {
		platforms[i] = c.Platform
	}
	return platforms
}

// Only is the plan for some of its platforms.
func (p *Plan) Only(platforms ...Platform) *Plan {
	only := *p
	only.Compile, only.OtherModules = nil, nil
	if d := p.Image.Distribution; d != nil && d.Locked != nil {
		distribution := *d
		distribution.Locked = nil
		only.Image.Distribution = &distribution
	}
	for i, c := range p.Compile {
		if !slices.Contains(platforms, c.Platform) {
			continue
		}
		only.Compile = append(only.Compile, c)
		if d := p.Image.Distribution; d != nil && d.Locked != nil {
			only.Image.Distribution.Locked = append(only.Image.Distribution.Locked, d.Locked[i])
		}
	}
	for _, other := range p.OtherModules {
		only.OtherModules = append(only.OtherModules, other.Only(platforms...))
	}
	return &only
}

// appDir holds the programs that have no other destination.
const appDir = "/app"
