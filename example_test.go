package slipway_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/slipway-ci/slipway"
)

// exampleModule writes a small Go module into a new directory.
func exampleModule() (dir string) {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	for name, text := range map[string]string{
		"go.mod":  "module example.com/hello\n\ngo 1.26.8\n",
		"main.go": "package main\n\nfunc main() { println(\"hello\") }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	return dir
}

func ExampleRequest_Plan() {
	dir := exampleModule()
	defer os.RemoveAll(dir)

	request := slipway.Request{Dir: dir}
	request.Settings.Runtime = "scratch"
	request.Settings.Ports = []string{"8080"}
	images, err := request.Plan(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	plan := images[0].Plan
	fmt.Println(plan.Name, plan.Platforms(), plan.Image.User, plan.Image.Ports)
	// Output: hello [linux/amd64 linux/arm64] 1000:1000 [8080/tcp]
}

func ExampleFaults() {
	dir := exampleModule()
	defer os.RemoveAll(dir)

	request := slipway.Request{Dir: dir, To: &slipway.Registry{}}
	request.Settings.Runtime = "busybox"
	request.Settings.Repository = "ghcr.io/Me/hello"
	_, err := request.Plan(context.Background())
	fmt.Println(err)
	// Output:
	// runtime "busybox": no such runtime: choose from distroless, distroless-base, debian, alpine, scratch, or name an image with --base
	// repository "ghcr.io/Me/hello": repository names are lower case: use ghcr.io/me/hello
}

// An archive of an image, as slipway build writes it.
func ExampleBuilder_Build() {
	dir := exampleModule()
	defer os.RemoveAll(dir)
	ctx := context.Background()

	request := slipway.Request{Dir: dir, To: &slipway.Files{}, Output: filepath.Join(dir, "hello.tar")}
	request.Settings.Runtime = "scratch"
	request.Settings.Platforms = []string{"linux/amd64"}
	images, err := request.Plan(ctx)
	if err != nil {
		log.Fatal(err)
	}
	builder, err := slipway.Host(ctx, os.Environ())
	if err != nil {
		log.Fatal(err)
	}
	defer builder.Close()
	results := builder.Build(ctx, images)
	if err := slipway.Failures(results); err != nil {
		log.Fatal(err)
	}
	fmt.Println(filepath.Base(results[0].Output), results[0].Platforms[0].Platform)
	// Output: hello.tar linux/amd64
}

// An image in a registry, with a bill of materials.
func ExampleRegistry() {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	dir := exampleModule()
	defer os.RemoveAll(dir)
	ctx := context.Background()

	request := slipway.Request{Dir: dir, To: &slipway.Registry{SBOM: slipway.CycloneDX}}
	request.Settings.Runtime = "scratch"
	request.Settings.Platforms = []string{"linux/amd64"}
	request.Settings.Repository = host + "/me/{{.Name}}"
	images, err := request.Plan(ctx)
	if err != nil {
		log.Fatal(err)
	}
	builder, err := slipway.Host(ctx, os.Environ())
	if err != nil {
		log.Fatal(err)
	}
	defer builder.Close()
	results := builder.Build(ctx, images)
	if err := slipway.Failures(results); err != nil {
		log.Fatal(err)
	}
	repository, _, _ := strings.Cut(results[0].Reference, "@")
	fmt.Println(strings.TrimPrefix(repository, host), results[0].Tags)
	// Output: /me/hello [latest]
}
