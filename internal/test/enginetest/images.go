package enginetest

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
)

var amd64, arm64 = v1.Platform{OS: "linux", Architecture: "amd64"}, v1.Platform{OS: "linux", Architecture: "arm64"}

// scratch: the whole file system is Slipway's.
func (s suite) scratch(t *testing.T) {
	result := s.mustBuild(t, extract(t, hello), plan.Config{Runtime: "scratch"})
	for _, img := range result.Images {
		files := Files(t, img)
		owned := map[string]string{}
		for name, f := range files {
			owned[name] = f.Owned()
			assert.Equal(t, time.Unix(0, 0).UTC(), f.Time, name)
		}
		assert.Equal(t, map[string]string{
			"/app":                               "drwxr-xr-x 0:0",
			"/app/hello":                         "-rwxr-xr-x 0:0",
			"/etc":                               "drwxr-xr-x 0:0",
			"/etc/group":                         "-rw-r--r-- 0:0",
			"/etc/passwd":                        "-rw-r--r-- 0:0",
			"/etc/ssl":                           "drwxr-xr-x 0:0",
			"/etc/ssl/certs":                     "drwxr-xr-x 0:0",
			"/etc/ssl/certs/ca-certificates.crt": "-rw-r--r-- 0:0",
			"/home":                              "drwxr-xr-x 0:0",
			"/home/app":                          "drwx------ 1000:1000",
			"/tmp":                               "dtrwxrwxrwx 0:0",
		}, owned)
		config, err := img.ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/app"}, config.Config.Env)
		assert.Equal(t, "root:x:0:0:root:/:/sbin/nologin\napp:x:1000:1000:app:/home/app:/sbin/nologin\n", files["/etc/passwd"].Content)
		assert.Contains(t, files["/etc/ssl/certs/ca-certificates.crt"].Content, "-----BEGIN CERTIFICATE-----")
		assert.Positive(t, img.BinarySize)
		assert.Len(t, files["/app/hello"].Content, int(img.BinarySize))
	}
}

// base: a base's files and settings are kept, but for what would start something else or as somebody else.
func (s suite) base(t *testing.T) {
	base := newBase(t, map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nguest:x:405:100:guest:/dev/null:/sbin/nologin\n",
		"etc/group":  "root:x:0:root\nusers:x:1000:", // taken, and no newline at the end
		"bin/sh":     "shell",
	}, amd64, arm64)
	for _, img := range s.mustBuild(t, extract(t, hello), plan.Config{Runtime: "alpine", Base: base}).Images {
		files := Files(t, img)
		assert.Equal(t, "shell", files["/bin/sh"].Content)
		assert.Equal(t, "root:x:0:0:root:/root:/bin/sh\nguest:x:405:100:guest:/dev/null:/sbin/nologin\napp:x:1000:1000:app:/home/app:/sbin/nologin\n", files["/etc/passwd"].Content)
		assert.Equal(t, "root:x:0:root\nusers:x:1000:", files["/etc/group"].Content)
		config, err := img.ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, []string{"PATH=/bin:/app", "FROM_BASE=1"}, config.Config.Env)
		assert.Equal(t, "drwx------ 1000:1000", files["/home/app"].Owned())
		assert.Equal(t, "kept", config.Config.Labels["base.label"])
		manifest, err := img.Manifest()
		require.NoError(t, err)
		assert.Regexp(t, "^sha256:[0-9a-f]{64}$", manifest.Annotations["org.opencontainers.image.base.digest"])
		for _, layer := range manifest.Layers {
			assert.Equal(t, types.OCILayer, layer.MediaType)
		}
	}

	_, _, err := s.build(t.Context(), t, extract(t, hello), plan.Config{Base: base, Platforms: []string{"linux/s390x"}})
	require.ErrorContains(t, err, "linux/s390x")
	require.ErrorContains(t, err, "linux/amd64", "the error lists what the base has")
}

// caCerts: the bundle of every runtime ends in what the user adds.
func (s suite) caCerts(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate, which may sign
	defer server.Close()
	root := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	const theirs = "the base's own"
	withBundle := newBase(t, map[string]string{"etc/passwd": "", "etc/group": "", "etc/ssl/certs/ca-certificates.crt": theirs}, amd64)
	without := newBase(t, map[string]string{"etc/os-release": "x"}, amd64)
	for name, test := range map[string]struct {
		config plan.Config
		public bool
	}{
		"scratch":             {plan.Config{Runtime: "scratch"}, true},
		"alpine":              {plan.Config{Runtime: "alpine", Base: withBundle}, true},
		"distroless":          {plan.Config{Runtime: "distroless", Base: withBundle}, false},
		"base without bundle": {plan.Config{Base: without}, true},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.Platforms, test.config.CACerts = []string{"linux/amd64"}, root
			bundle := Files(t, s.mustBuild(t, extract(t, hello), test.config).Images[0])["/etc/ssl/certs/ca-certificates.crt"]
			assert.Equal(t, "-rw-r--r-- 0:0", bundle.Owned())
			before, found := strings.CutSuffix(bundle.Content, root)
			require.True(t, found)
			if test.public {
				assert.Greater(t, strings.Count(before, "-----BEGIN CERTIFICATE-----"), 50)
			} else {
				assert.Equal(t, theirs+"\n", before)
			}
		})
	}
}

// writable: on every runtime, the user may write where the settings say, in /tmp and at home, and nowhere else.
func (s suite) writable(t *testing.T) {
	base := newBase(t, map[string]string{"etc/passwd": "", "etc/group": ""}, amd64)
	for name, config := range map[string]plan.Config{
		"scratch":    {Runtime: "scratch"},
		"alpine":     {Runtime: "alpine", Base: base},
		"distroless": {Runtime: "distroless", Base: base},
		"custom":     {Base: base, User: "4000:5000"},
	} {
		t.Run(name, func(t *testing.T) {
			config.Platforms, config.Files = []string{"linux/amd64"}, []string{"main.go:/doc/sub/", "go.mod:/doc/run:0755"}
			config.Writable = []string{"/data/", "/var/lib/app"}
			img := s.mustBuild(t, extract(t, hello), config).Images[0]
			file, err := img.ConfigFile()
			require.NoError(t, err)
			owned := map[string]string{}
			for name, f := range Files(t, img) {
				if f.UID != 0 || f.GID != 0 || f.Mode.Perm()&0o022 != 0 {
					owned[name] = f.Owned()
				}
			}
			delete(owned, "/tmp")
			mine := "drwxr-xr-x " + file.Config.User
			want := map[string]string{"/data": mine, "/var/lib/app": mine}
			if name == "scratch" || name == "alpine" {
				want["/home/app"] = "drwx------ 1000:1000"
			}
			assert.Equal(t, want, owned)
		})
	}
}

// seeded: directories have the group and mode that the settings say, also where the base has them, and what is placed in them is the
// user's.
func (s suite) seeded(t *testing.T) {
	base := "oci:" + PlacementBase(t)
	dir := extract(t, hello+"-- web/a --\na\n-- web/sub/b --\nb\n")
	require.NoError(t, os.Symlink("a", filepath.Join(dir, "web", "same")))
	files := Files(t, s.mustBuild(t, dir, plan.Config{
		Base: base, Platforms: []string{"linux/amd64"}, Files: []string{"web:/var/run/state/web", "web/a:/owned/x/y:0600", "web:/srv"},
		Writable: []string{"/var/run/state:0:02775", "/owned", "/home/nonroot:0:0775", "/srv/sub:7"}, Links: []string{"/owned/link=/tmp"},
	}).Images[0])
	for name, want := range map[string]string{
		"/run": "drwxr-xr-x 0:0", "/run/state": "dgrwxrwxr-x 65532:0", "/run/state/web": "dgrwxrwxr-x 65532:0", "/run/state/web/sub": "dgrwxrwxr-x 65532:0",
		"/run/state/web/a": "-rw-r--r-- 65532:0", "/run/state/web/sub/b": "-rw-r--r-- 65532:0", "/run/state/web/same": "Lrwxrwxrwx 65532:0",
		"/owned": "drwxr-x--- 65532:65532", "/owned/x": "drwxr-xr-x 65532:65532", "/owned/x/y": "-rw------- 65532:65532", "/owned/link": "Lrwxrwxrwx 65532:65532",
		"/home/nonroot": "drwxrwxr-x 65532:0", "/srv": "drwxr-xr-x 0:0", "/srv/a": "-rw-r--r-- 0:0", "/srv/sub": "drwxr-xr-x 65532:7", "/srv/sub/b": "-rw-r--r-- 65532:7",
	} {
		assert.Equal(t, want, files[name].Owned(), name)
	}
}

// ofPlatforms: each platform has its own file of the source.
func (s suite) ofPlatforms(t *testing.T) {
	dir := extract(t, hello+"-- bin/tool-amd64 --\nfor amd64\n-- bin/tool-arm64 --\nfor arm64\n")
	require.NoError(t, os.Chmod(filepath.Join(dir, "bin", "tool-arm64"), 0o755))
	for i, img := range s.mustBuild(t, dir, plan.Config{Runtime: "scratch", Files: []string{"bin/tool-{{.Arch}}:/bin/tool"}}).Images {
		tool := Files(t, img)["/bin/tool"]
		assert.Equal(t, "for "+[]string{"amd64", "arm64"}[i]+"\n", tool.Content)
		assert.Equal(t, "-rwxr-xr-x 0:0", tool.Owned())
	}
}

// sameName: programs that go build would call the same have places of their own, and building again changes nothing.
func (s suite) sameName(t *testing.T) {
	dir := extract(t, `
-- go.mod --
module example.com/hello

go 1.26.8
-- a/server/main.go --
package main

func main() { println("this is the first server") }
-- b/server/main.go --
package main

func main() { println("this is the second server") }
-- server-2/main.go --
package main

func main() { println("this is the third server") }
`)
	config := plan.Config{
		Runtime: "scratch", Platforms: []string{"linux/amd64", "linux/arm64"},
		Packages: []string{"./a/server", "./b/server=/app/b/server", "./server-2"},
	}
	var digests []string
	for range 2 {
		result := s.mustBuild(t, dir, config)
		for _, img := range result.Images {
			files := Files(t, img)
			assert.Contains(t, files["/app/server"].Content, "the first server")
			assert.Contains(t, files["/app/b/server"].Content, "the second server")
			assert.Contains(t, files["/app/server-2"].Content, "the third server")
		}
		digest, err := result.Artifact.Digest()
		require.NoError(t, err)
		digests = append(digests, digest.String())
	}
	assert.Equal(t, digests[0], digests[1])
}

// noEntrypoint: the program is the command, and an entrypoint of the base stays.
func (s suite) noEntrypoint(t *testing.T) {
	dir := extract(t, hello)
	config := plan.Config{Runtime: "scratch", Platforms: []string{"linux/amd64"}, NoEntrypoint: true, Args: []string{"serve"}}
	for base, want := range map[string][]string{"": nil, newBase(t, map[string]string{"bin/sh": "x"}, amd64): {"/bin/sh"}} {
		if base != "" {
			config.Runtime, config.Base = "", base
		}
		file, err := s.mustBuild(t, dir, config).Images[0].ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, want, file.Config.Entrypoint)
		assert.Equal(t, []string{"/app/hello", "serve"}, file.Config.Cmd)
		config.Runtime, config.Base = "scratch", ""
	}
}

// userName: the user has a name, unless the base has given the name or the number away.
func (s suite) userName(t *testing.T) {
	dir := extract(t, hello)
	base := newBase(t, map[string]string{"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n"}, amd64)
	config := plan.Config{Base: base, Platforms: []string{"linux/amd64"}, User: "1000:1000", UserName: "git"}
	files := Files(t, s.mustBuild(t, dir, config).Images[0])
	assert.Equal(t, "root:x:0:0:root:/root:/bin/sh\ngit:x:1000:1000:git:/home/git:/sbin/nologin\n", files["/etc/passwd"].Content)
	assert.Equal(t, "root:x:0:\ngit:x:1000:\n", files["/etc/group"].Content)
	assert.Equal(t, "drwx------ 1000:1000", files["/home/git"].Owned())
	for _, line := range []string{"node:x:1000:1000::/home/node:/bin/sh", "git:x:105:105::/:/bin/sh"} {
		config.Base = newBase(t, map[string]string{"etc/passwd": line + "\n"}, amd64)
		_, _, err := s.build(t.Context(), t, dir, config)
		require.ErrorContains(t, err, "naming the user: /etc/passwd of the base has the line")
		require.ErrorContains(t, err, line)
		require.ErrorContains(t, err, "choose another --user or --user-name")
	}
	config.Base = newBase(t, map[string]string{"etc/passwd": "git:x:1000:7::/srv:/bin/sh\n"}, amd64)
	assert.Equal(t, "git:x:1000:7::/srv:/bin/sh\n", Files(t, s.mustBuild(t, dir, config).Images[0])["/etc/passwd"].Content, "it has this very user")
}

func tarLayer(t *testing.T, files map[string]string) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg, Format: tar.FormatPAX}))
		_, err := io.WriteString(w, files[name])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil },
		tarball.WithMediaType(types.DockerLayer))
	require.NoError(t, err)
	return layer
}
