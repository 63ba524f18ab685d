package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/attest/vex"
	"github.com/slipway-ci/slipway/internal/oci/graph"
)

// Build is what a provenance says.
type Build struct {
	Builder  string         `json:"builder"`
	Version  string         `json:"version,omitempty"`
	Settings map[string]any `json:"settings,omitempty"`
	// Sources are what went into it, by their names: the source with its commit, modules, bases.
	Sources []provenance.Resource `json:"sources,omitempty"`
	Run     string                `json:"run,omitempty"`
}

// Kinds of attachments, for people.
const (
	bundle    = "Sigstore bundle"
	statement = "provenance"
)

// attached reports what collection has besides the image.
func (r *Report) attached(ctx context.Context, source graph.Source, collection *graph.Collection) error {
	manifests := map[v1.Hash][]byte{}
	for _, n := range collection.Nodes {
		if n.Blob == nil {
			manifests[n.Digest] = n.Manifest
		}
	}
	for _, a := range collection.Attached {
		at := Attachment{Kind: kindOf(a.ArtifactType), Type: a.ArtifactType, Digest: a.Digest.String(), Subject: a.Subject.String()}
		if at.Kind == statement {
			predicateType, build, err := readStatement(ctx, source, a.Digest, manifests[a.Digest])
			if err != nil {
				return fmt.Errorf("reading the attachment %s: %w", a.Digest, err)
			}
			switch {
			case predicateType == vex.PredicateType:
				at.Kind = "VEX"
			case build == nil:
				at.Kind = "in-toto statement"
			case r.Build == nil || a.Subject == collection.Root.Digest:
				r.Build = build
			}
		}
		r.Attached = append(r.Attached, at)
	}
	return nil
}

func kindOf(mediaType string) string {
	for _, f := range sbom.Formats {
		if f.MediaType() == mediaType {
			return "bill of materials, " + string(f)
		}
	}
	switch {
	case signing.IsBundle(mediaType):
		return bundle
	case mediaType == provenance.MediaType:
		return statement
	default:
		return mediaType
	}
}

// statementLimit bounds what is read of a statement, in bytes.
const statementLimit = 16 << 20

// readStatement reads a statement: its type and, if it is of how something was built, what it says.
func readStatement(ctx context.Context, source graph.Source, digest v1.Hash, raw []byte) (predicateType string, _ *Build, err error) {
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil || len(m.Layers) != 1 {
		return "", nil, err
	}
	blob, err := source.Blob(digest, m.Layers[0])
	if err != nil {
		return "", nil, err
	}
	content, err := blob.Compressed()
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	text, err := io.ReadAll(io.LimitReader(content, statementLimit))
	if err != nil {
		return "", nil, err
	}
	if ctx.Err() != nil {
		return "", nil, ctx.Err()
	}
	var s struct {
		PredicateType string               `json:"predicateType"`
		Predicate     provenance.Predicate `json:"predicate"`
	}
	if json.Unmarshal(text, &s) != nil || s.PredicateType != provenance.PredicateType {
		return s.PredicateType, nil, nil
	}
	p := s.Predicate
	b := &Build{
		Builder: p.RunDetails.Builder.ID, Version: p.RunDetails.Builder.Version["slipway"],
		Settings: p.BuildDefinition.ExternalParameters, Sources: p.BuildDefinition.ResolvedDependencies,
	}
	if m := p.RunDetails.Metadata; m != nil {
		b.Run = m.InvocationID
	}
	return s.PredicateType, b, nil
}

// RunCommand is how to run an image: by docker of one in a registry, and by podman, which reads archives, of any other. ports are those of
// the image.
func RunCommand(target string, ports []string) string {
	command := "docker run --rm"
	if strings.HasPrefix(target, "oci") {
		command = "podman run --rm"
	}
	for _, port := range ports {
		number, protocol, _ := strings.Cut(port, "/")
		publish := number + ":" + number
		if protocol != "" && protocol != "tcp" {
			publish += "/" + protocol
		}
		command += " --publish " + publish
	}
	return command + " " + target
}

// VerifyCommand is how to verify an image in a registry, by a public key that its maker has published.
func VerifyCommand(reference string) string { return "slipway verify --key cosign.pub " + reference }
