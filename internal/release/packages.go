package main

import (
	"bytes"
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"text/template"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/apk"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

const (
	homepage    = "https://github.com/slipway-ci/slipway"
	description = "Minimal, verified container images from Go modules"
	licence     = "Apache-2.0"
)

// packages writes a package of each format for each Linux platform, and returns their names.
func (r *release) packages(ctx context.Context, platforms []platform) (names []string, err error) {
	completions, err := os.MkdirTemp("", "slipway-completions-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(completions)
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script, err := r.completion(ctx, shell)
		if err == nil {
			err = os.WriteFile(filepath.Join(completions, shell), script, 0o644)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, p := range platforms {
		if p.os != "linux" {
			continue
		}
		for _, format := range []string{"apk", "deb", "rpm"} {
			name, err := r.pack(p, format, completions)
			if err != nil {
				return nil, err
			}
			names = append(names, name)
		}
	}
	return names, nil
}

// completion asks the program for this machine for a shell's completions.
func (r *release) completion(ctx context.Context, shell string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(r.dir, platform{runtime.GOOS, runtime.GOARCH}.file()), "completion", shell)
	cmd.Stderr = os.Stderr
	return cmd.Output()
}

// pack writes one package and returns its name, as the format's own tools would choose it.
func (r *release) pack(p platform, format, completions string) (name string, err error) {
	at := func(source, destination string, mode os.FileMode) *files.Content {
		return &files.Content{Source: source, Destination: destination, FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: r.day}}
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "slipway", Arch: p.arch, Platform: "linux", Version: r.version, Release: "1", MTime: r.day, Section: "devel", Priority: "optional",
		Maintainer: "The Slipway authors <" + homepage + ">", Description: description, Homepage: homepage, License: licence, DisableGlobbing: true,
		Overridables: nfpm.Overridables{
			Recommends: []string{"git"},
			Contents: files.Contents{
				at(filepath.Join(r.dir, p.file()), "/usr/bin/slipway", 0o755),
				at(filepath.Join(r.root, "LICENSE"), "/usr/share/doc/slipway/copyright", 0o644),
				at(filepath.Join(completions, "bash"), "/usr/share/bash-completion/completions/slipway", 0o644),
				at(filepath.Join(completions, "zsh"), "/usr/share/zsh/site-functions/_slipway", 0o644),
				at(filepath.Join(completions, "fish"), "/usr/share/fish/vendor_completions.d/slipway.fish", 0o644),
			},
			RPM: nfpm.RPM{BuildHost: "slipway", Summary: description},
		},
	})
	packager, err := nfpm.Get(format)
	if err != nil {
		return "", err
	}
	name = packager.ConventionalFileName(info)
	f, err := os.Create(filepath.Join(r.dir, name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := packager.Package(info, f); err != nil {
		return "", err
	}
	return name, f.Close()
}

//go:embed formula.rb.tmpl
var formulaText string

var formulaTemplate = template.Must(template.New("formula").Parse(formulaText))

// formula is the Homebrew formula of the release. A clone of the repository is a tap.
func formula(version string, digests map[string]string) string {
	var text bytes.Buffer
	err := formulaTemplate.Execute(&text, map[string]any{
		"Description": description, "Homepage": homepage, "License": licence, "Version": strings.TrimPrefix(version, "v"), "Digests": digests,
	})
	if err != nil {
		panic(err) // the template and its data stand here
	}
	return text.String()
}
