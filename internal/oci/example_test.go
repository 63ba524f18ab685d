package oci_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/oci/roots"
)

// An image from nothing, with one program in it, in a file that docker, podman, skopeo and crane read.
func Example() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	ctx, created := context.Background(), time.Unix(0, 0)

	store, err := cache.Open(filepath.Join(dir, "layers"))
	check(err)
	layer, err := oci.NewLayer(ctx, store, []oci.File{
		oci.FromBytes("/app/hello", 0o755, []byte("a program")),
		oci.FromBytes("/etc/ssl/certs/ca-certificates.crt", 0o644, roots.PEM()),
	}, created, oci.Compression{})
	check(err)
	img, err := oci.New(oci.Spec{
		Platform: v1.Platform{OS: "linux", Architecture: "amd64"},
		Layers:   []oci.Layer{{Layer: layer, CreatedBy: "an example"}},
		Config:   v1.Config{User: "65532:65532", Entrypoint: []string{"/app/hello"}},
		Created:  created,
	})
	check(err)
	check(oci.WriteArchive(ctx, filepath.Join(dir, "hello.tar"), img, "v1"))

	files, err := oci.NewFileSystem(ctx, img)
	check(err)
	content, err := files.ReadFile(ctx, "/app/hello")
	check(err)
	fmt.Println(string(content))
	// Output: a program
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
