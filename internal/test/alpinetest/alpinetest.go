// Package alpinetest makes a repository of Alpine's packages for tests, and signs and serves it, and bases that trust it.
package alpinetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // as Alpine signs
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/test/packagetest"
)

// Where Alpine's own repository is, and the name of the key in a base.
const (
	Host    = "dl-cdn.alpinelinux.org"
	Main    = Host + "/alpine/v3.24/main"
	KeyName = "test@example.com-1.rsa.pub"
)

// Repository is a repository whose packages are for x86_64 and aarch64.
type Repository struct {
	*packagetest.Server
	// Key signs it.
	Key *rsa.PrivateKey
	// Date is what its index says.
	Date time.Time
	// Kind is that of signatures: RSA or RSA256.
	Kind string

	t    testing.TB
	list []string
}

// NewKey makes a key.
func NewKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return key
}

// firstKey is the key of all repositories, which takes a while to make.
var firstKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// Start serves a repository without packages until the end of the test.
func Start(t testing.TB) *Repository {
	t.Helper()
	key, err := firstKey()
	require.NoError(t, err)
	r := &Repository{Server: packagetest.Serve(t), Key: key, Date: time.Date(2026, 11, 21, 9, 15, 44, 0, time.UTC), Kind: "RSA", t: t}
	r.Publish()
	return r
}

// PublicKey is the key as bases have it.
func (r *Repository) PublicKey() string {
	r.t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&r.Key.PublicKey)
	require.NoError(r.t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// Base are the files of a base of Alpine that takes packages from the repository and has some, which are paragraphs of apk's database.
func (r *Repository) Base(installed ...string) map[string]string {
	return map[string]string{
		"/etc/apk/repositories":    "https://" + Main + "\n",
		"/etc/apk/keys/" + KeyName: r.PublicKey(),
		"/etc/apk/world":           "alpine-baselayout\nbusybox\n",
		"/etc/group":               "root:x:0:root\nnogroup:x:65533:\n",
		"/etc/passwd":              "root:x:0:0:root:/root:/bin/sh\n",
		"/etc/shadow":              "root:*::0:::::\n",
		"/etc/shells":              "/bin/sh\n/bin/ash\n",
		"/lib/apk/db/installed":    strings.Join(append([]string{Busybox}, installed...), ""),
		"/lib/apk/db/scripts.tar":  string(packagetest.End),
		"/lib/apk/db/triggers":     "Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA= /bin /usr/bin /sbin /usr/sbin\n",
	}
}

// Busybox is busybox in apk's database.
const Busybox = "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:busybox\nV:1.37.0-r20\nA:x86_64\nS:1\nI:1\nT:tools\nU:https://busybox.net\nL:GPL-2.0-only\no:busybox\np:cmd:busybox=1.37.0-r20\nF:bin\nR:busybox\na:0:0:755\n\n"

// Package is a package that is being made.
type Package struct {
	Name, version string
	// Info are further lines of its .PKGINFO, Scripts its scripts by their names.
	Info    string
	Scripts map[string]string
	// DataHash takes the place of the digest of its files, Extra is added after them.
	DataHash string
	Extra    []byte
	// Key, if it is not the repository's, signs the package.
	Key *rsa.PrivateKey

	files packagetest.Content
}

// Regular gives a package a regular file.
func Regular(name, content string) func(*Package) {
	return func(p *Package) {
		p.files.Regular(strings.TrimPrefix(name, "/"), content)
		p.files.Headers[len(p.files.Headers)-1] = withChecksum(p.files.Headers[len(p.files.Headers)-1], content)
	}
}

// Program gives a package an executable file.
func Program(name, content string) func(*Package) {
	return func(p *Package) {
		Regular(name, content)(p)
		p.files.Headers[len(p.files.Headers)-1].Mode = 0o755
	}
}

// Header gives a package what has no content.
func Header(h tar.Header) func(*Package) {
	return func(p *Package) {
		if h.Typeflag == tar.TypeSymlink {
			h = withChecksum(h, h.Linkname)
		}
		p.files.Headers = append(p.files.Headers, h)
	}
}

// withChecksum is a header with what apk wants to know of a file. Source: apk-v2(5)
func withChecksum(h tar.Header, content string) tar.Header {
	h.Format = tar.FormatPAX
	h.PAXRecords = map[string]string{"APK-TOOLS.checksum.SHA1": fmt.Sprintf("%x", sha1.Sum([]byte(content)))} //nolint:gosec // as Alpine
	return h
}

// Script gives a package a script.
func Script(name, text string) func(*Package) {
	return func(p *Package) { p.Scripts[name] = text }
}

// Info gives a package a line of its .PKGINFO.
func Info(key, value string) func(*Package) {
	return func(p *Package) { p.Info += key + " = " + value + "\n" }
}

// indexed are the letters that an index has for keys of .PKGINFO.
var indexed = map[string]string{"depend": "D", "provides": "p", "install_if": "i", "origin": "o", "provider_priority": "k", "license": "L"}

// Add publishes a package.
func (r *Repository) Add(name, version string, with ...func(*Package)) distro.Package {
	r.t.Helper()
	p := &Package{Name: name, version: version, Scripts: map[string]string{}, Key: r.Key}
	for _, f := range with {
		f(p)
	}
	var digest string
	var content []byte
	var made distro.Package
	for _, architecture := range []string{"aarch64", "x86_64"} {
		content, digest = r.build(p, architecture)
		at := Main + "/" + architecture + "/" + name + "-" + version + ".apk"
		r.Files["/"+strings.TrimPrefix(at, Host+"/")] = content
		made = distro.Package{Name: name, Version: version, Path: at, Size: int64(len(content)), SHA256: fmt.Sprintf("%x", sha256.Sum256(content))}
		entry := fmt.Sprintf("C:%s\nP:%s\nV:%s\nA:%s\nS:%d\nI:4096\nT:a test\nU:https://example.com\n", digest, name, version, architecture, made.Size)
		values := map[string][]string{}
		for line := range strings.Lines(p.Info) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
			if letter := indexed[key]; letter != "" {
				values[letter] = append(values[letter], value)
			}
		}
		for _, letter := range slices.Sorted(maps.Keys(values)) {
			entry += letter + ":" + strings.Join(values[letter], " ") + "\n"
		}
		r.list = append(r.list, architecture+"\n"+entry+"\n")
	}
	r.Publish()
	return made
}

// build makes a package's file, and the digest of its control part.
func (r *Repository) build(p *Package, architecture string) (file []byte, digest string) {
	data := append(Gzip(r.t, slices.Concat(p.files.Tar(r.t), packagetest.End)), p.Extra...)
	hash := p.DataHash
	if hash == "" {
		hash = fmt.Sprintf("%x", sha256.Sum256(data))
	}
	var control packagetest.Content
	info := fmt.Sprintf("# made by a test\npkgname = %s\npkgver = %s\npkgdesc = a test\nurl = https://example.com\narch = %s\n", p.Name, p.version, architecture)
	if !strings.Contains(p.Info, "size = ") {
		info += "size = 4096\n"
	}
	control.Regular(".PKGINFO", info+p.Info+"datahash = "+hash+"\n")
	for _, name := range slices.Sorted(maps.Keys(p.Scripts)) {
		control.Regular("."+name, p.Scripts[name])
	}
	packed := Gzip(r.t, control.Tar(r.t))
	sum := sha1.Sum(packed) //nolint:gosec // as Alpine
	return slices.Concat(r.signature(p.Key, packed), packed, data), "Q1" + base64.StdEncoding.EncodeToString(sum[:])
}

// signature is the member with a signature of what follows.
func (r *Repository) signature(key *rsa.PrivateKey, signed []byte) []byte {
	r.t.Helper()
	hash := map[string]crypto.Hash{"RSA": crypto.SHA1, "RSA256": crypto.SHA256}[r.Kind]
	digest := hash.New()
	digest.Write(signed)
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, hash, digest.Sum(nil))
	require.NoError(r.t, err)
	var c packagetest.Content
	c.Regular(".SIGN."+r.Kind+"."+KeyName, string(signature))
	return Gzip(r.t, c.Tar(r.t))
}

// Index is the path of the index for an architecture.
func Index(architecture string) string {
	return strings.TrimPrefix(Main, Host) + "/" + architecture + "/APKINDEX.tar.gz"
}

// Publish writes and signs the indexes.
func (r *Repository) Publish() {
	r.t.Helper()
	for _, architecture := range []string{"aarch64", "x86_64"} {
		var list string
		for _, entry := range r.list {
			if of, entry, _ := strings.Cut(entry, "\n"); of == architecture {
				list += entry
			}
		}
		r.Sign(architecture, list)
	}
}

// Sign publishes an index with that text.
func (r *Repository) Sign(architecture, text string) {
	r.t.Helper()
	var c packagetest.Content
	c.Regular("DESCRIPTION", "test")
	c.Regular("APKINDEX", text)
	for i := range c.Headers {
		c.Headers[i].ModTime = r.Date
	}
	packed := Gzip(r.t, slices.Concat(c.Tar(r.t), packagetest.End))
	r.Files[Index(architecture)] = append(r.signature(r.Key, packed), packed...)
}

// Gzip compresses.
func Gzip(t testing.TB, content []byte) []byte {
	t.Helper()
	var made bytes.Buffer
	w := gzip.NewWriter(&made)
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return made.Bytes()
}
