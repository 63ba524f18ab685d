package dagger

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"dagger.io/dagger"

	"github.com/slipway-ci/slipway/internal/oci/roots"
	"github.com/slipway-ci/slipway/internal/plan"
)

// placement is where the files of a plan go on its base: as COPY would put them, which the engine's own calls do not, since they copy
// all that a layer has at once, with the directories above it.
type placement struct {
	// skeleton has the directories of the base that files go into, with their modes and owners.
	skeleton *dagger.Directory
	// at is where a path leads, by the path.
	at map[string]place
}

// place is what the base has where a path leads.
type place struct {
	path  string
	kind  string // "directory", "file" or "none"
	mode  int
	owner string
}

// locate runs in the builder, for the base's programs do not run on every engine: it follows links within the base, says what is
// there, and makes the skeleton. Directories of the user are made, or get the owner and the right to write.
const locate = `set -e
` + plan.FollowInBase + `
mkdir /skeleton
known=:
while IFS=' ' read -r owner name; do
  there=$(at "$name")
  found=${there#/base}
  if [ -d "$there" ]; then echo "directory $(stat -c '%a %u:%g' "$there") $found"
  elif [ -e "$there" ]; then echo "file $(stat -c '%a %u:%g' "$there") $found"
  else echo "none 0 0:0 $found"; fi
  dir=$found
  if [ ! -d "$there" ] && [ "$owner" = - ]; then dir=${dir%/*}; fi
  while [ -n "$dir" ]; do
    case $known in *":$dir:"*) break ;; esac
    known=$known$dir:
    if [ -d "/base$dir" ]; then
      mkdir -p "/skeleton$dir"
      chown "$(stat -c %u:%g "/base$dir")" "/skeleton$dir"
      chmod "$(stat -c %a "/base$dir")" "/skeleton$dir"
    fi
    dir=${dir%/*}
  done
  if [ "$owner" != - ]; then
    mkdir -p "/skeleton$found"
    chown "$owner" "/skeleton$found"
    chmod u+rwx "/skeleton$found"
  fi
done < /names > /found
`

// placement finds the places of the files.
func (b *Build) placement(ctx context.Context, files []plan.File, base *dagger.Directory) (*placement, error) {
	p := &placement{skeleton: b.client.Directory(), at: map[string]place{}}
	if b.plan.Image.Base == "" {
		return p, nil
	}
	var names []string
	asked := func(owner, name string) {
		if line := owner + " " + name; !slices.Contains(names, line) {
			names = append(names, line)
		}
	}
	for _, f := range files {
		owner := "-"
		if f.Dir && f.Owner != "" {
			owner = f.Owner
		}
		asked(owner, f.Path)
		if f.Certificates || f.CACerts != "" {
			for _, name := range plan.Bundles {
				asked("-", name)
			}
		}
	}
	run := b.client.Container().From(b.plan.Builder).WithMountedDirectory("/base", base).
		WithNewFile("/names", strings.Join(names, "\n")+"\n").WithExec([]string{"sh", "-c", locate})
	found, err := run.File("/found").Contents(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the file system of the base %s: %w", b.plan.Image.Base, err)
	}
	lines := strings.Split(strings.TrimSuffix(found, "\n"), "\n")
	if len(lines) != len(names) {
		return nil, fmt.Errorf("reading the file system of the base %s: %d answers to %d questions", b.plan.Image.Base, len(lines), len(names))
	}
	for i, line := range lines {
		fields := strings.SplitN(line, " ", 4)
		if len(fields) != 4 {
			return nil, fmt.Errorf("reading the file system of the base %s: %q", b.plan.Image.Base, line)
		}
		mode, err := strconv.ParseInt(fields[1], 8, 32)
		if err != nil {
			return nil, err
		}
		_, name, _ := strings.Cut(names[i], " ")
		p.at[name] = place{fields[3], fields[0], int(mode), fields[2]}
	}
	p.skeleton = run.Directory("/skeleton")
	return p, nil
}

// find is where a file goes; a path on no base is itself.
func (p *placement) find(name string) place {
	if at, ok := p.at[name]; ok {
		return at
	}
	return place{path: name, kind: "none"}
}

// specialDir makes a directory whose mode has a sticky bit in the builder: the engine's own call drops it.
func (b *Build) specialDir(f plan.File) *dagger.Directory {
	const root = "/rootfs"
	return b.client.Container().From(b.plan.Builder).
		WithExec([]string{"install", "-d", "-m", f.Mode.String(), root + f.Path}).
		Directory(root)
}

// layer is the content of a layer, with the directories above its files.
func (b *Build) layer(ctx context.Context, layer plan.Layer, base *dagger.Directory, c plan.Compile) (*dagger.Directory, error) {
	places, err := b.placement(ctx, layer.Files, base)
	if err != nil {
		return nil, err
	}
	dir := places.skeleton
	for _, f := range b.above(layer) {
		dir = dir.WithDirectory("/", b.specialDir(f))
	}
	for _, f := range layer.Files {
		at := places.find(f.Path)
		mode := int(f.Mode)
		switch {
		case f.Dir && at.kind == "file":
			return nil, fmt.Errorf("placing the directory %s in the image: there is a file in its place: choose another path", f.Path)
		case !f.Dir && at.kind == "directory" && f.Source == "":
			return nil, fmt.Errorf("placing the file %s in the image: there is a directory in its place: choose another path, or one in it", f.Path)
		case f.Dir && at.kind == "directory":
			// It is in the skeleton.
		case f.Dir && mode > 0o777:
			dir = dir.WithDirectory("/", b.specialDir(f))
		case f.Dir && f.Owner != "":
			dir = dir.WithNewDirectory(at.path, dagger.DirectoryWithNewDirectoryOpts{Permissions: mode}).Chown(at.path, f.Owner)
		case f.Dir:
			dir = dir.WithNewDirectory(at.path, dagger.DirectoryWithNewDirectoryOpts{Permissions: mode})
		case f.Program != "":
			dir = dir.WithFile(at.path, b.programs(c).File(f.Program), dagger.DirectoryWithFileOpts{Permissions: mode, Owner: "0:0"})
		case f.Source != "":
			if at.kind == "directory" {
				at.path = path.Join(at.path, path.Base(f.Source)) // as COPY does
			}
			dir = dir.WithFile(at.path, b.source.File(f.Source), dagger.DirectoryWithFileOpts{Permissions: mode, Owner: "0:0"})
		case f.Certificates || f.CACerts != "":
			if dir, err = b.bundles(ctx, dir, f, places, base); err != nil {
				return nil, err
			}
		case f.Append != "":
			if dir, err = b.extend(ctx, dir, f, at, "", base, f.Appended); err != nil {
				return nil, err
			}
		default:
			dir = dir.WithNewFile(at.path, f.Text, dagger.DirectoryWithNewFileOpts{Permissions: mode})
		}
	}
	return dir.WithTimestamps(int(b.plan.Image.Created)), nil
}

// above are the directories of other layers with a mode of their own that files of this one go into.
func (b *Build) above(layer plan.Layer) []plan.File {
	var dirs []plan.File
	for _, other := range b.plan.Image.Layers {
		for _, dir := range other.Files {
			if dir.Dir && dir.Mode.FileMode()&fs.ModeSticky != 0 && other.Name != layer.Name &&
				slices.ContainsFunc(layer.Files, func(f plan.File) bool { return strings.HasPrefix(f.Path, dir.Path+"/") }) {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// bundles adds certificates to each of the base's bundles, or makes one.
func (b *Build) bundles(ctx context.Context, dir *dagger.Directory, f plan.File, places *placement, base *dagger.Directory) (*dagger.Directory, error) {
	public := string(roots.PEM())
	with := func(bundle string) string { return f.Bundle(bundle, public) }
	seen := map[string]bool{}
	for _, name := range plan.Bundles {
		at := places.find(name)
		if at.kind != "file" || seen[at.path] {
			continue
		}
		seen[at.path] = true
		var err error
		if dir, err = b.extend(ctx, dir, f, at, "", base, with); err != nil {
			return nil, err
		}
	}
	if len(seen) > 0 {
		return dir, nil
	}
	return b.extend(ctx, dir, f, places.find(f.Path), public, base, with)
}

// extend writes a file of the base with more in it, of its mode and owner; a new one begins with initial.
func (b *Build) extend(
	ctx context.Context, dir *dagger.Directory, f plan.File, at place, initial string, base *dagger.Directory, more func(string) string,
) (*dagger.Directory, error) {
	if at.kind != "file" {
		return dir.WithNewFile(at.path, more(initial), dagger.DirectoryWithNewFileOpts{Permissions: int(f.Mode)}), nil
	}
	content, err := base.File(strings.TrimPrefix(at.path, "/")).Contents(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading %s of the base %s: %w", at.path, b.plan.Image.Base, err)
	}
	return dir.WithNewFile(at.path, more(content), dagger.DirectoryWithNewFileOpts{Permissions: at.mode}).Chown(at.path, at.owner), nil
}
