// Package inspect gathers what is known of an image that was built before, whoever built it: what its configuration says, which programs
// are in it, what is attached to it. It verifies nothing but digests.
package inspect

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/oci/graph"
)

// Report is what is known of an image or index.
type Report struct {
	// Name is how the user called it; Reference is that by digest, of an image in a registry.
	Name      string `json:"name"`
	Reference string `json:"reference,omitempty"`
	Digest    string `json:"digest"`

	Platforms []*Platform `json:"platforms"`
	// Attached is what refers to the image or one of its platforms, and Tags are those of cosign that belong to them.
	Attached []Attachment `json:"attached,omitempty"`
	Tags     []string     `json:"tags,omitempty"`
	// Signers are whom the certificates of keyless signatures name, which was not verified.
	Signers []Signer `json:"signers,omitempty"`
	// Build is what the provenance claims, which was not verified; nil for none.
	Build *Build `json:"build,omitempty"`
	// Run and Verify are commands; Verify is empty if there is no signature.
	Run    string `json:"run"`
	Verify string `json:"verify,omitempty"`
}

// Platform is the image of one.
type Platform struct {
	Platform string `json:"platform"`
	Digest   string `json:"digest"`
	// Size is that of the image as it is pulled, in bytes.
	Size int64 `json:"size"`
	Base *Base `json:"base,omitempty"`

	User        string            `json:"user"`
	Entrypoint  []string          `json:"entrypoint,omitempty"`
	Args        []string          `json:"args,omitempty"`
	WorkingDir  string            `json:"workdir,omitempty"`
	Ports       []string          `json:"ports,omitempty"`
	Volumes     []string          `json:"volumes,omitempty"`
	Env         []string          `json:"env,omitempty"`
	StopSignal  string            `json:"stopSignal,omitempty"`
	Healthcheck []string          `json:"healthcheck,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`

	Programs []Program `json:"programs"`
}

// Base is what an image was built upon.
type Base struct {
	Name   string `json:"name,omitempty"`
	Digest string `json:"digest,omitempty"`
	// Created is when it was made; nil where nobody knows, as of bases that are the same whenever they are made.
	Created *time.Time `json:"created,omitempty"`
}

// Program is one that Go made.
type Program struct {
	Path    string   `json:"path"`
	Package string   `json:"package"`
	Go      string   `json:"go"`
	Module  string   `json:"module,omitempty"`
	Modules []string `json:"modules,omitempty"`
	// Settings are those of go build that a program has in it.
	Settings map[string]string `json:"settings,omitempty"`
}

// Attachment is something that refers to an image.
type Attachment struct {
	// Kind is what it is, for people; Type its media type.
	Kind    string `json:"kind"`
	Type    string `json:"type"`
	Digest  string `json:"digest"`
	Subject string `json:"subject"`
}

// Signer is who signed keyless: the job or person, and the service that says so.
type Signer struct {
	Identity string `json:"identity"`
	Issuer   string `json:"issuer"`
}

// Of reports on the image that found leads to, for all its platforms. source has it, by the digest root, with what is attached to it. cache,
// unless nil, has the layers that need not be read.
func Of(ctx context.Context, found *oci.Base, source graph.Source, root v1.Hash, cache sbom.Cache) (*Report, error) {
	r := &Report{Digest: root.String()}
	has, err := found.Platforms(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range has {
		img, err := found.Image(*d.Platform)
		if err != nil {
			return nil, err
		}
		p, err := ofPlatform(ctx, img, cache)
		if err != nil {
			return nil, err
		}
		if same := func(o *Platform) bool { return o.Digest == p.Digest }; !slices.ContainsFunc(r.Platforms, same) {
			r.Platforms = append(r.Platforms, p)
		}
	}
	collection, err := graph.Collect(ctx, source, root)
	if err != nil {
		return nil, err
	}
	for _, t := range collection.Tags {
		r.Tags = append(r.Tags, t.Tag)
	}
	return r, r.attached(ctx, source, collection)
}

// Signed reports whether there is a signature, be it whose it may.
func (r *Report) Signed() bool {
	return slices.ContainsFunc(r.Attached, func(a Attachment) bool { return a.Kind == bundle }) ||
		slices.ContainsFunc(r.Tags, func(tag string) bool { return strings.HasSuffix(tag, ".sig") })
}

func ofPlatform(ctx context.Context, img v1.Image, cache sbom.Cache) (*Platform, error) {
	config, err1 := img.ConfigFile()
	manifest, err2 := img.Manifest()
	digest, err3 := img.Digest()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	c := config.Config
	p := &Platform{
		Platform: config.Platform().String(), Digest: digest.String(), Base: baseOf(manifest, config),
		User: cmp.Or(c.User, "root"), Entrypoint: c.Entrypoint, Args: c.Cmd, WorkingDir: c.WorkingDir, Env: c.Env, StopSignal: c.StopSignal,
		Ports: slices.Sorted(maps.Keys(c.ExposedPorts)), Volumes: slices.Sorted(maps.Keys(c.Volumes)), Labels: c.Labels, Programs: []Program{},
	}
	if c.Healthcheck != nil {
		p.Healthcheck = c.Healthcheck.Test
	}
	for _, l := range manifest.Layers {
		p.Size += l.Size
	}
	has, err := sbom.Scan(ctx, img, cache)
	if err != nil {
		return nil, err
	}
	for _, at := range slices.Sorted(maps.Keys(has.Programs)) {
		p.Programs = append(p.Programs, newProgram(at, has.Programs[at]))
	}
	return p, nil
}

func newProgram(at string, info *debug.BuildInfo) Program {
	p := Program{Path: at, Package: info.Path, Go: info.GoVersion, Module: title(&info.Main), Settings: map[string]string{}}
	for _, m := range info.Deps {
		p.Modules = append(p.Modules, title(m))
	}
	for _, s := range info.Settings {
		p.Settings[s.Key] = s.Value
	}
	return p
}

// title names a module with its version, and what it is replaced by.
func title(m *debug.Module) string {
	text := strings.TrimSpace(m.Path + " " + m.Version)
	if m.Replace != nil {
		text += " => " + title(m.Replace)
	}
	return text
}

// baseOf is the base that the annotations name. Its age is that of the newest layer that is not Slipway's: an image's own time is one that
// the settings say.
func baseOf(manifest *v1.Manifest, config *v1.ConfigFile) *Base {
	b := &Base{
		Name:   manifest.Annotations[ocispec.AnnotationBaseImageName],
		Digest: manifest.Annotations[ocispec.AnnotationBaseImageDigest],
	}
	if b.Name == "" && b.Digest == "" {
		return nil
	}
	for _, h := range config.History {
		// Reproducible bases have a time of about 1970 or 1980.
		if !strings.HasPrefix(h.CreatedBy, oci.Placed) && h.Created.Year() > 1980 && (b.Created == nil || h.Created.After(*b.Created)) {
			created := h.Created.Time
			b.Created = &created
		}
	}
	return b
}
