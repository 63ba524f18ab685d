package pipeline

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/sethvargo/go-envconfig"
)

// Config is what a user asks for. The zero value asks for the defaults.
//
// Every field has a SLIPWAY_* variable. A list that cannot hold commas of its own is separated by commas, any other by
// newlines.
type Config struct {
	// Packages are the main packages to build, as folders ("./cmd/server") relative to the source. The first gives the
	// image its name and its entrypoint. Empty: the only main package that there is.
	Packages []string `env:"SLIPWAY_PACKAGES"`
	// Platforms are the platforms to build for, such as "linux/arm/v7". Empty: linux/amd64 and linux/arm64.
	Platforms []string `env:"SLIPWAY_PLATFORMS"`
	// Runtime is the kind of image that the program runs in: see [Runtimes]. Empty: distroless, or a plain base where
	// Base is set.
	Runtime string `env:"SLIPWAY_RUNTIME"`
	// Base is the image to build upon in place of the runtime's own: a reference with a tag or digest, "oci:FOLDER" for an
	// OCI layout, or "oci-archive:FILE".
	Base string `env:"SLIPWAY_BASE"`
	// Go is the version of Go to compile with, such as "1.26.8". A minor version alone means its newest known patch release.
	// Empty: what go.mod says.
	Go string `env:"SLIPWAY_GO"`
	// BuildTags are the build constraints to satisfy, as go build -tags takes them.
	BuildTags []string `env:"SLIPWAY_BUILD_TAGS"`
	// LDFlags are more flags for the linker.
	LDFlags string `env:"SLIPWAY_LDFLAGS"`
	// Stamps set string variables at link time, as "main.version=v1.2.3".
	Stamps []string `env:"SLIPWAY_STAMPS, delimiter=\n"`
	// CGO compiles with cgo.
	CGO bool `env:"SLIPWAY_CGO"`
	// Ports that the program listens on, such as "8080" or "53/udp".
	Ports []string `env:"SLIPWAY_PORTS"`
	// Env are environment variables of the image, as "KEY=VALUE".
	Env []string `env:"SLIPWAY_ENV, delimiter=\n"`
	// Args are the program's default arguments.
	Args []string `env:"SLIPWAY_ARGS, delimiter=\n"`
	// User is the numeric user and group that the program runs as, "UID" or "UID:GID". Empty: the runtime's non-root user.
	User string `env:"SLIPWAY_USER"`
	// AllowRoot permits user 0.
	AllowRoot bool `env:"SLIPWAY_ALLOW_ROOT"`
	// Labels of the image's config, as "KEY=VALUE".
	Labels []string `env:"SLIPWAY_LABELS, delimiter=\n"`
	// Annotations of the manifests and of the index, as "KEY=VALUE".
	Annotations []string `env:"SLIPWAY_ANNOTATIONS, delimiter=\n"`
	// Files are more files and folders of the source for the image, as "SOURCE:DESTINATION" or "SOURCE:DESTINATION:MODE".
	Files []string `env:"SLIPWAY_FILES, delimiter=\n"`
	// Revision is the commit that labels and annotations name. Empty: none is named.
	Revision string `env:"SLIPWAY_REVISION"`
	// SourceDateEpoch is the time of everything in the image, in seconds since 1970. Empty: 0.
	// Source: https://reproducible-builds.org/specs/source-date-epoch/
	SourceDateEpoch string `env:"SOURCE_DATE_EPOCH"`
}

// ReadEnv fills target, a pointer to a struct whose fields have env tags, from environ, a list of KEY=VALUE. A value that
// its field cannot hold is reported as [Faults].
func ReadEnv(ctx context.Context, environ []string, target any) error {
	values := envconfig.MapLookuper(nonEmpty(environ))
	err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: target, Lookuper: values})
	if err == nil {
		dropEmpty(reflect.ValueOf(target).Elem())
		return nil
	}
	// The library stops at the first value and does not say what to write instead, so look for all of them.
	var f faulty
	for field := range reflect.TypeOf(target).Elem().Fields() {
		name := EnvName(field)
		value, set := values.Lookup(name)
		if set && field.Type.Kind() == reflect.Bool && !isBool(value) {
			f.add(name, value, "neither true nor false", "write true or false")
		}
	}
	if f.err() == nil {
		return fmt.Errorf("reading the environment: %w", err)
	}
	return f.err()
}

// dropEmpty takes empty values out of lists: a block of lines in YAML ends in a newline.
func dropEmpty(target reflect.Value) {
	for i := range target.NumField() {
		if list, ok := target.Field(i).Interface().([]string); ok {
			target.Field(i).Set(reflect.ValueOf(slices.DeleteFunc(list, func(v string) bool { return strings.TrimSpace(v) == "" })))
		}
	}
}

// EnvName is the variable that fills a struct's field, or "".
func EnvName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
	return name
}

// UnknownEnv reports, as [Faults], each SLIPWAY_* variable of environ that no field of the structs reads: a misspelled
// setting would otherwise be a silent one.
func UnknownEnv(environ []string, structs ...any) error {
	var known []string
	for _, s := range structs {
		for field := range reflect.TypeOf(s).Fields() {
			known = append(known, EnvName(field))
		}
	}
	var f faulty
	for name := range nonEmpty(environ) {
		if strings.HasPrefix(name, "SLIPWAY_") && !slices.Contains(known, name) {
			f.add(name, "", "no such setting", "slipway build --help lists the variables")
		}
	}
	slices.SortFunc(f.faults, func(a, b Fault) int { return strings.Compare(a.Field, b.Field) })
	return f.err()
}

// nonEmpty leaves out variables without a value: CI systems define every input, also those that nobody filled in.
func nonEmpty(environ []string) map[string]string {
	vars := map[string]string{}
	for _, kv := range environ {
		if name, value, _ := strings.Cut(kv, "="); value != "" {
			vars[name] = value
		}
	}
	return vars
}

func isBool(value string) bool {
	return slices.Contains([]string{"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"}, value)
}

// AsFaults returns the faults in err, or nil.
func AsFaults(err error) Faults {
	var faults Faults
	errors.As(err, &faults)
	return faults
}
