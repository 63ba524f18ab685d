// Command release makes what a release of Slipway publishes:
//
//	go run -C internal/release . [-write] VERSION DIRECTORY
//
// It writes programs for six platforms, packages for Debian, Alpine and RPM, a Homebrew formula, checksums and the release notes into
// DIRECTORY. CHANGELOG.md has a heading for the version, with the day.
//
// The digests of the programs stand in install.sh. Whoever prepares a release calls it with -write, which puts them there; the release
// workflow calls it without, which fails if what it built has other digests. So what install.sh and the GitHub action accept is what two
// machines have built. A commit cannot contain its own hash, so a released program knows its version and not its commit.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	write := flag.Bool("write", false, "write the digests into install.sh and the formula into Formula, instead of comparing them")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: release [-write] VERSION DIRECTORY")
		os.Exit(2)
	}
	err := run(context.Background(), "../..", flag.Arg(0), flag.Arg(1), platforms, *write)
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// A platform is an operating system and an architecture, as Go names them.
type platform struct{ os, arch string }

var platforms = []platform{
	{"darwin", "amd64"},
	{"darwin", "arm64"},
	{"linux", "amd64"},
	{"linux", "arm64"},
	{"windows", "amd64"},
	{"windows", "arm64"},
}

// file is the name of the program as it is published.
func (p platform) file() string {
	if p.os == "windows" {
		return "slipway_" + p.os + "_" + p.arch + ".exe"
	}
	return "slipway_" + p.os + "_" + p.arch
}

// A release is one version, made from the clone root into dir.
type release struct {
	root, dir, version string
	day                time.Time // when it is released: the time of every file in a package
}

// run makes the release of version for the platforms.
func run(ctx context.Context, root, version, dir string, platforms []platform, write bool) error {
	if !regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`).MatchString(version) {
		return fmt.Errorf("version %q: it is not like v1.2.3 or v1.2.3-rc.1", version)
	}
	day, notes, err := changes(filepath.Join(root, "CHANGELOG.md"), version)
	if err != nil {
		return err
	}
	dir, err = filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return err
	}
	r := &release{root: root, dir: dir, version: version, day: day}
	digests := map[string]string{}
	for _, p := range platforms {
		if err := r.compile(ctx, p); err != nil {
			return fmt.Errorf("compiling for %s/%s: %w", p.os, p.arch, err)
		}
		if digests[p.file()], err = digest(filepath.Join(dir, p.file())); err != nil {
			return err
		}
	}
	formula := formula(version, digests)
	if err := r.script(ctx, platforms, digests, formula, write); err != nil {
		return err
	}
	packages, err := r.packages(ctx, platforms)
	if err != nil {
		return err
	}
	sums := ""
	for _, p := range platforms {
		sums += digests[p.file()] + "  " + p.file() + "\n"
	}
	for _, name := range packages {
		sum, err := digest(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		sums += sum + "  " + name + "\n"
	}
	for name, text := range map[string]string{"checksums.txt": sums, "slipway.rb": formula, "notes.md": notes} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// changes reads the day of a version and what it brings from the changelog.
func changes(file, version string) (day time.Time, notes string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return time.Time{}, "", err
	}
	heading := regexp.MustCompile(`(?m)^## ` + regexp.QuoteMeta(strings.TrimPrefix(version, "v")) + ` - (\d{4}-\d\d-\d\d)\n`)
	at := heading.FindSubmatchIndex(text)
	if at == nil {
		return time.Time{}, "", fmt.Errorf("CHANGELOG.md has no heading for the version: add \"## %s - YEAR-MONTH-DAY\"", strings.TrimPrefix(version, "v"))
	}
	day, err = time.Parse(time.DateOnly, string(text[at[2]:at[3]]))
	if err != nil {
		return time.Time{}, "", fmt.Errorf("CHANGELOG.md: %w", err)
	}
	notes, _, _ = strings.Cut(string(text[at[1]:]), "\n## ")
	return day, strings.TrimSpace(notes) + "\n", nil
}

// compile writes the program for a platform: the same bytes on every machine, whatever its Go settings are.
func (r *release) compile(ctx context.Context, p platform) error {
	mod, err := os.ReadFile(filepath.Join(r.root, "go.mod"))
	if err != nil {
		return err
	}
	toolchain := regexp.MustCompile(`(?m)^toolchain go(\S+)$`).FindSubmatch(mod)
	if toolchain == nil {
		toolchain = regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(mod)
	}
	if toolchain == nil {
		return fmt.Errorf("go.mod has no go line")
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version="+r.version,
		"-o", filepath.Join(r.dir, p.file()), "./cmd/slipway")
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=",
		"GOFIPS140=off", "GOFLAGS=-mod=readonly", "GOWORK=off", "GOTOOLCHAIN=go"+string(toolchain[1]))
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// digest returns the SHA-256 digest of a file in hexadecimal.
func digest(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// script writes the digests into install.sh and the formula beside it, or compares them.
func (r *release) script(ctx context.Context, platforms []platform, digests map[string]string, formula string, write bool) error {
	file := filepath.Join(r.root, "install.sh")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	// The script has the one rule of which files count.
	source, err := exec.CommandContext(ctx, "sh", file, "--source-digest").Output()
	if err != nil {
		return fmt.Errorf("install.sh --source-digest: %w", err)
	}
	lines := "version=" + r.version + "\nsource=" + strings.TrimSpace(string(source)) + "\ndigests='"
	for _, p := range platforms {
		lines += "\n" + digests[p.file()] + "  " + p.file()
	}
	const begin, end = "# release: begin\n", "# release: end\n"
	before, rest, found := strings.Cut(string(text), begin)
	old, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("install.sh has no lines %q and %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	lines += "'\n"
	if !write {
		if old != lines {
			return fmt.Errorf("install.sh has\n%s\nand these programs were built:\n%s\n(the source has changed since the release was prepared, or the build is not reproducible: prepare it again with -write and compare)", old, lines)
		}
		return nil
	}
	if err := os.WriteFile(file, []byte(before+begin+lines+end+after), 0o644); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(r.root, "Formula"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.root, "Formula", "slipway.rb"), []byte(formula), 0o644)
}
