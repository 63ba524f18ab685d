// Package vulndb reads a database of Go's vulnerabilities, such as https://vuln.go.dev.
//
// It reports which vulnerabilities the packages of a program have, and not whether they are called. Source of the format:
// https://go.dev/doc/security/vuln/database
package vulndb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/semver"
)

// Vulnerability is one of a module in the version that a program has.
type Vulnerability struct {
	ID      string   `json:"id"`
	Aliases []string `json:"aliases,omitempty"`
	Summary string   `json:"summary,omitempty"`
	// Module is "stdlib" for the standard library.
	Module  string `json:"module"`
	Version string `json:"version"`
	// Fixed is the next version without it; empty if there is none.
	Fixed string `json:"fixed,omitempty"`
	// Packages are those of the program that have it; empty if the database names none.
	Packages []string `json:"packages,omitempty"`
}

// Fetch reads what is at an address. The error is fs.ErrNotExist if there is nothing.
type Fetch func(ctx context.Context, address string, read func(io.Reader) error) error

// Database is a database, of which each document is read once, when it is needed.
type Database struct {
	address string
	read    Fetch

	mu      sync.Mutex
	index   map[string][]string // identifiers by module
	entries map[string]*entry
}

// Open opens the database at a URL: https, http or file. fetch reads those that are not files.
func Open(address string, fetch Fetch) *Database {
	d := &Database{address: strings.TrimSuffix(address, "/"), read: fetch, entries: map[string]*entry{}}
	if u, err := url.Parse(address); err == nil && u.Scheme == "file" {
		d.read = readFile
	}
	return d
}

func readFile(_ context.Context, address string, read func(io.Reader) error) (err error) {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	name := u.Path
	if drive := strings.TrimPrefix(name, "/"); filepath.VolumeName(drive) != "" { // file:///C:/vulndb
		name = drive
	}
	f, err := os.Open(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return read(f)
}

// entry is a document of the database, as far as it is needed. Source: https://ossf.github.io/osv-schema/
type entry struct {
	ID        string   `json:"id"`
	Aliases   []string `json:"aliases"`
	Summary   string   `json:"summary"`
	Withdrawn string   `json:"withdrawn"`
	Affected  []struct {
		Package struct {
			Name string `json:"name"`
		} `json:"package"`
		Ranges []struct {
			Events []struct {
				Introduced string `json:"introduced"`
				Fixed      string `json:"fixed"`
			} `json:"events"`
		} `json:"ranges"`
		Specific struct {
			Imports []struct {
				Path   string   `json:"path"`
				GOOS   []string `json:"goos"`
				GOARCH []string `json:"goarch"`
			} `json:"imports"`
		} `json:"ecosystem_specific"`
	} `json:"affected"`
}

// documentLimit is the size in bytes of the biggest document that is read.
const documentLimit = 64 << 20

func (d *Database) document(ctx context.Context, name string, value any) error {
	address := d.address + "/" + name
	err := d.read(ctx, address, func(content io.Reader) error {
		text, err := io.ReadAll(io.LimitReader(content, documentLimit+1))
		if err != nil {
			return err
		}
		if len(text) > documentLimit {
			return fmt.Errorf("it has more than %d bytes", documentLimit)
		}
		return json.Unmarshal(text, value)
	})
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) && name == indexName {
		err = fmt.Errorf("it has no %s, as a database of Go's vulnerabilities has: %w", indexName, err)
	}
	return fmt.Errorf("reading the database of vulnerabilities: %s: %w", address, err)
}

const indexName = "index/modules.json"

// identifiers are those of all vulnerabilities of a module.
func (d *Database) identifiers(ctx context.Context, module string) ([]string, error) {
	if d.index == nil {
		var listed []struct {
			Path  string `json:"path"`
			Vulns []struct {
				ID string `json:"id"`
			} `json:"vulns"`
		}
		if err := d.document(ctx, indexName, &listed); err != nil {
			return nil, err
		}
		d.index = map[string][]string{}
		for _, m := range listed {
			for _, v := range m.Vulns {
				d.index[m.Path] = append(d.index[m.Path], v.ID)
			}
		}
	}
	return d.index[module], nil
}

// identifier is the form of those of entries, which become parts of an address.
var identifier = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

func (d *Database) entry(ctx context.Context, id string) (*entry, error) {
	if e := d.entries[id]; e != nil {
		return e, nil
	}
	if !identifier.MatchString(id) {
		return nil, fmt.Errorf("reading the database of vulnerabilities: %q is no identifier", id)
	}
	e := &entry{}
	if err := d.document(ctx, "ID/"+id+".json", e); err != nil {
		return nil, err
	}
	d.entries[id] = e
	return e, nil
}

// Module is a module of a program for a platform of Go.
type Module struct {
	// Path is [Std] for the standard library, whose version is that of Go.
	Path, Version string
	GOOS, GOARCH  string
	// Packages are those that the program has of it.
	Packages []string
}

// Std is the path of the standard library.
const Std = "std"

// stdlib is what the database calls it.
const stdlib = "stdlib"

// Of returns the vulnerabilities that packages of a program's module have, in the order of the database.
func (d *Database) Of(ctx context.Context, m Module) ([]Vulnerability, error) {
	version := m.Version
	if m.Path == Std {
		m.Path, version = stdlib, goVersion(m.Version)
	}
	if !semver.IsValid(version) {
		return nil, nil // of a source, say
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	ids, err := d.identifiers(ctx, m.Path)
	if err != nil {
		return nil, err
	}
	var all []Vulnerability
	for _, id := range ids {
		e, err := d.entry(ctx, id)
		if err != nil {
			return nil, err
		}
		if v, affected := e.match(m, version); affected {
			all = append(all, v)
		}
	}
	return all, nil
}

// match reports whether the module has the vulnerability in a version.
func (e *entry) match(m Module, version string) (_ Vulnerability, affected bool) {
	v := Vulnerability{ID: e.ID, Aliases: e.Aliases, Summary: e.Summary, Module: m.Path, Version: m.Version}
	for _, a := range e.Affected {
		if e.Withdrawn != "" || a.Package.Name != m.Path {
			continue
		}
		in := false
		for _, r := range a.Ranges {
			for _, event := range r.Events { // in the order of versions
				switch {
				case event.Introduced == "0" || event.Introduced != "" && semver.Compare("v"+event.Introduced, version) <= 0:
					in = true
				case event.Fixed != "" && semver.Compare("v"+event.Fixed, version) <= 0:
					in = false
				case event.Fixed != "" && in && v.Fixed == "":
					v.Fixed = event.Fixed
				}
			}
		}
		named := false
		for _, i := range a.Specific.Imports {
			named = true
			if slices.Contains(m.Packages, i.Path) && (i.GOOS == nil || slices.Contains(i.GOOS, m.GOOS)) && (i.GOARCH == nil || slices.Contains(i.GOARCH, m.GOARCH)) {
				v.Packages = append(v.Packages, i.Path)
			}
		}
		if in && (!named || v.Packages != nil) {
			affected = true
		}
	}
	return v, affected
}

// goRelease is the form of versions of Go.
var goRelease = regexp.MustCompile(`^go(\d+\.\d+)(\.\d+)?((?:rc|beta)\d+)?$`)

// goVersion is a version of Go as a semantic one; empty for one that is no release's.
func goVersion(text string) string {
	text, _, _ = strings.Cut(text, " ") // experiments
	m := goRelease.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	patch := m[2]
	if patch == "" {
		patch = ".0"
	}
	version := "v" + m[1] + patch
	if i := strings.IndexAny(m[3], "0123456789"); i > 0 {
		version += "-" + m[3][:i] + "." + m[3][i:]
	}
	return version
}
