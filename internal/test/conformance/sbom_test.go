package conformance

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/CycloneDX/cyclonedx-go" // its module carries the schemas
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/slipway-ci/slipway/internal/attest/sbom"
)

// Bills of materials of all kinds of images have the form that CycloneDX's own schema asks for. SPDX's schema comes in no
// Go module; package sbom has SPDX's own library read and validate its documents.
func TestCycloneDXFollowsItsSchema(t *testing.T) {
	dir := goCommand(t, "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go")
	compiler := jsonschema.NewCompiler()
	for _, name := range []string{"bom-1.6.schema.json", "spdx.schema.json", "jsf-0.82.schemax.json"} {
		f, err := os.Open(filepath.Join(dir, "schema", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := compiler.AddResource("http://cyclonedx.org/schema/"+strings.Replace(name, "schemax", "schema", 1), f); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}

	program := filepath.Join(t.TempDir(), "program")
	goCommand(t, "build", "-C", "../../..", "-o", program, "./internal/attest/sbom/testdata/program")
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	modules := sbom.NewModules(os.DirFS(goCommand(t, "env", "GOMODCACHE")))
	for name, files := range map[string]map[string]string{
		"scratch": {"etc/passwd": "root:x:0:0::/:\n"},
		"distroless": {
			"usr/lib/os-release":            "ID=debian\nVERSION_ID=\"12\"\n",
			"var/lib/dpkg/status.d/tzdata":  "Package: tzdata\nVersion: 2024a-0+deb12u1\nArchitecture: all\nDepends: libc6\n",
			"var/lib/dpkg/status.d/libc6":   "Package: libc6\nSource: glibc\nVersion: 2.36-9+deb12u9\nArchitecture: amd64\n",
			"var/lib/dpkg/status.d/libssl3": "Package: libssl3\nVersion: 1:3\nArchitecture: amd64\n",
		},
		"alpine": {"lib/apk/db/installed": "P:musl\nV:1.2.5-r9\nA:x86_64\nL:MIT\n\nP:odd\nV:1\nA:x86_64\nL:our own\n"},
	} {
		t.Run(name, func(t *testing.T) {
			files["app/program"] = string(binary)
			img := imageWith(t, files)
			inventory, err := sbom.Read(t.Context(), img, sbom.Options{Name: name, Version: "v1", Modules: modules})
			if err != nil {
				t.Fatal(err)
			}
			document, err := inventory.Encode(sbom.CycloneDX)
			if err != nil {
				t.Fatal(err)
			}
			var value any
			if err := json.Unmarshal(document, &value); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(value); err != nil {
				t.Errorf("%#v\n%s", err, document)
			}
		})
	}
}

func goCommand(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS=linux")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func imageWith(t *testing.T, files map[string]string) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	return img
}
