package dockerfile_test

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/dockerfile"
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
