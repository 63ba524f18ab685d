package dagger

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"dagger.io/dagger"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/publish/target"
)

// Proof is what is published beside an image. The engine can push images only; documents about them and signatures are
// made and pushed by the command slipway in a container, which is compiled for that once.
type Proof struct {
	// Slipway is the source of the command.
	Slipway *dagger.Directory
	// SBOM is the format of the bills of materials, as the command's flag takes it.
	SBOM string
	// Provenance is what the caller knows of the build; nil for none. What the engine knows is filled in.
	Provenance *provenance.Build
	// Key signs all of it; nil for no signature. Password decrypts the key; nil if it is not encrypted.
	Key, Password *dagger.Secret
	// Warn is called with each warning; nil for nobody.
	Warn func(string)
}

const (
	workDir = "/work"
	// commandPath is where the command is in its container.
	commandPath = "/usr/local/bin/slipway"
	// commandCache is what the command keeps from call to call.
	commandCache = "/cache"
)

// command is a container with the command slipway, compiled from its source self.
func (b *Build) command(self *dagger.Directory) *dagger.Container {
	builder := b.client.Container().From(b.plan.Builder).With(b.trusting)
	compiled := builder.With(b.withCaches).With(b.withPrivate).
		WithEnvVariable("CGO_ENABLED", "0").WithEnvVariable("GOTOOLCHAIN", "auto").
		WithDirectory(workDir, self).WithWorkdir(workDir).
		WithExec([]string{"go", "build", "-trimpath", "-buildvcs=false", "-o", commandPath, "./cmd/slipway"})
	return builder.WithFile(commandPath, compiled.File(commandPath)).
		// Licences of modules are looked up in the module cache.
		With(b.withCaches).
		WithMountedCache(commandCache, b.client.CacheVolume("slipway")).WithEnvVariable("XDG_CACHE_HOME", commandCache).
		WithDirectory(workDir, b.source.Directory(b.plan.Source.Dir).Filter(dagger.DirectoryFilterOpts{Include: []string{"go.mod"}})).
		WithWorkdir(workDir)
}

// SBOM is the bill of materials of the image for a platform of the plan, made by the command slipway, whose source self is.
// format is as the command's flag takes it.
func (b *Build) SBOM(ctx context.Context, c plan.Compile, self *dagger.Directory, format string) (*dagger.File, error) {
	archive, err := b.archive(ctx, c)
	if err != nil {
		return nil, err
	}
	const name = "sbom.json"
	ctr := b.command(self).WithMountedFile(b.archiveName(), archive).WithExec(
		[]string{"slipway", "sbom", "--format", format, "--platform", c.Platform.String(), b.archiveName()},
		dagger.ContainerWithExecOpts{RedirectStdout: name},
	)
	if _, err := ctr.Sync(ctx); err != nil {
		return nil, b.explain("writing the bill of materials", err)
	}
	return ctr.File(name), nil
}

func (b *Build) archiveName() string { return b.plan.Name + ".tar" }

// PublishWithProof is [Build.Publish] with proof: everything is there before a tag leads to it. It is not the engine that
// pushes, so a nil login is none.
func (b *Build) PublishWithProof(ctx context.Context, to target.Target, login *Login, proof Proof) (string, error) {
	begun := time.Now()
	archive, err := b.Archive(ctx)
	if err != nil {
		return "", err
	}
	args := []string{"slipway", "publish", "--progress", "plain", "--repository", to.Repository, "--sbom", proof.SBOM}
	for _, tag := range to.Tags {
		args = append(args, "--tag", tag)
	}
	ctr := b.command(proof.Slipway).With(uncached(begun)).WithMountedFile(b.archiveName(), archive)
	if proof.Provenance != nil {
		// Content is asked for so that the archive, and all that was compiled for it, is there when the clock is read.
		if _, err := archive.Sync(ctx); err != nil {
			return "", b.explain("building the image", err)
		}
		build := *proof.Provenance
		build.Plan, build.Engine, build.Started, build.Finished = b.plan, "dagger", begun, time.Now()
		predicate, err := b.predicate(ctx, build)
		if err != nil {
			return "", err
		}
		ctr, args = ctr.WithNewFile("predicate.json", predicate), append(args, "--predicate", "predicate.json")
	}
	if login != nil {
		auth, err := login.dockerConfig(ctx, b.client, to)
		if err != nil {
			return "", err
		}
		ctr = ctr.WithSecretVariable("DOCKER_AUTH_CONFIG", auth)
	}
	if proof.Key != nil {
		ctr, args = ctr.WithSecretVariable("SIGN_KEY", proof.Key), append(args, "--sign-key", "env:SIGN_KEY")
	}
	if proof.Password != nil {
		ctr = ctr.WithSecretVariable("COSIGN_PASSWORD", proof.Password)
	}
	// What it prints is read from a file, so that an error is said once: here, and not also by the engine.
	const printed = "/tmp/printed"
	ctr = ctr.WithExec(append(args, b.archiveName()), dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny, RedirectStderr: printed})
	status, err := ctr.ExitCode(ctx)
	if err != nil {
		return "", b.explain("publishing", err)
	}
	text, err := ctr.File(printed).Contents(ctx)
	if err != nil {
		return "", b.explain("publishing", err)
	}
	if status != 0 {
		return "", commandError("publishing", text)
	}
	for line := range strings.Lines(text) {
		if _, warning, found := strings.Cut(line, " warning: "); found && proof.Warn != nil {
			proof.Warn(strings.TrimSpace(warning))
		}
	}
	ref, err := ctr.Stdout(ctx)
	return strings.TrimSpace(ref), b.explain("publishing", err)
}

// commandError is the error of the command slipway, which printed text to its standard error, in the words of the module.
func commandError(what, text string) error {
	said := text
	if i := strings.LastIndex("\n"+text, "\nslipway: "); i >= 0 {
		said = text[i+len("slipway: "):]
	}
	said = strings.ReplaceAll(strings.TrimSpace(said), "\n  ", "\n")
	said = strings.ReplaceAll(said, "the credential from the environment variable DOCKER_AUTH_CONFIG", "--username and --password")
	said = noEntry.ReplaceAllString(said, "no credential")
	return plan.Sentence(what + ": " + dockerLogin.ReplaceAllString(said, "give --username and --password that it accepts"))
}

// noEntry is where the command looked for a login, which are places in its container.
var noEntry = regexp.MustCompile(`no credential \(no entry for [^()]*\)`)

// dockerLogin is the command's advice on a login, up to its end.
var dockerLogin = regexp.MustCompile("(log in with )?`docker login [^`]*`(, or name the [a-z]+ of a config\\.json with a valid login by DOCKER_CONFIG)?")

// predicate is the provenance of the images.
func (b *Build) predicate(ctx context.Context, build provenance.Build) (string, error) {
	var base provenance.Image
	var err error
	if ref := b.plan.Image.Base; ref != "" && !local(ref) {
		if base, err = b.resolved(ctx, ref, dagger.Platform(b.plan.Compile[0].Platform.String())); err != nil {
			return "", err
		}
	}
	if build.BuilderImage, err = b.resolved(ctx, b.plan.Builder, ""); err != nil {
		return "", err
	}
	predicate, err := build.Predicate(base)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(predicate)
	return string(text), err
}

// dockerConfig is a login as docker's configuration has it, for the registry of to.
func (l *Login) dockerConfig(ctx context.Context, client *dagger.Client, to target.Target) (*dagger.Secret, error) {
	password, err := l.Password.Plaintext(ctx)
	if err != nil {
		return nil, err
	}
	host, _, _ := strings.Cut(to.Repository, "/")
	if host == "docker.io" {
		host = "https://index.docker.io/v1/"
	}
	auth := base64.StdEncoding.EncodeToString([]byte(l.User + ":" + strings.TrimSpace(password)))
	text, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": auth}}})
	if err != nil {
		return nil, err
	}
	return client.SetSecret("slipway-registry-login", string(text)), nil
}
