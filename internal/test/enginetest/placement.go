package enginetest

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
)

// Entry is a file of a base for tests.
type Entry struct {
	tar.Header
	Content string
}

// Directory, Link and Regular are entries. Their time is one that no image of ours has.
func Directory(name string, mode int64, owner int) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode, Uid: owner, Gid: owner, ModTime: baseTime}}
}

func Link(name, target string) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777, ModTime: baseTime}}
}

func Regular(name string, mode int64, owner int, content string) Entry {
	return Entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Uid: owner, Gid: owner, ModTime: baseTime}, content}
}

var baseTime = time.Unix(1_000_000, 0).UTC()

// WriteBase makes a base for linux/amd64 of these layers, and returns the directory of its OCI layout.
func WriteBase(t *testing.T, layers ...[]Entry) string {
	t.Helper()
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	for _, entries := range layers {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, e := range entries {
			e.Size = int64(len(e.Content))
			require.NoError(t, w.WriteHeader(&e.Header))
			_, err := io.WriteString(w, e.Content)
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil },
			tarball.WithMediaType(types.OCILayer))
		require.NoError(t, err)
		img, err = mutate.AppendLayers(img, layer)
		require.NoError(t, err)
	}
	img, err := mutate.ConfigFile(img, baseConfig(t, img, amd64))
	require.NoError(t, err)
	dir := t.TempDir()
	at, err := layout.Write(dir, mutate.IndexMediaType(empty.Index, types.OCIImageIndex))
	require.NoError(t, err)
	require.NoError(t, at.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"})))
	return dir
}

// PlacementBase has, in two layers, everything that files may meet in a base: directories with their own modes and owners, links of all
// kinds, whiteouts, and entries with names as tools write them.
func PlacementBase(t *testing.T) string {
	return WriteBase(t, []Entry{
		Directory("./", 0o755, 0), Directory("./tmp/", 0o1777, 0), Directory("usr/", 0o755, 0), Directory("usr/lib", 0o755, 0), Link("lib", "usr/lib"),
		Directory("etc/", 0o755, 0), Regular("etc/passwd", 0o640, 7, "root:x:0:0:root:/root:/bin/sh\n"), Regular("etc/group", 0o644, 0, "root:x:0:\n"),
		Directory("home/", 0o755, 0), Directory("home/nonroot/", 0o700, 65532), Directory("run/", 0o755, 0), Directory("var/", 0o755, 0), Link("var/run", "/run"),
		Link("data", "mnt/data"), Link("chain", "up/lib"), Link("up", "../../usr"), Regular("usr/lib/libc.so", 0o644, 0, "libc"),
		Directory(oddDir, 0o2755, 7), Link("odd", oddDir), Link("odd\nlink", "nowhere\n"),
		Directory("gone/", 0o700, 7), Regular("gone/x", 0o600, 7, "x"), Directory("owned/", 0o750, 7), Directory("usr/bin/", 0o711, 0), Regular("usr/bin/tool", 0o755, 0, "tool"),
		{Header: tar.Header{Typeflag: tar.TypeLink, Name: "usr/bin/same", Linkname: "usr/bin/tool", Mode: 0o755, ModTime: baseTime}},
	}, []Entry{Regular(".wh.gone", 0o644, 0, ""), Regular("usr/lib/libm.so", 0o644, 0, "libm")})
}

// oddDir has a name that no program should read as something else. What is in it begins as its group's.
const oddDir = "usr/odd\n$x 'y' \"z\" *"

// PlacementFiles are files for [PlacementBase], whose source has the file seed.txt and the directory web with the file a, and perhaps a link to it.
var PlacementFiles = []string{
	"seed.txt:/tmp/seed.txt", "seed.txt:/lib/x.conf", "seed.txt:/home/nonroot/.config", "seed.txt:/var/run/app/pid", "seed.txt:/data/in/file:0600",
	"seed.txt:/chain/chained", "seed.txt:/gone/y", "seed.txt:/usr/bin/same:0755", "seed.txt:/etc/passwd.d/x", "seed.txt:/owned", "web:/up/share",
	"seed.txt:/odd/in/seed.txt",
}

// PlacementLinks are links for [PlacementBase].
var PlacementLinks = []string{"/var/run/now=/run/then", "/lib/libm.so=libc.so", "/odd\nlink=/tmp", "/new/link=../nowhere"}

// placement: files are where COPY would put them. What is expected was compared with BuildKit's.
func (s suite) placement(t *testing.T) {
	base := "oci:" + PlacementBase(t)
	dir := extract(t, hello+"-- seed.txt --\nseed\n-- web/a --\na\n")
	require.NoError(t, os.Symlink("a", filepath.Join(dir, "web", "same")))
	img := s.mustBuild(t, dir, plan.Config{
		Runtime: "alpine", Base: base, Platforms: []string{"linux/amd64"}, Files: PlacementFiles, Links: PlacementLinks, Writable: []string{"/var/run/state", "/home/nonroot/cache"},
	}).Images[0]
	files := Files(t, img)
	for name, want := range map[string]string{
		"/tmp": "dtrwxrwxrwx 0:0", "/usr/lib": "drwxr-xr-x 0:0", "/home/nonroot": "drwx------ 65532:65532", "/run": "drwxr-xr-x 0:0",
		"/lib": "Lrwxrwxrwx 0:0", "/var/run": "Lrwxrwxrwx 0:0", "/data": "Lrwxrwxrwx 0:0", "/chain": "Lrwxrwxrwx 0:0", "/owned": "drwxr-x--- 7:7",
		"/tmp/seed.txt": "-rw-r--r-- 0:0", "/usr/lib/x.conf": "-rw-r--r-- 0:0", "/home/nonroot/.config": "-rw-r--r-- 0:0", "/run/app/pid": "-rw-r--r-- 0:0",
		"/run/app": "drwxr-xr-x 0:0", "/mnt/data/in/file": "-rw------- 0:0", "/mnt/data/in": "drwxr-xr-x 0:0", "/usr/lib/chained": "-rw-r--r-- 0:0",
		"/gone": "drwxr-xr-x 0:0", "/gone/y": "-rw-r--r-- 0:0", "/usr/bin": "drwx--x--x 0:0", "/usr/bin/same": "-rwxr-xr-x 0:0", "/etc/passwd": "-rw-r----- 7:7",
		"/owned/seed.txt": "-rw-r--r-- 0:0", "/usr/share": "drwxr-xr-x 0:0", "/usr/share/a": "-rw-r--r-- 0:0", "/run/state": "drwxr-xr-x 1000:1000",
		"/home/nonroot/cache": "drwxr-xr-x 1000:1000", "/" + oddDir: "dgrwxr-xr-x 7:7", "/" + oddDir + "/in": "dgrwxr-xr-x 0:7",
		"/" + oddDir + "/in/seed.txt": "-rw-r--r-- 0:0",
	} {
		assert.Equal(t, want, files[name].Owned(), name)
	}
	assert.Equal(t, "libc", files["/usr/lib/libc.so"].Content)
	assert.Equal(t, "tool", files["/usr/bin/tool"].Content, "a hard link is replaced, and not written through")
	assert.Contains(t, files["/etc/passwd"].Content, "app:x:1000:1000:")
	for _, kept := range []string{"/tmp", "/usr/lib", "/home/nonroot", "/run", "/owned", "/usr/bin"} {
		assert.Equal(t, baseTime, files[kept].Time, kept)
	}
	assert.NotContains(t, files, "/gone/x")
	for name, want := range map[string]string{"/run/now": "/run/then", "/usr/lib/libm.so": "libc.so", "/odd\nlink": "/tmp", "/new/link": "../nowhere", "/usr/share/same": "a"} {
		assert.Equal(t, "Lrwxrwxrwx 0:0 "+want, files[name].Owned()+" "+files[name].Link, name)
	}

	_, _, err := s.build(t.Context(), t, dir, plan.Config{Base: base, Platforms: []string{"linux/amd64"}, Links: []string{"/usr/lib=lib64"}})
	require.ErrorContains(t, err, "placing the file /usr/lib in the image: there is a directory in its place")
	for file, want := range map[string]string{
		"seed.txt:/etc/passwd/x": "/etc/passwd is not a directory", "web:/etc/passwd": "there is a file in its place",
	} {
		_, _, err := s.build(t.Context(), t, dir, plan.Config{Base: base, Platforms: []string{"linux/amd64"}, Files: []string{file}})
		require.ErrorContains(t, err, want)
	}
}

// bundles: certificates are added to those that a base has, wherever it has them.
func (s suite) bundles(t *testing.T) {
	own, added := Authority(t), Authority(t)
	const debian, redHat, openSSL = "etc/ssl/certs/ca-certificates.crt", "etc/pki/tls/certs/ca-bundle.crt", "etc/ssl/cert.pem"
	dir := extract(t, hello)
	for name, test := range map[string]struct {
		base    []Entry
		config  plan.Config
		at      string
		certs   []string
		public  bool
		without []string // paths that must not come into being
	}{
		"alpine":         {[]Entry{Regular(debian, 0o640, 7, own), Link(openSSL, "certs/ca-certificates.crt")}, plan.Config{Runtime: "alpine"}, debian, []string{own}, true, nil},
		"alpine ca-cert": {[]Entry{Regular(debian, 0o640, 7, own)}, plan.Config{Runtime: "alpine", CACerts: own + added}, debian, []string{own, added}, true, []string{"/" + openSSL}},
		"openssl alone":  {[]Entry{Regular(openSSL, 0o640, 7, own)}, plan.Config{Runtime: "alpine", CACerts: added}, openSSL, []string{own, added}, true, []string{"/" + debian}},
		"red hat": {
			[]Entry{Link(redHat, "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"), Regular("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", 0o640, 7, own)},
			plan.Config{CACerts: added},
			"etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
			[]string{own, added},
			false,
			[]string{"/" + debian},
		},
		"distroless": {[]Entry{Regular(debian, 0o640, 7, own)}, plan.Config{Runtime: "distroless", CACerts: added + own}, debian, []string{own, added}, false, nil},
		"all there":  {[]Entry{Regular(debian, 0o640, 7, own)}, plan.Config{CACerts: own}, debian, []string{own}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.Base, test.config.Platforms = "oci:"+WriteBase(t, append(test.base, Regular("etc/passwd", 0o644, 0, ""))), []string{"linux/amd64"}
			files := Files(t, s.mustBuild(t, dir, test.config).Images[0])
			bundle := files["/"+test.at]
			assert.Equal(t, "-rw-r----- 7:7", bundle.Owned(), "as it was")
			assert.True(t, strings.HasPrefix(bundle.Content, own), "the base's come first")
			count := map[string]int{}
			for block, rest := pem.Decode([]byte(bundle.Content)); block != nil; block, rest = pem.Decode(rest) {
				count[string(block.Bytes)]++
			}
			for der, n := range count {
				assert.Equal(t, 1, n, "%x", der[:8])
			}
			for _, want := range test.certs {
				block, _ := pem.Decode([]byte(want))
				assert.Equal(t, 1, count[string(block.Bytes)])
			}
			assert.Equal(t, test.public, len(count) > len(test.certs))
			for _, name := range test.without {
				assert.NotContains(t, files, name)
			}
		})
	}
}

// Authority makes a root certificate.
func Authority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example Root"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
