// Package options has the settings that say where results go and how the command works, and not what an image is.
package options

import (
	"slices"
	"sync"

	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
)

// Options are the values of [Settings].
type Options struct {
	All          bool      `env:"SLIPWAY_ALL"`
	ChangedSince string    `env:"SLIPWAY_CHANGED_SINCE"`
	Output       string    `env:"SLIPWAY_OUTPUT"`
	Load         bool      `env:"SLIPWAY_LOAD"`
	SBOM         string    `env:"SLIPWAY_SBOM"`
	Provenance   bool      `env:"SLIPWAY_PROVENANCE"`
	Predicate    string    `env:"SLIPWAY_PREDICATE"`
	VEX          string    `env:"SLIPWAY_VEX"`
	SignKey      string    `env:"SLIPWAY_SIGN_KEY"`
	SignFormat   string    `env:"SLIPWAY_SIGNATURE_FORMAT"`
	SignKeyless  bool      `env:"SLIPWAY_SIGN_KEYLESS"`
	SignConfig   string    `env:"SLIPWAY_SIGNING_CONFIG"`
	TrustedRoot  string    `env:"SLIPWAY_TRUSTED_ROOT"`
	Key          string    `env:"SLIPWAY_KEY"`
	Identity     string    `env:"SLIPWAY_CERTIFICATE_IDENTITY"`
	Identities   string    `env:"SLIPWAY_CERTIFICATE_IDENTITY_REGEXP"`
	Issuer       string    `env:"SLIPWAY_CERTIFICATE_OIDC_ISSUER"`
	Issuers      string    `env:"SLIPWAY_CERTIFICATE_OIDC_ISSUER_REGEXP"`
	Format       string    `env:"SLIPWAY_FORMAT"`
	HTML         string    `env:"SLIPWAY_HTML"`
	Markdown     bool      `env:"SLIPWAY_MARKDOWN"`
	Source       string    `env:"SLIPWAY_SOURCE"`
	Attest       bool      `env:"SLIPWAY_ATTEST"`
	CopyPlatform string    `env:"SLIPWAY_COPY_PLATFORM"`
	Mirrors      plan.List `env:"SLIPWAY_MIRRORS"`
	Netrc        string    `env:"SLIPWAY_NETRC"`
	GitTokens    plan.List `env:"SLIPWAY_GIT_TOKENS"`
	Engine       string    `env:"SLIPWAY_ENGINE"`
	CacheMode    string    `env:"SLIPWAY_CACHE_MODE"`
	Progress     string    `env:"SLIPWAY_PROGRESS"`
	JSON         bool      `env:"SLIPWAY_JSON"`
	Report       string    `env:"SLIPWAY_REPORT"`
	PinCheck     bool      `env:"SLIPWAY_PIN_CHECK"`
}

// Defaults are the options of a call without flags and variables.
func Defaults() Options { return Options{Provenance: true} }

// Engines are what builds.
var Engines = []string{"auto", "host", "dagger"}

// CacheModes are what can be done with a cache, the default first.
var CacheModes = []string{"read-write", "read", "refresh"}

// SBOMFormats are the formats of a bill of materials, the default first.
func SBOMFormats() []string {
	var names []string
	for _, f := range sbom.Formats {
		names = append(names, string(f))
	}
	return names
}

// SignatureFormats are where signatures go, the default first.
func SignatureFormats() []string {
	var names []string
	for _, f := range attest.Formats {
		names = append(names, string(f))
	}
	return names
}

// NoSBOM is the format that asks for no bill of materials.
const NoSBOM = "none"

// Settings are the settings of [Options].
func Settings() []plan.Setting { return slices.Concat(Results(), Work()) }

// Results are the settings that say what is built and where results go. The list is shared: nobody changes it.
var Results = sync.OnceValue(func() []plan.Setting {
	publish := []string{"publish"}
	return plan.Declare[Options](
		plan.Setting{Field: "All", Flag: "all", Commands: []string{"build", "publish", "pin", "copy"}, Help: "all images of slipway.yaml"},
		plan.Setting{
			Field: "ChangedSince", Flag: "changed-since", Commands: []string{"build", "publish"}, Value: "REVISION",
			Help: "leave out images that no change since a revision of git, like origin/main, affects, and print why each is in or out",
		},
		plan.Setting{
			Field: "Output", Flag: "output", Commands: []string{"build"}, Value: "PATH", Default: "dist/NAME.tar",
			Help: "path of the result: an OCI archive of all platforms if it ends in .tar, else an OCI layout directory, which is added to",
		},
		plan.Setting{Field: "Load", Flag: "load", Commands: []string{"build"}, Help: "also load the image for this machine's platform into docker, podman or nerdctl, as NAME:latest"},
		plan.Setting{
			Field: "SBOM", Flag: "sbom", Commands: publish, Value: "FORMAT", Default: SBOMFormats()[0], Choices: plan.Choices(append(SBOMFormats(), NoSBOM)...),
			Help: "format of the bills of materials that are attached",
		},
		plan.Setting{Field: "Provenance", Flag: "provenance", Commands: publish, Help: "attach the provenance of the image: source, settings, builder, time"},
		plan.Setting{
			Field: "Predicate", Flag: "predicate", Commands: publish, Value: "FILE",
			Help: "provenance of an ARCHIVE, which only its builder knows: a file with a predicate of SLSA v1, in JSON",
		},
		plan.Setting{
			Field: "VEX", Flag: "vex", Commands: publish, Value: "FILE",
			Help: "OpenVEX document whose statements are attached, such as the openvex.json of slipway check --report, in place of .slipway-vex.json",
		},
		plan.Setting{
			Field: "SignKey", Flag: "sign-key", Commands: []string{"publish", "reproduce"}, Value: "KEY",
			Help: "private key that signs the image and its attestations, as cosign does: a file, or env:VARIABLE; COSIGN_PASSWORD decrypts it",
		},
		plan.Setting{
			Field: "SignFormat", Flag: "signature-format", Commands: []string{"publish", "reproduce"}, Value: "FORMAT", Default: SignatureFormats()[0], Choices: plan.Choices(SignatureFormats()...),
			Help: "where signatures go: into Sigstore bundles that refer to the image, under the tags that cosign 2 and others read, or both",
		},
		plan.Setting{
			Field: "SignKeyless", Flag: "sign-keyless", Commands: []string{"publish", "reproduce"},
			Help: "sign with the identity of this job of GitHub Actions or GitLab, without a key, in Sigstore bundles, and record that in the public log",
		},
		plan.Setting{
			Field: "SignConfig", Flag: "signing-config", Commands: []string{"publish", "reproduce"}, Value: "FILE",
			Help: "signing configuration of a Sigstore of your own, as cosign signing-config create writes it", Default: "the public Sigstore",
		},
		plan.Setting{
			Field: "TrustedRoot", Flag: "trusted-root", Commands: []string{"publish", "verify", "reproduce"}, Value: "FILE",
			Help: "trusted root of a Sigstore of your own, as cosign trusted-root create writes it", Default: "that of the public Sigstore",
		},
		plan.Setting{
			Field: "Identity", Flag: "certificate-identity", Commands: []string{"verify", "policy", "reproduce"}, Value: "IDENTITY",
			Help: "who signed keyless, like https://github.com/me/api/.github/workflows/release.yml@refs/tags/v1.2.3",
		},
		plan.Setting{Field: "Identities", Flag: "certificate-identity-regexp", Commands: []string{"verify", "policy", "reproduce"}, Value: "REGEXP", Help: "the same, by a regular expression, like '^https://github.com/me/api/'"},
		plan.Setting{
			Field: "Issuer", Flag: "certificate-oidc-issuer", Commands: []string{"verify", "policy", "reproduce"}, Value: "URL",
			Help: "who vouched for that identity, like https://token.actions.githubusercontent.com or https://gitlab.com",
		},
		plan.Setting{Field: "Issuers", Flag: "certificate-oidc-issuer-regexp", Commands: []string{"verify", "policy", "reproduce"}, Value: "REGEXP", Help: "the same, by a regular expression"},
		plan.Setting{Field: "Key", Flag: "key", Commands: []string{"verify", "policy", "reproduce"}, Value: "KEY", Help: "public key of the key that signed: a file, or env:VARIABLE"},
		plan.Setting{Field: "Format", Flag: "format", Commands: []string{"sbom"}, Value: "FORMAT", Help: "format of the bill of materials", Default: SBOMFormats()[0], Choices: plan.Choices(SBOMFormats()...)},
		plan.Setting{Field: "HTML", Flag: "html", Commands: []string{"size"}, Value: "FILE", Help: "also write a page with everything in it, for a browser"},
		plan.Setting{Field: "Source", Flag: "source", Commands: []string{"reproduce"}, Value: "DIR", Help: "directory with the source, in place of the one that the provenance names"},
		plan.Setting{Field: "Attest", Flag: "attest", Commands: []string{"reproduce"}, Help: "sign the verdict with --sign-key or --sign-keyless, and attach it to the image"},
		plan.Setting{Field: "Markdown", Flag: "markdown", Commands: []string{"diff"}, Help: "write the result as Markdown, for a pull request"},
		plan.Setting{
			Field: "CopyPlatform", Flag: "platform", Commands: []string{"copy"}, Value: "PLATFORM",
			Help: "copy the image for one platform of an index, like linux/arm64, and what is attached to that, in place of everything",
		},
		plan.Setting{Field: "Report", Flag: "report", Commands: []string{"check"}, Value: "DIR", Help: "directory for junit.xml, findings.sarif, coverage.out, govulncheck.json, govulncheck-programs.json and openvex.json"},
		plan.Setting{Field: "PinCheck", Flag: "check", Commands: []string{"pin"}, Help: "write nothing; fail if a tag has moved since, a package is newer, or something that the build needs is not in the file"},
	)
})

// Work are the settings that say how the command works. The list is shared: nobody changes it.
var Work = sync.OnceValue(func() []plan.Setting {
	build, registries := []string{"build", "publish", "check", "sbom", "size", "diff", "reproduce"}, []string{"build", "publish", "check", "sbom", "size", "diff", "reproduce", "pin"}
	return plan.Declare[Options](
		plan.Setting{Field: "Mirrors", Flag: "mirror", Commands: registries, Value: "HOST=MIRROR[/PREFIX]", Help: "mirror of a registry for base images, like docker.io=localhost:5000"},
		plan.Setting{Field: "Netrc", Flag: "netrc", Commands: build, Value: "FILE", Help: "logins for private modules, in the form of ~/.netrc, which it replaces"},
		plan.Setting{Field: "GitTokens", Flag: "git-token", Commands: build, Value: "[USER@]HOST=TOKEN", Help: "token for private modules of a host, as [USER@]HOST=env:VARIABLE or HOST=file:PATH"},
		plan.Setting{
			Field: "Engine", Flag: "engine", Commands: build, Value: "ENGINE", Choices: plan.Choices(Engines...), Default: "auto, which is dagger within a Dagger session, else host",
			Help: "what builds: host is this machine's Go, dagger a Dagger engine",
		},
		plan.Setting{
			Field: "CacheMode", Flag: "cache-mode", Commands: []string{"build", "publish", "sbom"}, Value: "MODE", Choices: plan.Choices(CacheModes...), Default: CacheModes[0],
			Help: "what is done with the cache: refresh builds everything and replaces what is there",
		},
		plan.Setting{Field: "Progress", Flag: "progress", Commands: append([]string{"copy"}, registries...), Value: "FORMAT", Help: "how progress is shown", Default: "auto", Choices: plan.Choices(progress.Formats...)},
		plan.Setting{Field: "JSON", Flag: "json", Commands: []string{"build", "publish", "plan", "verify", "size", "diff", "inspect", "doctor", "copy", "reproduce"}, Help: "write the result as JSON"},
	)
})
