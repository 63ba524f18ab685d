package attest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/registry"
)

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// Verified is an image or index whose attestations hold.
type Verified struct {
	Digest string `json:"digest"`
	// Platform is empty for an index.
	Platform string `json:"platform,omitempty"`
	// SBOM is the format of the bill of materials; empty for an index, which has none.
	SBOM sbom.Format `json:"sbom,omitempty"`
	// Provenance is what the statement says.
	Provenance provenance.Predicate `json:"provenance"`
}

// What is verified at most, however much a registry lists: images of one index, and the time for it all in which what is
// slow but honest is read. What one image's signatures and statements may have is a bound of [registry.Layers].
const (
	imageLimit  = 200
	configLimit = 8 << 20 // bytes
	timeLimit   = 20 * time.Minute
	// atATime bounds the memory, too: that many images' statements are read side by side.
	atATime = 4
)

// Verify verifies the image or index under ref, and each image in an index: that the key signed it, its provenance by Slipway, and
// the bill of materials of each image. The error names everything that does not hold. The first of the result is what ref leads to.
func Verify(ctx context.Context, client registry.Getter, ref name.Reference, verifier *signing.Verifier) ([]Verified, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeLimit, fmt.Errorf("verifying %s took more than %v: try again where the network is faster", ref, timeLimit))
	defer cancel()
	desc, err := client.Get(ctx, ref)
	if err != nil {
		return nil, overdue(ctx, err)
	}
	// By its content, and not by what the registry calls it.
	digest, _, err := v1.SHA256(bytes.NewReader(desc.Manifest))
	if err != nil {
		return nil, err
	}
	subjects := []Verified{{Digest: digest.String()}}
	if desc.MediaType.IsIndex() {
		index, err := v1.ParseIndexManifest(bytes.NewReader(desc.Manifest))
		if err != nil {
			return nil, fmt.Errorf("reading the index %s: %w", ref, err)
		}
		if len(index.Manifests) > imageLimit {
			return nil, fmt.Errorf("the index %s has %d images, more than the %d that are verified", ref, len(index.Manifests), imageLimit)
		}
		for _, m := range index.Manifests {
			s := Verified{Digest: m.Digest.String(), Platform: "an unknown platform"}
			if m.Platform != nil {
				s.Platform = m.Platform.String()
			}
			subjects = append(subjects, s)
		}
	} else {
		img, err := desc.Image()
		if err != nil {
			return nil, err
		}
		manifest, err := img.Manifest()
		if err != nil {
			return nil, err
		}
		if manifest.Config.Size > configLimit {
			return nil, fmt.Errorf("the configuration of %s has %d bytes, more than the %d that are read", ref, manifest.Config.Size, configLimit)
		}
		config, err := img.ConfigFile()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", ref, err)
		}
		subjects[0].Platform = config.Platform().String()
	}

	faults := make([]error, len(subjects))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atATime)
	for i := range subjects {
		group.Go(func() error {
			faults[i] = subjects[i].verify(groupCtx, client, ref.Context(), verifier)
			return nil
		})
	}
	_ = group.Wait() // all faults are reported
	if err := errors.Join(faults...); err != nil {
		return nil, overdue(ctx, err)
	}
	return subjects, nil
}

// overdue is why ctx ended if its time is over, else err.
func overdue(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}

func (v *Verified) verify(ctx context.Context, client registry.Getter, repository name.Repository, verifier *signing.Verifier) error {
	digest, err := v1.NewHash(v.Digest)
	if err != nil {
		return err
	}
	what := "the index " + v.Digest
	if v.Platform != "" {
		what = fmt.Sprintf("the image %s for %s", v.Digest, v.Platform)
	}
	signatures, err := registry.Layers(ctx, client, repository.Tag(registry.TagFor(digest, signatureSuffix)))
	if err != nil {
		return err
	}
	if err := signed(signatures, digest, verifier); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	envelopes, err := registry.Layers(ctx, client, repository.Tag(registry.TagFor(digest, attestationSuffix)))
	if err != nil {
		return err
	}
	if err := v.statements(envelopes, digest, verifier); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// signed wants one signature that holds.
func signed(layers []registry.Layer, digest v1.Hash, verifier *signing.Verifier) error {
	if len(layers) == 0 {
		return errors.New("it is not signed: publish it with --sign-key")
	}
	var faults []error
	for _, l := range layers {
		err := verifyLayer(l, verifier)
		if err == nil {
			err = signing.CheckPayload(l.Content, digest)
		}
		if err == nil {
			return nil
		}
		faults = append(faults, err)
	}
	return fmt.Errorf("none of its signatures (%d) holds: %w", len(layers), errors.Join(faults...))
}

func verifyLayer(l registry.Layer, verifier *signing.Verifier) error {
	signature, err := base64.StdEncoding.DecodeString(l.Annotations[annotationSignature])
	if err != nil || l.MediaType != signatureMediaType {
		return errors.New("it is no signature in cosign's form")
	}
	return verifier.Verify(l.Content, signature)
}

// statement is an in-toto statement whose predicate is to be read yet.
type statement struct {
	provenance.Statement
	Predicate json.RawMessage `json:"predicate"`
}

// statements wants provenance of this digest by Slipway and, for an image, its bill of materials, both by this key.
func (v *Verified) statements(layers []registry.Layer, digest v1.Hash, verifier *signing.Verifier) error {
	var faults []error
	found := map[string]json.RawMessage{}
	for _, l := range layers {
		payload, err := verifier.Open(l.Content, provenance.MediaType)
		if err != nil {
			faults = append(faults, fmt.Errorf("its statement of type %q: %w", l.Annotations[annotationPredicateType], err))
			continue
		}
		var s statement
		if err := json.Unmarshal(payload, &s); err != nil || s.Type != provenance.StatementType {
			faults = append(faults, errors.New("one of its statements is no in-toto statement"))
			continue
		}
		about := func(r provenance.Resource) bool { return r.Digest[digest.Algorithm] == digest.Hex }
		if !slices.ContainsFunc(s.Subject, about) {
			faults = append(faults, fmt.Errorf("its statement of type %q is about something else", s.PredicateType))
			continue
		}
		found[s.PredicateType] = s.Predicate
	}
	raw, ok := found[provenance.PredicateType]
	if !ok {
		return errors.Join(append(faults, errors.New("no signed provenance: publish it with --sign-key and without --provenance=false, or an archive with --predicate"))...)
	}
	if err := json.Unmarshal(raw, &v.Provenance); err != nil {
		return fmt.Errorf("its provenance cannot be read: %w", err)
	}
	if id := v.Provenance.RunDetails.Builder.ID; !strings.HasPrefix(id, provenance.BuilderPrefix) {
		return fmt.Errorf("it was built by %q, which is not Slipway", id)
	}
	if v.Platform == "" {
		return nil
	}
	for _, format := range sbom.Formats {
		if _, ok := found[format.PredicateType()]; ok {
			v.SBOM = format
			return nil
		}
	}
	return errors.Join(append(faults, errors.New("no signed bill of materials: publish it with --sign-key and without --sbom none"))...)
}
