package debian

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"

	"github.com/slipway-ci/slipway/internal/cache"
)

// repository is an archive that a test makes and signs, of one suite.
type repository struct {
	t     *testing.T
	key   *openpgp.Entity
	suite Suite
	// files are what is served, by path.
	files map[string][]byte
	list  []string
	// date and validUntil are those of the InRelease; no validUntil for none.
	date, validUntil time.Time
	codename         string
	byHash           bool
	asked            atomic.Int64
	server           *httptest.Server
}

func newKey(t *testing.T) *openpgp.Entity {
	t.Helper()
	key, err := openpgp.NewEntity("Test", "", "test@example.com", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	require.NoError(t, err)
	return key
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	r := &repository{
		t: t, key: newKey(t), suite: Suite{"debian", "trixie"}, files: map[string][]byte{}, codename: "trixie", byHash: true,
		date: time.Date(2026, 11, 21, 9, 15, 44, 0, time.UTC),
	}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		content, ok := r.files[req.URL.Path]
		if !ok {
			http.NotFound(w, req)
			return
		}
		_, _ = w.Write(content)
	}))
	t.Cleanup(r.server.Close)
	return r
}

// archive is the repository as Debian's archive, with a cache of its own.
func (r *repository) archive() *Archive {
	r.t.Helper()
	c, err := cache.Open(r.t.TempDir())
	require.NoError(r.t, err)
	var keys bytes.Buffer
	armored, err := armor.Encode(&keys, openpgp.PublicKeyType, nil)
	require.NoError(r.t, err)
	require.NoError(r.t, r.key.Serialize(armored))
	require.NoError(r.t, armored.Close())
	return &Archive{
		Release: Release{Number: "13", Codename: "trixie", Suites: []Suite{r.suite}, Keys: keys.String()}, Cache: c,
		Fetch: func(ctx context.Context, url string, read func(io.Reader) error) error {
			url = strings.Replace(strings.Replace(url, current, r.server.URL+"/", 1), snapshot, r.server.URL+"/snapshot/", 1)
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return err
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if response.StatusCode == http.StatusNotFound {
				return fmt.Errorf("%s: %w", url, fs.ErrNotExist)
			}
			return read(response.Body)
		},
	}
}

// pkg is a package of a repository.
type pkg struct {
	name, version string
	// fields are further ones of its control file, as lines.
	fields string
	// control are further files of its control archive.
	control map[string]string
	files   []tar.Header
	content map[string]string
	// compression is the extension of its archives; empty for .gz.
	compression string
}

func regular(name, content string) func(*pkg) {
	return func(p *pkg) {
		p.files = append(p.files, tar.Header{Name: "." + name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg})
		p.content["."+name] = content
	}
}

func header(h tar.Header) func(*pkg) {
	return func(p *pkg) { p.files = append(p.files, h) }
}

func script(name, text string) func(*pkg) {
	return func(p *pkg) { p.control[name] = text }
}

// add publishes a package.
func (r *repository) add(name, version, fields string, with ...func(*pkg)) Package {
	r.t.Helper()
	p := &pkg{name: name, version: version, fields: fields, control: map[string]string{}, content: map[string]string{}, compression: ".gz"}
	for _, f := range with {
		f(p)
	}
	content := p.bytes(r.t)
	at := "debian/pool/main/" + name + "_" + version + "_amd64.deb"
	r.files["/"+at] = content
	digest := sha256.Sum256(content)
	made := Package{Name: name, Version: version, Path: at, Size: int64(len(content)), SHA256: hex.EncodeToString(digest[:])}
	r.list = append(r.list, fmt.Sprintf("%sFilename: %s\nSize: %d\nSHA256: %s\n", p.text(), strings.TrimPrefix(at, "debian/"), made.Size, made.SHA256))
	r.publish()
	return made
}

func (p *pkg) text() string {
	text := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\nPriority: optional\n", p.name, p.version)
	if !strings.Contains(p.fields, "Installed-Size:") {
		text += "Installed-Size: 100\n"
	}
	return text + p.fields
}

func (p *pkg) bytes(t *testing.T) []byte {
	t.Helper()
	control := []tar.Header{}
	contents := map[string]string{"./control": p.text()}
	for _, name := range slices.Sorted(maps.Keys(p.control)) {
		contents["./"+name] = p.control[name]
	}
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		control = append(control, tar.Header{Name: name, Mode: 0o644, Size: int64(len(contents[name])), Typeflag: tar.TypeReg})
	}
	var made bytes.Buffer
	made.WriteString("!<arch>\n")
	for _, member := range []struct {
		name    string
		content []byte
	}{
		{"debian-binary", []byte("2.0\n")},
		{"control.tar" + p.compression, compress(t, p.compression, tarOf(t, control, contents))},
		{"data.tar" + p.compression, compress(t, p.compression, tarOf(t, p.files, p.content))},
	} {
		fmt.Fprintf(&made, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", member.name, 0, 0, 0, "100644", len(member.content))
		made.Write(member.content)
		if len(member.content)%2 == 1 {
			made.WriteByte('\n')
		}
	}
	return made.Bytes()
}

func tarOf(t *testing.T, headers []tar.Header, contents map[string]string) []byte {
	t.Helper()
	var made bytes.Buffer
	archive := tar.NewWriter(&made)
	for _, h := range headers {
		require.NoError(t, archive.WriteHeader(&h))
		_, err := archive.Write([]byte(contents[h.Name]))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	return made.Bytes()
}

func compress(t *testing.T, extension string, content []byte) []byte {
	t.Helper()
	var made bytes.Buffer
	var packed io.WriteCloser
	var err error
	switch extension {
	case ".gz":
		packed = gzip.NewWriter(&made)
	case ".zst":
		packed, err = zstd.NewWriter(&made)
	case ".xz":
		packed, err = xz.NewWriter(&made)
	default:
		return content
	}
	require.NoError(t, err)
	_, err = packed.Write(content)
	require.NoError(t, err)
	require.NoError(t, packed.Close())
	return made.Bytes()
}

// dists is where the suite's files are.
func (r *repository) dists() string { return "/" + r.suite.Archive + "/dists/" + r.suite.Name + "/" }

// publish writes and signs the lists.
func (r *repository) publish() {
	r.t.Helper()
	maps.DeleteFunc(r.files, func(name string, _ []byte) bool { return strings.HasPrefix(name, r.dists()) })
	list := []byte(strings.Join(r.list, "\n"))
	packed := compress(r.t, ".gz", list)
	var text bytes.Buffer
	fmt.Fprintf(&text, "Origin: Debian\nCodename: %s\nDate: %s\n", r.codename, r.date.Format("Mon, 02 Jan 2006 15:04:05 UTC"))
	if !r.validUntil.IsZero() {
		fmt.Fprintf(&text, "Valid-Until: %s\n", r.validUntil.UTC().Format("Mon, 02 Jan 2006 15:04:05 UTC"))
	}
	if r.byHash {
		text.WriteString("Acquire-By-Hash: yes\n")
	}
	text.WriteString("SHA256:\n")
	for name, content := range map[string][]byte{"main/binary-amd64/Packages": list, "main/binary-amd64/Packages.gz": packed} {
		digest := sha256.Sum256(content)
		fmt.Fprintf(&text, " %x %d %s\n", digest, len(content), name)
		if path.Ext(name) == ".gz" && r.byHash {
			name = fmt.Sprintf("main/binary-amd64/by-hash/SHA256/%x", digest)
		}
		r.files[r.dists()+name] = content
	}
	r.sign(text.Bytes())
}

func (r *repository) sign(text []byte) {
	r.t.Helper()
	var signed bytes.Buffer
	w, err := clearsign.Encode(&signed, r.key.PrivateKey, nil)
	require.NoError(r.t, err)
	_, err = w.Write(text)
	require.NoError(r.t, err)
	require.NoError(r.t, w.Close())
	r.files[r.dists()+"InRelease"] = append(signed.Bytes(), '\n')
}

// put serves content by its digest, and returns that with its size.
func (r *repository) put(content []byte) string {
	digest := sha256.Sum256(content)
	r.files[fmt.Sprintf("%smain/binary-amd64/Packages.gz", r.dists())] = content
	return fmt.Sprintf("%x %d", digest, len(content))
}
