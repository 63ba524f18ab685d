package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"mvdan.cc/sh/v3/syntax"

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
		var text []byte
		if at.Kind == bundle || at.Kind == statement {
			var err error
			if text, err = readBlob(ctx, source, a.Digest, manifests[a.Digest]); err != nil {
				return fmt.Errorf("reading the attachment %s: %w", a.Digest, err)
			}
		}
		switch at.Kind {
		case bundle:
			var who Signer
			who.Identity, who.Issuer = signing.ClaimedSigner(text)
			if who != (Signer{}) && !slices.Contains(r.Signers, who) {
				r.Signers = append(r.Signers, who)
			}
		case statement:
			switch predicateType, build := readStatement(text); {
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

// blobLimit bounds what is read of an attachment, in bytes.
const blobLimit = 16 << 20

// readBlob reads what the manifest of an attachment has; nothing if it has not one blob.
func readBlob(ctx context.Context, source graph.Source, digest v1.Hash, raw []byte) (_ []byte, err error) {
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil || len(m.Layers) != 1 {
		return nil, err
	}
	blob, err := source.Blob(digest, m.Layers[0])
	if err != nil {
		return nil, err
	}
	content, err := blob.Compressed()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	text, err := io.ReadAll(io.LimitReader(content, blobLimit))
	return text, errors.Join(err, ctx.Err())
}

// readStatement reads a statement: its type and, if it is of how something was built, what it says.
func readStatement(text []byte) (predicateType string, _ *Build) {
	var s struct {
		PredicateType string               `json:"predicateType"`
		Predicate     provenance.Predicate `json:"predicate"`
	}
	if json.Unmarshal(text, &s) != nil || s.PredicateType != provenance.PredicateType {
		return s.PredicateType, nil
	}
	p := s.Predicate
	b := &Build{
		Builder: p.RunDetails.Builder.ID, Version: p.RunDetails.Builder.Version["slipway"],
		Settings: p.BuildDefinition.ExternalParameters, Sources: p.BuildDefinition.ResolvedDependencies,
	}
	if m := p.RunDetails.Metadata; m != nil {
		b.Run = m.InvocationID
	}
	return s.PredicateType, b
}

// RunCommand is how to run an image: by docker of one in a registry, and by podman, which reads archives, of any other. ports are those of
// the image; empty if a shell cannot be given them.
func RunCommand(target string, ports []string) string {
	command := []string{"docker", "run", "--rm"}
	if strings.HasPrefix(target, "oci") {
		command[0] = "podman"
	}
	for _, port := range ports {
		number, protocol, _ := strings.Cut(port, "/")
		publish := number + ":" + number
		if protocol != "" && protocol != "tcp" {
			publish += "/" + protocol
		}
		command = append(command, "--publish", publish)
	}
	return inShell(append(command, target)...)
}

// VerifyCommand is how to verify an image in a registry: by the identity that its first certificate claims, or else by a public key that
// its maker has published.
func (r *Report) VerifyCommand() string {
	command := []string{"slipway", "verify"}
	if len(r.Signers) > 0 {
		by := []string{"--certificate-identity", r.Signers[0].Identity, "--certificate-oidc-issuer", r.Signers[0].Issuer, r.Reference}
		if text := inShell(slices.Concat(command, by)...); text != "" {
			return text
		}
	}
	return inShell(append(command, "--key", "cosign.pub", r.Reference)...)
}

// inShell is a command to paste into a shell, which runs nothing of what an image claims; empty if a word cannot be quoted.
func inShell(words ...string) string {
	for i := range words {
		var err error
		if words[i], err = syntax.Quote(words[i], syntax.LangPOSIX); err != nil {
			return ""
		}
	}
	return strings.Join(words, " ")
}
