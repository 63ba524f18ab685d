package main

import (
	"bytes"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/alpinetest"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
)

// alpineRepository is the key of a script's repository.
const alpineRepository = "alpine repository"

// Those in testdata/alpine install packages from a repository that they change, on a base that trusts it:
//
//   - apk package NAME VERSION [LINE…] publishes a package with the file /usr/share/NAME, and lines of its .PKGINFO
//   - apk scripted NAME VERSION SCRIPT publishes one with a script
//   - apk tamper NAME VERSION changes a package after it was signed, and apk gone NAME VERSION removes it from the repository
//   - apk forge changes the index after it was signed
//   - apk attests REFERENCE TEXT… checks that what is attached to an image holds texts
//   - apk sign later signs the index anew, a day later, and apk sign earlier a day earlier
func TestAlpineScripts(t *testing.T) {
	maps.Copy(commands, map[string]func(ts *testscript.TestScript, neg bool, args []string){"apk": apkCommand})
	runScripts(t, "testdata/alpine", func(e *testscript.Env) error {
		r := alpinetest.Start(t)
		pushAlpine(t, e.Getenv("REGISTRY"), r)
		e.Values[alpineRepository] = r
		e.Setenv("SLIPWAY_MIRRORS", e.Getenv("SLIPWAY_MIRRORS")+","+alpinetest.Host+"="+r.Address)
		return nil
	})
}

// pushAlpine puts a base that trusts a repository in the place of the runtime's.
func pushAlpine(t *testing.T, host string, r *alpinetest.Repository) {
	t.Helper()
	pushBase(t, host, "library/alpine:3.24.2", func(*testing.T, string) []tarFile {
		var files []tarFile
		base := r.Base()
		for _, name := range slices.Sorted(maps.Keys(base)) {
			files = append(files, tarFile{strings.TrimPrefix(name, "/"), 0o644, base[name]})
		}
		return append(files, tarFile{"etc/os-release", 0o644, "ID=alpine\nVERSION_ID=3.24.2\n"})
	})
}

func apkCommand(ts *testscript.TestScript, _ bool, args []string) {
	r := ts.Value(alpineRepository).(*alpinetest.Repository)
	path := func() string {
		return strings.TrimPrefix(alpinetest.Main, alpinetest.Host) + "/x86_64/" + args[1] + "-" + args[2] + ".apk"
	}
	switch args[0] {
	case "package":
		with := []func(*alpinetest.Package){alpinetest.Regular("usr/share/"+args[1], args[2]+"\n")}
		for _, line := range args[3:] {
			key, value, _ := strings.Cut(line, " = ")
			with = append(with, alpinetest.Info(key, value))
		}
		r.Add(args[1], args[2], with...)
	case "scripted":
		r.Add(args[1], args[2], alpinetest.Script("post-install", "#!/bin/sh\n"+args[3]+"\n"))
	case "tamper":
		r.Files[path()] = tampered(r.Files[path()])
	case "gone":
		delete(r.Files, path())
	case "forge":
		r.Files[alpinetest.Index("x86_64")] = tampered(r.Files[alpinetest.Index("x86_64")])
	case "attests":
		documents := attached(ts, args[1])
		for _, text := range args[2:] {
			if !strings.Contains(documents, text) {
				ts.Fatalf("nothing attached to %s has %s: %s", args[1], text, documents)
			}
		}
	case "sign":
		r.Date = r.Date.AddDate(0, 0, map[string]int{"later": 1, "earlier": -1}[args[1]])
		r.Publish()
	default:
		ts.Fatalf("no such command: %s", args[0])
	}
}

// attached is the content of all that is attached to an image.
func attached(ts *testscript.TestScript, reference string) string {
	ref, err := name.ParseReference(reference)
	ts.Check(err)
	image, err := remote.Head(ref)
	ts.Check(err)
	index, err := remote.Referrers(ref.Context().Digest(image.Digest.String()))
	ts.Check(err)
	list, err := index.IndexManifest()
	ts.Check(err)
	var all strings.Builder
	for _, m := range list.Manifests {
		document, err := remote.Image(ref.Context().Digest(m.Digest.String()))
		ts.Check(err)
		layers, err := document.Layers()
		ts.Check(err)
		for _, layer := range layers {
			content, err := layer.Compressed()
			ts.Check(err)
			text, err := io.ReadAll(content)
			ts.Check(err)
			all.Write(text)
		}
	}
	return all.String()
}

// tampered is content with another byte near its end.
func tampered(content []byte) []byte {
	content = bytes.Clone(content)
	content[len(content)-20] ^= 1
	return content
}

// A program of a package runs in a container, with the files of another and the user that a script wanted.
func TestAlpineImages(t *testing.T) {
	source := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/tool\n\ngo 1.26.8\n",
		"main.go": `package main

import (
	"fmt"
	"os"
	"os/user"
)

func main() {
	data, _ := os.ReadFile("/usr/share/lib/data")
	daemon, err := user.Lookup("daemon")
	fmt.Print(string(data), err, daemon.Uid, daemon.Gid, daemon.HomeDir)
}
`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(source, name), []byte(text), 0o644))
	}
	compile := exec.Command("go", "build", "-C", source, "-o", "tool", ".")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOTOOLCHAIN=auto")
	must(t, compile)
	tool, err := os.ReadFile(filepath.Join(source, "tool"))
	require.NoError(t, err)

	r := alpinetest.Start(t)
	r.Add("tool", "1", alpinetest.Info("depend", "lib"), alpinetest.Info("size", strconv.Itoa(len(tool))), alpinetest.Program("usr/bin/tool", string(tool)),
		alpinetest.Script("pre-install", "#!/bin/sh\naddgroup -S daemon\nadduser -S -D -H -h /var/lib/daemon -s /sbin/nologin -G daemon daemon\nexit 0\n"))
	r.Add("lib", "1", alpinetest.Regular("usr/share/lib/data", "data\n"))
	registry := registrytest.Start(t)
	pushAlpine(t, registry.Host, r)
	archive := filepath.Join(t.TempDir(), "image.tar")
	must(t, slipwayCommand(t, []string{sharedCache, "SLIPWAY_MIRRORS=docker.io=" + registry.Host + "," + alpinetest.Host + "=" + r.Address},
		"build", "--runtime", "alpine", "--platform", "linux/amd64", "--runtime-package", "tool", "--output", archive, "../../examples/http-server"))
	bundle := unpack(t, archive, "amd64")
	changeBundle(t, bundle, func(config map[string]any) { config["process"].(map[string]any)["args"] = []string{"tool"} })
	require.Equal(t, "data\n<nil>100100/var/lib/daemon", must(t, container(t, bundle)))
}
