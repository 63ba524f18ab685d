//go:build buildkit_e2e

package dockerfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/pipeline"
)

// oddNames are names that COPY, a shell or a pattern would take for something else.
var oddNames = []string{
	"[id].js", "a b", "it's", `q"q`, "$HOME", "${x}", "#x", "-dash", `back\slash`, `\[x]`, "é✔", "*", "?", "[", "{a,b}", "!x", "~", "a;b", "a&b", "`x`", "%41", "x,y", "=", "<<EOF", "EOF",
}

// Names that mean something to COPY, to a shell or to patterns are names like others, of single files and in directories.
func TestBuildKitPlacesOddNames(t *testing.T) {
	hosts := newHost(t)
	config := pipeline.Config{Runtime: "scratch", Platforms: amd64, Files: []string{"web:/www", "web/sub:/sub:0600"}}
	files := map[string]string{"web/sub/x": "x", "web/run": "#!/bin/sh"}
	for i, name := range oddNames {
		files["web/"+name] = name
		files["dir "+name+"/"+name] = name
		config.Files = append(config.Files, "web/"+name+":/single/"+name, fmt.Sprintf("dir %s:/dir/%d", name, i), "web/"+name+":/modes/"+name+":0640")
	}
	assertBuildsTheSame(t, hosts, source(t, files), config, "", pipeline.CABundle)
}

func TestBuildKitPlacesManyFiles(t *testing.T) {
	files := map[string]string{}
	for i := range 10_000 {
		files[fmt.Sprintf("web/%d/%d/%d", i%10, i%100, i)] = ""
	}
	config := pipeline.Config{Runtime: "scratch", Platforms: amd64, Files: []string{"web:/www"}}
	assertBuildsTheSame(t, newHost(t), source(t, files), config, "", pipeline.CABundle)
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
			require.NoError(t, os.WriteFile(filepath.Join(dir, pipeline.IgnoreFile), []byte(test.ignore), 0o644))
			assertBuildsTheSame(t, hosts, dir, pipeline.Config{Runtime: "scratch", Platforms: amd64, Files: test.files}, "", pipeline.CABundle)
		})
	}
}
