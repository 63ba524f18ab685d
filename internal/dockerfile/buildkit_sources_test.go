//go:build buildkit_e2e

package dockerfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/enginetest"
	"github.com/slipway-ci/slipway/internal/test/planfile"
)

// oddNames are names that COPY, a shell or a pattern would take for something else.
var oddNames = []string{
	"[id].js", "a b", "it's", `q"q`, "$HOME", "${x}", "#x", "-dash", `back\slash`, `\[x]`, "é✔", "*", "?", "[", "{a,b}", "!x", "~", "a;b", "a&b", "`x`", "%41", "x,y", "=", "<<EOF", "EOF",
}

// Names that mean something to COPY, to a shell or to patterns are names like others, of single files and in directories.
func TestBuildKitPlacesOddNames(t *testing.T) {
	hosts := newHost(t)
	config := plan.Config{Runtime: "scratch", Platforms: amd64, Files: []string{"web:/www", "web/sub:/sub:0600"}}
	files := map[string]string{"web/sub/x": "x", "web/run": "#!/bin/sh"}
	for i, name := range oddNames {
		files["web/"+name] = name
		files["dir "+name+"/"+name] = name
		config.Files = append(config.Files, "web/"+name+":/single/"+name, fmt.Sprintf("dir %s:/dir/%d", name, i), "web/"+name+":/modes/"+name+":0640")
	}
	assertBuildsTheSame(t, hosts, source(t, files), config, "", plan.CABundle)
}

func TestBuildKitPlacesManyFiles(t *testing.T) {
	files := map[string]string{}
	for i := range 10_000 {
		files[fmt.Sprintf("web/%d/%d/%d", i%10, i%100, i)] = ""
	}
	config := plan.Config{Runtime: "scratch", Platforms: amd64, Files: []string{"web:/www"}}
	assertBuildsTheSame(t, newHost(t), source(t, files), config, "", plan.CABundle)
}

// A .dockerignore leaves out the same, and where it leaves out what is compiled, the advice in the Dockerfile helps.
func TestBuildKitIgnoresTheSame(t *testing.T) {
	hosts := newHost(t)
	for name, test := range map[string]struct {
		ignore string
		files  []string
	}{
		"rooted":          {"/secrets\n", []string{".:/all"}},
		"byte order mark": {"\ufeffsecrets\n", []string{".:/all"}},
		"here":            {"./secrets\n./web/./x\n", []string{".:/all"}},
		"anywhere":        {"**/x\n", []string{".:/all"}},
		"exceptions":      {"# comment\nsecrets\n!secrets/keep\r\n  web/*.js  \n!**/b.js\n", []string{".:/all", "secrets:/secrets"}},
		"class":           {"web/[ab].js\nweb/\\[c].js\n", []string{"web:/www"}},
		"all but one":     {"*\n!app\n", []string{"app:/data", ".:/all"}},
		"all but go":      {"*\n!app\n!*.go\n!go.*\n", []string{".:/all"}},
		"programs":        {"*.go\n", []string{"app:/data", "web:/www"}},
		"without newline": {"*", nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := source(t, map[string]string{
				"secrets/key": "key", "secrets/keep": "keep", "web/secrets/x": "x", "web/x": "x", "x/y": "y", "web/a.js": "a", "web/b.js": "b", "web/[c].js": "c",
				"app/data": "data", "app/x": "x",
			})
			require.NoError(t, os.WriteFile(filepath.Join(dir, plan.IgnoreFile), []byte(test.ignore), 0o644))
			assertBuildsTheSame(t, hosts, dir, plan.Config{Runtime: "scratch", Platforms: amd64, Files: test.files}, "", plan.CABundle)
		})
	}
}

// Certificates are added to the same bundles, to the byte where the public ones are not among them.
func TestBuildKitTrustsTheSame(t *testing.T) {
	hosts := newHost(t)
	p := planfile.Named(t, "ca-cert").Plan(t)
	const redHat = "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"
	base := enginetest.WriteBase(t, []enginetest.Entry{
		enginetest.Directory("etc", 0o755, 0), enginetest.Directory("etc/pki", 0o750, 7), enginetest.Regular(redHat, 0o640, 7, "# theirs"),
		enginetest.Link("etc/pki/tls/certs/ca-bundle.crt", "/"+redHat),
	})
	for name, test := range map[string]struct {
		config plan.Config
		layout string
		except []string
	}{
		"distroless": {plan.Config{}, "", nil},
		"alpine":     {plan.Config{Runtime: "alpine"}, "", []string{plan.CABundle}},
		"scratch":    {plan.Config{Runtime: "scratch"}, "", []string{plan.CABundle}},
		"red hat":    {plan.Config{Base: "oci:" + base}, base, nil},
		"links":      {plan.Config{Runtime: "alpine", Base: "oci:" + base}, base, []string{"/" + redHat}},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.CACerts, test.config.Platforms = p.CACerts, amd64
			assertBuildsTheSame(t, hosts, source(t, map[string]string{}), test.config, test.layout, test.except...)
		})
	}
}
