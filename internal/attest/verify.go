package attest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/attest/sbom"
	"github.com/slipway-ci/slipway/internal/registry"
)

// Verified is an image or index whose attestations hold.
type Verified struct {
	Digest string `json:"digest"`
	// Platform is empty for an index.
	Platform string `json:"platform,omitempty"`
	// Signatures are the formats in which there is a signature by the key.
	Signatures []Format `json:"signatures"`
	// Signers are whom the certificates of keyless signatures name.
	Signers []string `json:"signers,omitempty"`
	// SBOM is the format of the bill of materials; empty for an index, which has none.
	SBOM sbom.Format `json:"sbom,omitempty"`
	// Provenance is what the statement says.
	Provenance provenance.Predicate `json:"provenance"`
}

// What is verified at most, however much a registry lists: images of one index, and the time for it all in which what is
// slow but honest is read. What one image's signatures and statements may have is a bound of [registry.Layers]
// and [registry.Referring].
const (
	imageLimit  = 200
	configLimit = 8 << 20 // bytes
	timeLimit   = 20 * time.Minute
	// atATime bounds the memory, too: that many images' statements are read side by side.
	atATime = 4
)

// Verify verifies the image or index under ref, and each image in an index: that it was signed, its provenance by Slipway, and
// the bill of materials of each image, in whichever format each is there. The error names everything that does not hold. The first of the result is what ref leads to.
func Verify(ctx context.Context, client registry.Reader, ref name.Reference, verifier Verifier) ([]Verified, error) {
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

func (v *Verified) verify(ctx context.Context, client registry.Reader, repository name.Repository, verifier Verifier) error {
	digest, err := v1.NewHash(v.Digest)
	if err != nil {
		return err
	}
	what := "the index " + v.Digest
	if v.Platform != "" {
		what = fmt.Sprintf("the image %s for %s", v.Digest, v.Platform)
	}
	if err := gather(ctx, client, repository.Digest(v.Digest), digest, verifier).judge(v); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
