package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/slipway-ci/slipway/internal/config/environ"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/internal/source"
)

// options are the settings that say where results go and how the command works. What the image is, is in
// [plan.Config].
type options struct {
	// All says that all images of slipway.yaml are meant.
	All bool `env:"SLIPWAY_ALL"`
	// ChangedSince is a revision of git: images that a change since then does not concern are left out.
	ChangedSince string `env:"SLIPWAY_CHANGED_SINCE"`

	Output     string   `env:"SLIPWAY_OUTPUT"`
	Load       bool     `env:"SLIPWAY_LOAD"`
	Repository string   `env:"SLIPWAY_REPOSITORY"`
	Tags       []string `env:"SLIPWAY_TAGS"`
	SBOM       string   `env:"SLIPWAY_SBOM"`
	Provenance bool     `env:"SLIPWAY_PROVENANCE, default=true"`
	Predicate  string   `env:"SLIPWAY_PREDICATE"`
	SignKey    string   `env:"SLIPWAY_SIGN_KEY"`
	Key        string   `env:"SLIPWAY_KEY"`
	Format     string   `env:"SLIPWAY_FORMAT"`
	Mirrors    []string `env:"SLIPWAY_MIRRORS"`
	// Netrc is a file of logins for private modules; GitTokens are tokens for them, as "HOST=env:VARIABLE" or
	// "HOST=file:PATH", with "USER@" before the host where the server asks for a name.
	Netrc     string   `env:"SLIPWAY_NETRC"`
	GitTokens []string `env:"SLIPWAY_GIT_TOKENS"`
	Engine    string   `env:"SLIPWAY_ENGINE"`
	Progress  string   `env:"SLIPWAY_PROGRESS"`
	JSON      bool     `env:"SLIPWAY_JSON"`
	// Report is the directory for what check writes.
	Report string `env:"SLIPWAY_REPORT"`
	// PinCheck says that pin writes nothing.
	PinCheck bool `env:"SLIPWAY_PIN_CHECK"`
}

// settings are all that a user can set: first the variables fill them, then the flags.
type settings struct {
	config plan.Config
	// caCertFiles take the place of config.CACerts.
	caCertFiles []string
	options
	// flagsOf are the flags that fill a setting, by its variable: one of each command that has it.
	flagsOf map[string][]*pflag.Flag
}

// read fills s from the environment.
func (s *settings) read(ctx context.Context, vars []string) error {
	return requests(
		environ.Unknown(vars, s.config, s.options),
		environ.Read(ctx, vars, &s.config),
		environ.Read(ctx, vars, &s.options),
	)
}

// readCACerts reads the files that flags named.
func (s *settings) readCACerts() (string, error) {
	if s.caCertFiles == nil {
		return s.config.CACerts, nil
	}
	var all strings.Builder
	var faults plan.Faults
	for _, name := range s.caCertFiles {
		text, err := source.ReadFile(name)
		certs := ""
		if err == nil {
			certs, err = plan.ParseCACerts(string(text))
		}
		if path := (*fs.PathError)(nil); errors.As(err, &path) {
			err = fmt.Errorf("%w: name a file with certificates in PEM", path.Err)
		}
		if err != nil {
			faults = append(faults, plan.Fault{Field: "ca-cert", Value: name, Problem: err.Error()})
		}
		all.WriteString(certs)
	}
	if faults != nil {
		return "", faults
	}
	return all.String(), nil
}

// requests joins the faults of several looks at a request.
func requests(errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return requestError{err}
	}
	return nil
}

// flags are the flags of one command. Each stands for a field of the settings, whose value, filled from the environment,
// is its default; its help names the variable.
type flags struct {
	settings *settings
	command  *cobra.Command
	set      *pflag.FlagSet
	names    map[any]string // variables, by the field's address
}

func (s *settings) flags(c *cobra.Command) flags {
	if s.flagsOf == nil {
		s.flagsOf = map[string][]*pflag.Flag{}
	}
	f := flags{s, c, c.Flags(), map[any]string{}}
	for _, target := range []any{&s.config, &s.options} {
		v := reflect.ValueOf(target).Elem()
		for i := range v.NumField() {
			f.names[v.Field(i).Addr().Interface()] = environ.Name(v.Type().Field(i))
		}
	}
	f.set.SortFlags = false
	return f
}

func (f flags) usage(field any, text string) string { return text + " (" + f.names[field] + ")" }

// fills notes that the flag fills the field.
func (f flags) fills(field any, name string) {
	variable := f.names[field]
	f.settings.flagsOf[variable] = append(f.settings.flagsOf[variable], f.set.Lookup(name))
}

func (f flags) text(p *string, name, text string, choices ...string) {
	f.set.StringVar(p, name, *p, f.usage(p, text))
	f.fills(p, name)
	f.complete(name, choices)
}

func (f flags) yes(p *bool, name, text string) {
	f.set.BoolVar(p, name, *p, f.usage(p, text))
	f.fills(p, name)
}

// commas is a list whose values have no commas of their own but in templates.
func (f flags) commas(p *[]string, name, text string, choices ...string) {
	f.set.Var(&commaList{values: p}, name, f.usage(p, text))
	f.fills(p, name)
	f.complete(name, choices)
}

// commaList is the value of such a flag. The first time that it is given, it takes the place of the variable's.
type commaList struct {
	values *[]string
	given  bool
}

func (l *commaList) Set(text string) error {
	if !l.given {
		*l.values, l.given = nil, true
	}
	*l.values = append(*l.values, environ.Split(text)...)
	return nil
}

func (l *commaList) String() string {
	if l.values == nil || len(*l.values) == 0 {
		return ""
	}
	return "[" + strings.Join(*l.values, ",") + "]"
}

// Type is the name that help shows for it.
func (l *commaList) Type() string { return "strings" }

// lines is a list of free text: a flag is one value, a variable has one on each line.
func (f flags) lines(p *[]string, name, text string) {
	f.set.StringArrayVar(p, name, *p, f.usage(p, text))
	f.fills(p, name)
}

// completeImages lets the shell complete the names of slipway.yaml, besides directories.
func (f flags) completeImages() {
	f.command.ValidArgsFunction = func(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		file, err := readProject(".")
		if err != nil || file == nil {
			return nil, cobra.ShellCompDirectiveDefault
		}
		names := slices.DeleteFunc(file.Names(), func(name string) bool { return slices.Contains(args, name) || !strings.HasPrefix(name, begun) })
		return names, cobra.ShellCompDirectiveDefault
	}
}

func (f flags) complete(name string, choices []string) {
	if len(choices) == 0 {
		return
	}
	if err := f.command.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // a name that this very function's caller did not define
	}
}

// plan defines the flags that decide what the image is.
func (f flags) plan(s *settings) {
	c := &s.config
	f.text(&c.Name, "name", "`NAME` of the image; default: that of its first program")
	f.commas(&c.Packages, "package", "main package to build, a `DIR` of the source like ./cmd/server; repeat for more programs in one image, the first being its entrypoint; default: the only one there is")
	f.commas(&c.Platforms, "platform", "`PLATFORM` to build for, like linux/arm/v7; several by commas; default: linux/amd64,linux/arm64", "linux/amd64", "linux/arm64", "linux/arm/v7")
	f.text(&c.Runtime, "runtime", "what the program runs in: "+strings.Join(plan.Runtimes(), ", ")+"; default: distroless", plan.Runtimes()...)
	f.text(&c.Base, "base", "`IMAGE` to build on instead: a reference with a tag or digest, oci:DIR or oci-archive:FILE")
	f.text(&c.Go, "go", "`VERSION` of Go to compile with; 1.26 means its newest patch release, latest-patch that of what go.mod says; default: what go.mod says", "latest-patch")
	f.yes(&c.Generate, "generate", "run go generate ./... before compiling, in a copy of the source")
	f.commas(&c.BuilderPackages, "builder-package", "`PACKAGE` to install in the builder container, like protobuf-dev: Alpine's, or Debian's with --cgo dynamic; several by commas; nothing is installed on this machine")
	f.commas(&c.RuntimePackages, "runtime-package", "`PACKAGE` of Alpine to install in the image, with --runtime alpine; several by commas; needs a Dagger engine")
	f.commas(&c.BuildTags, "build-tags", "build constraints to satisfy, by commas, as go build -tags takes them")
	f.text(&c.LDFlags, "ldflags", "more flags for the linker, after -s -w; a template")
	f.lines(&c.Stamps, "stamp", "string variable to set, as `IMPORTPATH.NAME=VALUE`, like main.version={{.Git.Tag}}; a template; repeat for more")
	f.text(&c.CGO, "cgo", "compile with cgo: `dynamic`, which is what --cgo alone means, needs a runtime with glibc, such as distroless-base; static links all of C into the program, for any runtime", "dynamic", "static", "false")
	f.set.Lookup("cgo").NoOptDefVal = "dynamic"
	f.text(&c.FIPS, "fips", "`VERSION` of the Go Cryptographic Module to link, as GOFIPS140 takes it, for FIPS 140-3 mode; --fips alone is v1.0.0, which has a certificate", plan.FIPSVersions()...)
	f.set.Lookup("fips").NoOptDefVal = "true"
	f.commas(&c.GoExperiments, "go-experiment", "`EXPERIMENT` of the Go toolchain, like jsonv2, as GOEXPERIMENT takes it; several by commas")
	f.yes(&c.TZData, "tzdata", "compile the time zones into the program, which takes about 0.5 MB: scratch and alpine have none")
	f.yes(&c.Debug, "debug", "keep symbols, leave optimisations out, and run the program under Delve, which listens on port 40000 for a remote debugger")
	f.set.StringArrayVar(&s.caCertFiles, "ca-cert", nil, f.usage(&c.CACerts, "`FILE` with root certificates, in PEM, that the image and the build trust besides the public ones; repeat for more; the variable holds the certificates themselves"))
	f.fills(&c.CACerts, "ca-cert")
	f.commas(&c.Ports, "port", "`PORT` that the program listens on, like 8080 or 53/udp; several by commas")
	f.lines(&c.Env, "env", "environment variable of the image, as `KEY=VALUE`; repeat for more")
	f.lines(&c.Args, "arg", "default `ARGUMENT` of the program; repeat for more")
	f.text(&c.User, "user", "numeric `UID[:GID]` to run as; default: 65532:65532, and 1000:1000 on alpine and scratch")
	f.yes(&c.AllowRoot, "allow-root", "permit --user 0")
	f.lines(&c.Labels, "label", "label of the image, as `KEY=VALUE`; a template; repeat for more")
	f.lines(&c.Annotations, "annotation", "annotation of manifests and index, as `KEY=VALUE`; a template; repeat for more")
	f.lines(&c.Files, "file", "file or directory of the source for the image, as `SOURCE:DESTINATION[:MODE]`; repeat for more")
	f.commas(&c.Writable, "writable", "`DIR` of the image that the program may write to, like /data; several by commas; default: /tmp alone")
	f.text(&c.Compression, "compression", "`FORMAT[:LEVEL]` of the layers that are made: gzip, up to 9, or zstd, up to 22; default: gzip", plan.Gzip, plan.Zstd)
	f.text(&c.Revision, "revision", "commit that labels and annotations name: its hash, or auto to ask git; default: none, so that a commit that changes nothing in the program changes nothing in the image")
}

// all defines the flag that takes the place of names.
func (f flags) all(o *options) {
	f.completeImages()
	f.yes(&o.All, "all", "all images of slipway.yaml")
}

func (f flags) changedSince(o *options) {
	f.text(&o.ChangedSince, "changed-since", "`REVISION` of git, like origin/main: leave out images that no change since then concerns, and say why each is in or out")
}

// work defines the flags that say how the command works.
func (f flags) work(o *options) {
	f.mirrors(o)
	f.text(&o.Netrc, "netrc", "`FILE` of logins for private modules, in the form of ~/.netrc, in place of that")
	f.commas(&o.GitTokens, "git-token", "token for private modules of a host, as `[USER@]HOST=env:VARIABLE` or HOST=file:PATH; several by commas")
	f.text(&o.Engine, "engine", "what builds: host is this machine's Go, dagger a Dagger engine; default: auto, which is dagger within a Dagger session, else host", engines...)
	f.progress(o)
}

func (f flags) mirrors(o *options) {
	f.commas(&o.Mirrors, "mirror", "mirror of a registry for base images, as `HOST=MIRROR[/PREFIX]`, like docker.io=localhost:5000; several by commas")
}

func (f flags) progress(o *options) {
	f.text(&o.Progress, "progress", "how progress is shown: "+strings.Join(progress.Formats, ", ")+"; default: auto", progress.Formats...)
}

func (f flags) json(o *options, text string) { f.yes(&o.JSON, "json", text) }
