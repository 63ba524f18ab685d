package plan

import "errors"

// Config is what a user asks for. The zero value asks for the defaults.
//
// Every field has a SLIPWAY_* variable. A list that cannot hold commas of its own is separated by commas, any other by
// newlines.
type Config struct {
	// Name is the image's name. Empty: that of its first program.
	Name string `env:"SLIPWAY_NAME"`
	// Packages are the main packages to build, as directories ("./cmd/server") relative to the source. The first gives the
	// image its name and its entrypoint. Empty: the only main package that there is.
	Packages []string `env:"SLIPWAY_PACKAGES"`
	// Platforms are the platforms to build for, such as "linux/arm/v7". Empty: linux/amd64 and linux/arm64.
	Platforms []string `env:"SLIPWAY_PLATFORMS"`
	// Runtime is the kind of image that the program runs in: see [Runtimes]. Empty: distroless, or a plain base where
	// Base is set.
	Runtime string `env:"SLIPWAY_RUNTIME"`
	// Base is the image to build upon in place of the runtime's own: a reference with a tag or digest, "oci:DIR" for an
	// OCI layout, or "oci-archive:FILE".
	Base string `env:"SLIPWAY_BASE"`
	// Go is the version of Go to compile with, such as "1.26.8". A minor version alone means its newest known patch release,
	// "latest-patch" that of what go.mod says. Empty: what go.mod says.
	Go string `env:"SLIPWAY_GO"`
	// Generate runs go generate for all packages before anything is compiled.
	Generate bool `env:"SLIPWAY_GENERATE"`
	// BuilderPackages are packages to install in the builder container: Alpine's, or Debian's where CGO is dynamic.
	BuilderPackages []string `env:"SLIPWAY_BUILDER_PACKAGES"`
	// RuntimePackages are packages of Alpine to install in the image.
	RuntimePackages []string `env:"SLIPWAY_RUNTIME_PACKAGES"`
	// BuildTags are the build constraints to satisfy, as go build -tags takes them.
	BuildTags []string `env:"SLIPWAY_BUILD_TAGS"`
	// LDFlags are more flags for the linker: a template, see [Facts].
	LDFlags string `env:"SLIPWAY_LDFLAGS"`
	// Stamps set string variables at link time, as "main.version=v1.2.3": templates, see [Facts].
	Stamps []string `env:"SLIPWAY_STAMPS, delimiter=\n"`
	// CGO compiles with cgo: "true" or "dynamic" for a runtime with glibc, "static" to link all of it into the program.
	// Empty, "false": without.
	CGO string `env:"SLIPWAY_CGO"`
	// FIPS is the version of the Go Cryptographic Module to link, such as "v1.0.0", as GOFIPS140 takes it; the program then works in
	// FIPS 140-3 mode. "true" means v1.0.0, which has a certificate. Empty, "false": the standard library's, and not in that mode.
	FIPS string `env:"SLIPWAY_FIPS"`
	// GoExperiments are experiments of the Go toolchain, such as "jsonv2", as GOEXPERIMENT takes them.
	GoExperiments []string `env:"SLIPWAY_GO_EXPERIMENTS"`
	// TZData compiles the time zones into the programs: scratch and Alpine have none.
	TZData bool `env:"SLIPWAY_TZDATA"`
	// Debug makes an image for a remote debugger: programs are neither stripped nor optimised, and the first runs under
	// Delve, which listens on port 40000.
	Debug bool `env:"SLIPWAY_DEBUG"`
	// CACerts are root certificates, in PEM, that the image and the commands of the build trust besides the public ones.
	CACerts string `env:"SLIPWAY_CA_CERTS"`
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
	// Labels of the image's config, as "KEY=VALUE": templates, see [Facts].
	Labels []string `env:"SLIPWAY_LABELS, delimiter=\n"`
	// Annotations of the manifests and of the index, as "KEY=VALUE": templates, see [Facts].
	Annotations []string `env:"SLIPWAY_ANNOTATIONS, delimiter=\n"`
	// Files are more files and directories of the source for the image, as "SOURCE:DESTINATION" or "SOURCE:DESTINATION:MODE".
	Files []string `env:"SLIPWAY_FILES, delimiter=\n"`
	// Writable are directories of the image that the program may write to, such as "/data". It may write nowhere else but in /tmp.
	Writable []string `env:"SLIPWAY_WRITABLE"`
	// Compression is that of the layers that are made, "gzip" or "zstd", with a level if it says one, such as "zstd:19". Empty: gzip.
	Compression string `env:"SLIPWAY_COMPRESSION"`
	// Revision is the commit that labels and annotations name. Empty: none is named.
	Revision string `env:"SLIPWAY_REVISION"`
	// SourceDateEpoch is the time of everything in the image, in seconds since 1970. Empty: 0.
	// Source: https://reproducible-builds.org/specs/source-date-epoch/
	SourceDateEpoch string `env:"SOURCE_DATE_EPOCH"`
	// VulnDB is the database of vulnerabilities that the check vulncheck asks: an http, https or file URL. Empty:
	// https://vuln.go.dev. Source: https://go.dev/doc/security/vuln/database
	VulnDB string `env:"SLIPWAY_VULNDB"`
	// Facts are what templates may name.
	Facts Facts `json:"facts,omitzero"`
	// Outputs are what Slipway writes into the source. They are no setting.
	Outputs Outputs `json:"-"`
}

// AsFaults returns the faults in err, or nil.
func AsFaults(err error) Faults {
	var faults Faults
	errors.As(err, &faults)
	return faults
}
