// Package conformance holds Slipway's output against other people's specifications: its Dockerfiles against BuildKit's
// parser and linter, its images and bills of materials against the JSON schemas of the OCI and of CycloneDX. It is another module because BuildKit brings a
// hundred others, which nothing else here needs.
package conformance

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/subrequests/lint"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"github.com/slipway-ci/slipway/internal/test/planfile"
)

func TestBuildKitFindsNothing(t *testing.T) {
	found := 0
	for _, file := range planfile.All(t) {
		text, ok := file.Expected("plan.Dockerfile")
		if !ok {
			continue
		}
		found++
		t.Run(file.Name, func(t *testing.T) {
			if findings := warnings(t, []byte(text)); len(findings) > 0 {
				t.Errorf("%+v", findings)
			}
		})
	}
	if found < 20 {
		t.Errorf("only %d Dockerfiles", found)
	}
}

// Those of the documentation are built from the examples.
func TestBuildKitFindsNothingInTheDocumentation(t *testing.T) {
	pages, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range regexp.MustCompile("(?s)```dockerfile\n(.*?)```\n").FindAllSubmatch(text, -1) {
			found++
			if findings := warnings(t, block[1]); len(findings) > 0 {
				t.Errorf("%s: the Dockerfile number %d: %+v", page, i+1, findings)
			}
		}
	}
	if found < 9 {
		t.Errorf("only %d Dockerfiles", found)
	}
}

// Without this, a linter that never finds anything would pass.
func TestBuildKitFindsWhatIsWrong(t *testing.T) {
	if findings := warnings(t, []byte("FROM scratch as x\nMAINTAINER y\n")); len(findings) == 0 {
		t.Error("no findings in a Dockerfile that has two")
	}
}

func warnings(t *testing.T, text []byte) []lint.Warning {
	t.Helper()
	caps := pb.Caps.CapSet(pb.Caps.All())
	source := llb.Local("context")
	sourceMap := llb.NewSourceMap(&source, "Dockerfile", "Dockerfile", text)
	sourceMap.Definition = &llb.Definition{} // where the file itself would be read from
	results, err := dockerfile2llb.DockerfileLint(t.Context(), text, dockerfile2llb.ConvertOpt{
		LLBCaps: &caps, MainContext: &source, MetaResolver: anyImage{}, SourceMap: sourceMap,
	})
	if err != nil {
		t.Fatal(err)
	}
	if results.Error != nil {
		t.Fatalf("BuildKit cannot convert it: %s", results.Error.Message)
	}
	return results.Warnings
}

// anyImage answers for every base image, so that no registry is asked.
type anyImage struct{}

func (anyImage) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	config := []byte(`{"os": "linux", "architecture": "amd64", "config": {}}`)
	return ref, digest.FromBytes(config), config, nil
}
