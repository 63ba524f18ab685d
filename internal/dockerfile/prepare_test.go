package dockerfile_test

import (
	"encoding/pem"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/dockerfile"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// Bases of known layout need no functions of a shell, unless the user may be one of theirs.
func TestFunctionsOnlyForUnknownLayouts(t *testing.T) {
	for _, test := range []struct {
		config    plan.Config
		functions bool
	}{
		{plan.Config{Runtime: "alpine"}, false},
		{plan.Config{Runtime: "alpine", Base: "alpine:3.23.5", User: "59999:1000"}, false},
		{plan.Config{Runtime: "alpine", User: "405:1000"}, true},
		{plan.Config{Runtime: "alpine", User: "4000:100"}, true},
		{plan.Config{Runtime: "alpine", User: "65534:4000"}, true},
		{plan.Config{Runtime: "alpine", Base: "registry.example/alpine:3.24"}, true},
		{plan.Config{Runtime: "distroless", Writable: []string{"/data"}}, false},
		{plan.Config{Base: "debian:13", Writable: []string{"/data"}}, true},
		{plan.Config{Runtime: "scratch", Writable: []string{"/data"}}, false},
	} {
		plan, err := plan.Resolve(t.Context(), os.DirFS(source(t, map[string]string{})), test.config)
		require.NoError(t, err)
		text, err := dockerfile.Render(plan)
		require.NoError(t, err)
		assert.Equal(t, test.functions, strings.Contains(text, "at() {"), "%+v", test.config)
	}
}

// The script of a Dockerfile makes of a base's files what the plan's own methods make of them.
func TestScriptMakesWhatThePlanSays(t *testing.T) {
	testtool.Need(t, "sh", "dash")
	testtool.Need(t, "awk", "mawk")
	certificate := func(der string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(strings.Repeat(der, 40))}))
	}
	own, public, added := certificate("own"), certificate("public"), certificate("added")
	const redHat, target = "etc/pki/tls/certs/ca-bundle.crt", "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"
	for name, test := range map[string]struct {
		files, links map[string]string // of the base
		// changed are the files that are made, by the paths that they are copied to.
		changed []string
	}{
		"alpine": {map[string]string{
			"etc/ssl/certs/ca-certificates.crt": "# theirs\n" + own + public, "etc/passwd": "root:x:0:0::/root:/bin/sh\n\n", "etc/group": "root:x:0:\napp:x:77:",
		}, map[string]string{"etc/ssl/cert.pem": "certs/ca-certificates.crt"}, []string{"/etc/ssl/certs/ca-certificates.crt"}},
		"red hat": {
			map[string]string{target: own, "etc/passwd": "a:x:1000:1::/:\n", "etc/group": ""},
			map[string]string{redHat: "/" + target},
			[]string{"/" + redHat},
		},
		"links": {
			map[string]string{"usr/etc/passwd": "root:x:0:0::/:", "usr/etc/group": "short\n", "usr/etc/ssl/cert.pem": strings.TrimSpace(own)},
			map[string]string{"etc": "../../../usr/etc"},
			[]string{"/etc/ssl/cert.pem"},
		},
		"short lines": {
			map[string]string{"etc/passwd": "x:1000\n1000\n app:x:5:5::/:\n:\na:x:01000:1::/:\nb:x:1e3:1::/:", "etc/group": "app :x:1:\n+:::\nx:x:1000 :"},
			nil,
			[]string{"/etc/ssl/certs/ca-certificates.crt"},
		},
		"nothing": {nil, nil, []string{"/etc/ssl/certs/ca-certificates.crt"}},
		"all of it": {
			map[string]string{"etc/ssl/cert.pem": public + strings.TrimSpace(added), "etc/passwd": "", "etc/group": ""}, nil, []string{"/etc/ssl/cert.pem"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := plan.Resolve(t.Context(), fstest.MapFS{
				"go.mod": {Data: []byte("module example.com/hello\n\ngo 1.26.8\n")}, "main.go": {Data: []byte("package main\n")},
			}, plan.Config{Runtime: "alpine", Base: "registry.example/base:1"})
			require.NoError(t, err)
			plan.CACerts = added
			for _, f := range plan.Image.Layers[0].Files {
				if f.Certificates {
					plan.Image.Layers[0].Files[0].CACerts = added
				}
			}
			text, err := dockerfile.Render(plan)
			require.NoError(t, err)
			_, script, found := strings.Cut(text, "target=/base <<\"EOF\"\n")
			require.True(t, found)
			script, copies, _ := strings.Cut(script, "\nEOF\n")

			dir := t.TempDir()
			write := func(name, content string) {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
			}
			for name, content := range test.files {
				write("base/"+name, content)
			}
			for name, target := range test.links {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, "base", name)), 0o755))
				require.NoError(t, os.Symlink(target, filepath.Join(dir, "base", name)))
			}
			write("ca-certs.pem", added)
			write("public-certs.pem", public)
			for _, absolute := range []string{"/base", "/rootfs", "/ca-certs.pem", "/public-certs.pem"} {
				script = strings.ReplaceAll(script, absolute, dir+absolute)
			}
			out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput()
			require.NoError(t, err, string(out))

			read := func(name string) (string, bool) {
				for link, target := range test.links {
					if rest, ok := strings.CutPrefix(name, "/"+link); ok && filepath.IsAbs(target) {
						name = target + rest
					} else if ok {
						name = filepath.Join("/", filepath.Dir(link), target) + rest
					}
				}
				content, ok := test.files[strings.TrimPrefix(name, "/")]
				return content, ok
			}
			made := map[string]string{}
			for line := range strings.Lines(copies) {
				from, to, ok := strings.Cut(strings.Trim(strings.NewReplacer(`["`, "", `"]`, "", `","`, " ").Replace(strings.TrimPrefix(line, "COPY --from=builder ")), " \n"), " ")
				if !ok || !strings.HasPrefix(from, "/rootfs/") {
					continue
				}
				if strings.HasSuffix(from, "/") {
					continue // a directory
				}
				matches, err := filepath.Glob(dir + from)
				require.NoError(t, err)
				for _, match := range matches {
					content, err := os.ReadFile(match)
					require.NoError(t, err)
					made[to] = string(content)
				}
			}
			want := map[string]string{}
			for _, f := range plan.Image.Layers[0].Files {
				if f.Dir {
					continue
				}
				if f.Append != "" {
					base, _ := read(f.Path)
					want[f.Path] = f.Appended(base)
					continue
				}
				for _, name := range test.changed {
					base, ok := read(name)
					if !ok {
						base = public
					}
					want[name] = f.Bundle(base, public)
				}
			}
			assert.Equal(t, want, made)
		})
	}
}

// A path leads in the script to where the assembler puts a file of that path, whatever links are on its way.
func TestScriptFollowsLinksAsTheAssembler(t *testing.T) {
	testtool.Need(t, "sh", "dash")
	_, text := render(t, source(t, map[string]string{}), plan.Config{Base: "registry.example/base:1", Writable: []string{"/data"}})
	_, function, found := strings.Cut(text, "\nat() {")
	require.True(t, found)
	function, _, _ = strings.Cut(function, "\n}\n")

	root := t.TempDir()
	base := filepath.Join(root, "base")
	require.NoError(t, os.MkdirAll(filepath.Join(base, "d", "d"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(base, "d", "file"), nil, 0o644))
	for name, target := range map[string]string{
		"abs": "/d", "up": "../../d", "self": ".", "chain": "up//d/", "nowhere": "gone/x", "d/back": "..", "d/far": "/chain/../abs/.", "to file": "d/file",
		"loop": "loop", "d/top": "/", "d/d/in": "../back/self/d", "over": "d/file/../d",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(base, name)))
	}
	var files []oci.File
	require.NoError(t, filepath.WalkDir(base, func(name string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		if name == base {
			return nil
		}
		info, err := e.Info()
		require.NoError(t, err)
		file := oci.FromBytes(strings.TrimPrefix(name, base), info.Mode(), nil)
		file.Link, _ = os.Readlink(name)
		files = append(files, file)
		return nil
	}))
	var names []string
	all := []string{"d", "abs", "up", "self", "chain", "nowhere", "back", "far", "to file", "file", "loop", "top", "in", "over", "new"}
	for _, a := range all {
		for _, b := range all {
			for _, c := range []string{"in"} {
				names = append(names, "/"+a, "/"+a+"/"+b, "/"+a+"/"+b+"/"+c)
			}
		}
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	script := "at() {" + strings.ReplaceAll(function, "/base", base) + "\n}\nwhile read -r name; do at \"$name\"; done"
	command := exec.CommandContext(t.Context(), "sh", "-c", script)
	command.Stdin = strings.NewReader(strings.Join(names, "\n") + "\n")
	out, err := command.Output()
	require.NoError(t, err)
	answers := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, answers, len(names))
	read, err := oci.FileSystemOf(files)
	require.NoError(t, err)
	placed := 0
	for i, name := range names {
		fsys := read.Copy()
		file := oci.FromBytes(name, 0o644, nil)
		if there, err := fsys.Stat(name); err == nil && there.Mode.IsDir() {
			file.Mode |= fs.ModeDir
		}
		where, err := fsys.Place([]oci.File{file})
		if err != nil {
			continue // the script does not say what cannot be
		}
		placed++
		assert.Equal(t, base+where[len(where)-1].Path, answers[i], name)
	}
	assert.Greater(t, placed, 200)
}
