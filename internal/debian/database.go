package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/distro/unpack"
	"github.com/slipway-ci/slipway/internal/oci"
)

// Where packages are listed: dpkg's own database, and what images without dpkg have in its place, a file for each package. Sources: dpkg(1),
// https://github.com/GoogleContainerTools/distroless/blob/main/PACKAGE_METADATA.md
const (
	status    = "/var/lib/dpkg/status"
	statusDir = "/var/lib/dpkg/status.d"
	infoDir   = "/var/lib/dpkg/info"
)

// System is the system of an image that packages are installed in. The zero value is none.
type System struct {
	// Installed are its packages.
	Installed []Installed
	files     *oci.FileSystem
	// status is dpkg's database; nil where there is no dpkg.
	status []byte
}

// Installed is a package of a system, and what the database says of it.
type Installed struct {
	candidate *candidate
	text      []byte
}

// ReadSystem reads what packages an image has.
func ReadSystem(ctx context.Context, files *oci.FileSystem) (*System, error) {
	s := &System{files: files}
	text, err := files.ReadFile(ctx, status)
	if err == nil {
		s.status = text
		return s, s.read(status, text)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, name := range files.List(statusDir) {
		if path.Ext(name) == ".md5sums" {
			continue
		}
		text, err := files.ReadFile(ctx, path.Join(statusDir, name))
		if err != nil {
			return nil, err
		}
		if err := s.read(path.Join(statusDir, name), text); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Release is that of Debian which the system is of.
func (s *System) Release(ctx context.Context) (Release, error) {
	text, err := s.files.ReadFile(ctx, "/etc/os-release")
	if errors.Is(err, fs.ErrNotExist) {
		return Release{}, errors.New("it has no /etc/os-release that would say of which release of Debian it is")
	}
	if err != nil {
		return Release{}, err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[key] = strings.Trim(value, `"'`)
	}
	if values["ID"] != "debian" {
		return Release{}, fmt.Errorf("its /etc/os-release says that it is of %q, and not of debian", values["ID"])
	}
	return Find(values["VERSION_ID"])
}

func (s *System) read(name string, text []byte) error {
	for paragraph := range bytes.SplitSeq(text, []byte("\n\n")) {
		if len(bytes.TrimSpace(paragraph)) == 0 || s.status != nil && !strings.HasSuffix(field(paragraph, "Status"), " installed") {
			continue
		}
		c, _, err := parseControl(paragraph)
		if err != nil {
			return fmt.Errorf("reading %s of the base: %w", name, err)
		}
		c.base = true
		s.Installed = append(s.Installed, Installed{c, paragraph})
	}
	return nil
}

func (s *System) empty() bool { return s.files == nil }

// record writes down what was installed.
func (t *tree) record(chosen []distro.Package, all []*contents) error {
	if t.base.status == nil {
		for i, p := range chosen {
			t.Put(oci.FromBytes(path.Join(statusDir, p.Name), 0o644, all[i].Control["control"]))
			if sums, ok := all[i].Control["md5sums"]; ok {
				t.Put(oci.FromBytes(path.Join(statusDir, p.Name+".md5sums"), 0o644, sums))
			}
		}
		return nil
	}
	text := bytes.TrimRight(t.base.status, "\n")
	for i, p := range chosen {
		c, fields, err := parseControl(all[i].Control["control"])
		if err != nil {
			return err
		}
		text = append(append(text, "\n\n"...), paragraphOf(all[i])...)
		name := p.Name
		if fields["Multi-Arch"] == "same" {
			name += ":" + c.architecture
		}
		for file, content := range all[i].Control {
			if file == "control" {
				continue
			}
			mode := fs.FileMode(0o644)
			if slices.Contains([]string{"preinst", "postinst", "prerm", "postrm", "config"}, file) {
				mode = 0o755
			}
			t.Put(oci.FromBytes(path.Join(infoDir, name+"."+file), mode, content))
		}
		list := []byte("/.\n")
		for _, e := range all[i].Files {
			if e.Path != "/" {
				list = append(list, e.Path+"\n"...)
			}
		}
		t.Put(oci.FromBytes(path.Join(infoDir, name+".list"), 0o644, list))
	}
	t.Put(oci.FromBytes(status, 0o644, append(text, "\n\n"...)))
	return nil
}

// paragraphOf is a package in dpkg's database: its control file, with that it is installed and what its configuration was.
func paragraphOf(found *contents) []byte {
	first, rest, _ := bytes.Cut(bytes.TrimSpace(found.Control["control"]), []byte("\n"))
	text := slices.Concat(first, []byte("\nStatus: install ok installed\n"), rest)
	conffiles := conffilesOf(found.Control)
	if len(conffiles) == 0 {
		return text
	}
	text = append(text, "\nConffiles:"...)
	for _, name := range conffiles {
		if i := slices.IndexFunc(found.Files, func(e unpack.Entry) bool { return e.Path == name }); i >= 0 {
			text = fmt.Appendf(text, "\n %s %s", name, found.Files[i].Sum)
		}
	}
	return text
}
