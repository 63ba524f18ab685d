// Package debiantest makes an archive of Debian's packages for tests, and signs and serves it.
package debiantest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"

	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/test/packagetest"
)

// Repository is a suite of an archive, whose packages are for amd64 and arm64.
type Repository struct {
	// Key signs it.
	Key *openpgp.Entity
	// Server serves it.
	*packagetest.Server
	// Date, ValidUntil, unless it is zero, and Codename are what its InRelease says. ByHash says that lists are served by their digests.
	Date, ValidUntil time.Time
	Codename         string
	ByHash           bool

	t              testing.TB
	archive, suite string
	list           []string
}

// NewKey makes a key.
func NewKey(t testing.TB) *openpgp.Entity {
	t.Helper()
	key, err := openpgp.NewEntity("Test", "", "test@example.com", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	require.NoError(t, err)
	return key
}

// Start serves a repository without packages, the suite trixie of the archive debian, until the end of the test.
func Start(t testing.TB) *Repository {
	t.Helper()
	return &Repository{
		t: t, Key: NewKey(t), Server: packagetest.Serve(t), Codename: "trixie", ByHash: true, Date: time.Date(2026, 11, 21, 9, 15, 44, 0, time.UTC),
		archive: "debian", suite: "trixie",
	}
}

// Security serves a repository of security updates beside that one: the suite trixie-security of the archive debian-security, signed by the same key.
func (r *Repository) Security() *Repository {
	r.t.Helper()
	s := &Repository{
		t: r.t, Key: r.Key, Server: r.Server, Codename: r.Codename + "-security", ByHash: r.ByHash, Date: r.Date,
		archive: r.archive + "-security", suite: r.suite + "-security",
	}
	s.Publish()
	return s
}

// Keys is the public key of the repository, armored.
func (r *Repository) Keys() string {
	r.t.Helper()
	var keys bytes.Buffer
	armored, err := armor.Encode(&keys, openpgp.PublicKeyType, nil)
	require.NoError(r.t, err)
	require.NoError(r.t, r.Key.Serialize(armored))
	require.NoError(r.t, armored.Close())
	return keys.String()
}

// Package is a package that is being made.
type Package struct {
	Name, version string
	// Control are further files of its control archive.
	Control map[string]string
	// Compression is the extension of its archives.
	Compression string

	fields string
	files  packagetest.Content
}

// Regular gives a package a regular file.
func Regular(name, content string) func(*Package) {
	return func(p *Package) { p.files.Regular("."+name, content) }
}

// Header gives a package what has no content.
func Header(h tar.Header) func(*Package) {
	return func(p *Package) { p.files.Headers = append(p.files.Headers, h) }
}

// Control gives a package a file of its control archive, such as a script.
func Control(name, text string) func(*Package) {
	return func(p *Package) { p.Control[name] = text }
}

// Add publishes a package. fields are further ones of its control file, as lines.
func (r *Repository) Add(name, version, fields string, with ...func(*Package)) distro.Package {
	r.t.Helper()
	p := &Package{Name: name, version: version, fields: fields, Control: map[string]string{}, Compression: ".gz"}
	for _, f := range with {
		f(p)
	}
	content := p.bytes(r.t)
	at := r.archive + "/pool/main/" + name + "_" + version + "_amd64.deb"
	r.Files["/"+at] = content
	made := distro.Package{Name: name, Version: version, Path: at, Size: int64(len(content)), SHA256: fmt.Sprintf("%x", sha256.Sum256(content))}
	r.list = append(r.list, fmt.Sprintf("%sFilename: %s\nSize: %d\nSHA256: %s\n", p.text(), strings.TrimPrefix(at, r.archive+"/"), made.Size, made.SHA256))
	r.Publish()
	return made
}

func (p *Package) text() string {
	text := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\nPriority: optional\n", p.Name, p.version)
	if !strings.Contains(p.fields, "Installed-Size:") {
		text += "Installed-Size: 100\n"
	}
	return text + p.fields
}

func (p *Package) bytes(t testing.TB) []byte {
	t.Helper()
	var control packagetest.Content
	texts := map[string]string{"./control": p.text()}
	for name, text := range p.Control {
		texts["./"+name] = text
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		control.Regular(name, texts[name])
	}
	var made bytes.Buffer
	made.WriteString("!<arch>\n")
	for _, member := range []struct {
		name    string
		content []byte
	}{
		{"debian-binary", []byte("2.0\n")},
		{"control.tar" + p.Compression, Compress(t, p.Compression, slices.Concat(control.Tar(t), packagetest.End))},
		{"data.tar" + p.Compression, Compress(t, p.Compression, slices.Concat(p.files.Tar(t), packagetest.End))},
	} {
		fmt.Fprintf(&made, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", member.name, 0, 0, 0, "100644", len(member.content))
		made.Write(member.content)
		if len(member.content)%2 == 1 {
			made.WriteByte('\n')
		}
	}
	return made.Bytes()
}

// Compress packs content in the way that an extension stands for.
func Compress(t testing.TB, extension string, content []byte) []byte {
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

// Dists is where the files of the suite trixie are.
const Dists = "/debian/dists/trixie/"

func (r *Repository) dists() string { return "/" + r.archive + "/dists/" + r.suite + "/" }

// Publish writes and signs the lists.
func (r *Repository) Publish() {
	r.t.Helper()
	maps.DeleteFunc(r.Files, func(name string, _ []byte) bool { return strings.HasPrefix(name, r.dists()) })
	var text bytes.Buffer
	fmt.Fprintf(&text, "Origin: Debian\nCodename: %s\nDate: %s\n", r.Codename, r.Date.UTC().Format(dateFormat))
	if !r.ValidUntil.IsZero() {
		fmt.Fprintf(&text, "Valid-Until: %s\n", r.ValidUntil.UTC().Format(dateFormat))
	}
	if r.ByHash {
		text.WriteString("Acquire-By-Hash: yes\n")
	}
	text.WriteString("SHA256:\n")
	list := []byte(strings.Join(r.list, "\n"))
	packed := Compress(r.t, ".gz", list)
	for _, architecture := range []string{"amd64", "arm64"} {
		dir := "main/binary-" + architecture + "/"
		fmt.Fprintf(&text, " %x %d %sPackages\n %x %d %[3]sPackages.gz\n", sha256.Sum256(list), len(list), dir, sha256.Sum256(packed), len(packed))
		if r.ByHash {
			r.Files[fmt.Sprintf("%s%sby-hash/SHA256/%x", r.dists(), dir, sha256.Sum256(packed))] = packed
		} else {
			r.Files[r.dists()+dir+"Packages.gz"] = packed
		}
	}
	r.Sign(text.Bytes())
}

const dateFormat = "Mon, 02 Jan 2006 15:04:05 UTC"

// Sign publishes an InRelease with that text.
func (r *Repository) Sign(text []byte) {
	r.t.Helper()
	var signed bytes.Buffer
	w, err := clearsign.Encode(&signed, r.Key.PrivateKey, nil)
	require.NoError(r.t, err)
	_, err = w.Write(text)
	require.NoError(r.t, err)
	require.NoError(r.t, w.Close())
	r.Files[r.dists()+"InRelease"] = append(signed.Bytes(), '\n')
}
