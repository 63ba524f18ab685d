package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"
)

// bases are stand-ins for the images that the runtimes build on, by repository and tag as their registries have them. They
// carry what programs and Slipway look for there. distroless-base has the C library of the machine, so that a program that
// needs it runs.
var bases = map[string]func(t *testing.T, arch string) []tarFile{
	"distroless/static-debian13:nonroot": func(*testing.T, string) []tarFile { return distroless },
	"distroless/base-debian13:nonroot": func(t *testing.T, arch string) []tarFile {
		return append(machineLibc(t, arch), distroless...)
	},
	"library/alpine:3.24.2": func(*testing.T, string) []tarFile {
		return []tarFile{
			{name: "bin/sh", mode: 0o755, content: "not really a shell"},
			{name: "etc/alpine-release", mode: 0o644, content: "3.24.2\n"},
			{name: "etc/group", mode: 0o644, content: "root:x:0:root\n"},
			{name: "etc/passwd", mode: 0o644, content: "root:x:0:0:root:/root:/bin/sh\n"},
		}
	},
}

type tarFile struct {
	name    string
	mode    int64
	content string
}

var distroless = []tarFile{
	{name: "etc/group", mode: 0o644, content: "root:x:0:\nnonroot:x:65532:\n"},
	{name: "etc/passwd", mode: 0o644, content: "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"},
	{name: "etc/os-release", mode: 0o644, content: "ID=\"debian\"\nVERSION_ID=\"13\"\n"},
	{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: "none\n"},
}

// machineLibc are the files that a program that uses C needs, where this machine is of that architecture.
func machineLibc(t *testing.T, arch string) []tarFile {
	t.Helper()
	if arch != "amd64" {
		return nil
	}
	var files []tarFile
	for _, name := range []string{"/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"} {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil // another distribution: the test that runs such a program says so
		}
		files = append(files, tarFile{name: name[1:], mode: 0o755, content: string(content)})
	}
	return files
}

// pushBases puts the stand-ins into a registry, for two platforms each.
func pushBases(t *testing.T, host string, options ...remote.Option) {
	t.Helper()
	for repository, files := range bases {
		pushBase(t, host, repository, files, options...)
	}
}

// pushBase puts a stand-in into a registry.
func pushBase(t *testing.T, host, repository string, files func(t *testing.T, arch string) []tarFile, options ...remote.Option) {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, types.DockerManifestList)
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := mutate.AppendLayers(empty.Image, dockerLayer(t, files(t, arch)))
		require.NoError(t, err)
		config, err := img.ConfigFile()
		require.NoError(t, err)
		config = config.DeepCopy()
		config.OS, config.Architecture = "linux", arch
		config.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
		config.Config.User, config.Config.Cmd = "0", []string{"/bin/sh"}
		img, err = mutate.ConfigFile(img, config)
		require.NoError(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	ref, err := name.NewTag(host + "/" + repository)
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(ref, index, options...))
}

func dockerLayer(t *testing.T, files []tarFile) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.content)), Typeflag: tar.TypeReg}))
		_, err := io.WriteString(w, f.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	require.NoError(t, err)
	return layer
}

// withLogin is for registries that want one.
func withLogin(user, password string) remote.Option {
	return remote.WithAuth(&authn.Basic{Username: user, Password: password})
}

// copyExample copies an example into a directory, without what git does not track.
func copyExample(t *testing.T, example string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), example)
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "examples", example))))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "dist")))
	return dir
}
