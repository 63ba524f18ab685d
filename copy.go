package slipway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/oci/graph"
	"github.com/slipway-ci/slipway/internal/registry"
)

// Copy is an image to copy with everything that is attached to it.
type Copy struct {
	// Source and Destination are references to registries, or oci:DIR[:NAME] for an OCI layout, or oci-archive:FILE[:NAME] for a tar file of
	// one. A path that ends in .tar is an archive, as is a source that is a file; a directory with a layout in it is a layout. A destination
	// in a registry without a tag gets that of a source in a registry.
	Source, Destination string
	// Platform leaves out all images of an index but that one, which is what the destination has then; empty for everything.
	Platform string
}

// Copied is what became of a [Copy].
type Copied struct {
	// Digest is that of the source, or of its image for the platform.
	Digest string `json:"digest"`
	// Reference is that by digest in a registry, and Tags have moved to it; or Output is the archive or layout.
	Reference string   `json:"reference,omitempty"`
	Tags      []string `json:"tags,omitempty"`
	Output    string   `json:"output,omitempty"`
	// Attached is how many manifests refer to the image or its parts, and Signed how many tags of cosign belong to them.
	Attached int `json:"attached"`
	Signed   int `json:"signed"`
}

// Copy copies images, byte for byte, with what is attached to them: SBOMs, provenance, signatures, and all else that refers to an image, to
// one of its platforms or to an attachment, as OCI 1.1 lists it, and what cosign keeps under tags. What the destination has is not
// written again, so that a copy that was interrupted goes on. Tags move last, when all images are there. Attachments that a registry does
// not take are reported as a warning.
func (b *Builder) Copy(ctx context.Context, copies []Copy) ([]Copied, error) {
	type route struct{ from, to *place }
	routes := make([]route, len(copies))
	var faults []error
	for i, c := range copies {
		from, fromErr := parsePlace("source", c.Source)
		to, toErr := parsePlace("destination", c.Destination)
		routes[i] = route{from, to}
		var platformErr error
		if c.Platform != "" {
			if _, err := v1.ParsePlatform(c.Platform); err != nil || strings.Contains(c.Platform, ",") {
				platformErr = Faults{{Field: "platform", Value: c.Platform, Problem: "not one platform", Hint: "write one like linux/arm/v7, or leave --platform out for all"}}
			}
		}
		if fromErr == nil && toErr == nil {
			toErr = to.asDestination(from)
		}
		faults = append(faults, fromErr, toErr, platformErr)
	}
	if err := fault.Join(faults...); err != nil {
		return nil, err
	}
	all := make([]Copied, len(copies))
	pushes := make([]*registry.Push, len(copies))
	for i, c := range copies {
		lane := ""
		if len(copies) > 1 {
			lane = c.Destination
		}
		err := build.Do(b.reporter(), lane, "copy", func(step build.Step) (err error) {
			all[i], pushes[i], err = b.copy(build.Transfer(ctx, step, 0), c, routes[i].from, routes[i].to)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("copying %s: %w", c.Source, err)
		}
	}
	for i, push := range pushes {
		if push == nil {
			continue
		}
		if err := push.Tag(ctx); err != nil {
			return nil, fmt.Errorf("copying %s: %w", copies[i].Source, err)
		}
		all[i].Tags = routes[i].to.target.Tags
	}
	return all, nil
}

// copy copies all but the tags, which the push moves; it is nil where there is no registry.
func (b *Builder) copy(ctx context.Context, c Copy, from, to *place) (Copied, *registry.Push, error) {
	source, root, err := from.open(ctx, b.Client)
	if err != nil {
		return Copied{}, nil, err
	}
	if c.Platform != "" {
		if root, err = ofPlatform(ctx, source, root, c.Platform); err != nil {
			return Copied{}, nil, err
		}
	}
	collection, err := graph.Collect(ctx, source, root)
	if err != nil {
		return Copied{}, nil, err
	}
	done := Copied{Digest: root.String(), Attached: len(collection.Attached), Signed: len(collection.Tags)}
	switch to.kind {
	case inLayout:
		done.Output = to.path
		return done, nil, oci.AddCollection(ctx, to.path, collection, to.refName)
	case inArchive:
		done.Output = to.path
		return done, nil, oci.WriteCollection(ctx, to.path, collection, to.refName)
	}
	push, err := b.Client.Push(to.target)
	if err != nil {
		return Copied{}, nil, err
	}
	ref, err := push.Collection(ctx, collection)
	var rejected *registry.RejectedError
	if errors.As(err, &rejected) {
		b.reporter().Warn(rejected.Error())
		err = nil
	}
	done.Reference = ref.String()
	return done, push, err
}

// place is where an image is or goes.
type place struct {
	kind placeKind
	// ref is a reference in a registry, whose tag was given if tagged says so.
	ref    name.Reference
	tagged bool
	target Target
	// path is that of an archive or layout, and refName the name of the entry.
	path, refName string
}

type placeKind int

const (
	inRegistry placeKind = iota
	inLayout
	inArchive
)

// parsePlace reads the source or destination of a copy.
func parsePlace(field, value string) (*place, error) {
	wrong := func(problem string) (*place, error) {
		return nil, Faults{{Field: field, Value: value, Problem: problem, Hint: "write a reference like ghcr.io/me/api:v1.2.3, or oci:DIR for an OCI layout, or oci-archive:FILE"}}
	}
	p := &place{}
	if path, ok := strings.CutPrefix(value, "oci-archive:"); ok {
		p.kind, p.path = inArchive, path
	} else if path, ok := strings.CutPrefix(value, "oci:"); ok {
		p.kind, p.path = inLayout, path
	} else if location, _ := oci.SplitLayout(value); strings.HasSuffix(location, ".tar") || field != "destination" && isFile(value) {
		p.kind, p.path = inArchive, value
	} else if _, err := os.Stat(filepath.Join(location, "oci-layout")); err == nil {
		p.kind, p.path = inLayout, value
	}
	if p.kind != inRegistry {
		if p.path == "" {
			return wrong("it names no path")
		}
		return p, nil
	}
	var err error
	if p.ref, err = name.ParseReference(value); err != nil || strings.HasPrefix(value, ".") || strings.HasPrefix(value, "/") {
		return wrong("neither an archive, nor a layout, nor a reference")
	}
	p.target.Repository = value
	if colon := strings.LastIndexByte(value, ':'); colon > strings.LastIndexByte(value, '/') {
		p.tagged = true
		p.target.Repository, p.target.Tags = value[:colon], []string{value[colon+1:]}
	}
	return p, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// asDestination completes a destination by what it takes from the source.
func (p *place) asDestination(from *place) error {
	tag := ""
	if _, isTag := from.ref.(name.Tag); isTag {
		tag = from.ref.Identifier()
	}
	if p.kind != inRegistry {
		if p.path, p.refName = oci.SplitLayout(p.path); p.refName == "" {
			p.refName = tag
		}
		return nil
	}
	if !p.tagged && tag != "" {
		p.target.Tags = []string{tag}
	}
	if _, isDigest := p.ref.(name.Digest); isDigest {
		return Faults{{Field: "destination", Value: p.ref.String(), Problem: "it has a digest, which the source decides", Hint: "leave it out, or write a tag in its place"}}
	}
	return p.target.Validate().Err()
}

// open finds the image there.
func (p *place) open(ctx context.Context, client *registry.Client) (graph.Source, v1.Hash, error) {
	if p.kind != inRegistry {
		return oci.OpenLayout(ctx, p.path, p.kind == inArchive)
	}
	source := client.Source(p.ref.Context())
	if _, isDigest := p.ref.(name.Digest); isDigest {
		root, err := v1.NewHash(p.ref.Identifier())
		return source, root, err
	}
	root, err := source.Tagged(ctx, p.ref.Identifier())
	return source, root, err
}

// ofPlatform is the digest of an index's image for a platform.
func ofPlatform(ctx context.Context, source graph.Source, root v1.Hash, platform string) (v1.Hash, error) {
	want, err := v1.ParsePlatform(platform)
	if err != nil {
		return v1.Hash{}, err
	}
	raw, err := source.Manifest(ctx, root)
	if err != nil {
		return v1.Hash{}, err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(raw, &index); err != nil {
		return v1.Hash{}, fmt.Errorf("the manifest %s: %w", root, err)
	}
	wrong := func(problem, hint string) (v1.Hash, error) {
		return v1.Hash{}, Faults{{Field: "platform", Value: platform, Problem: problem, Hint: hint}}
	}
	if index.Manifests == nil {
		return wrong("the source is an image for one platform, and no index", "leave --platform out")
	}
	var offers []string
	for _, m := range index.Manifests {
		if m.Platform == nil || m.Platform.OS == "unknown" {
			continue
		}
		if m.Platform.Satisfies(*want) {
			return m.Digest, nil
		}
		offers = append(offers, m.Platform.String())
	}
	return wrong("the source has no image for it", "choose from "+strings.Join(offers, ", "))
}
