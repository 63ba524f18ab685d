package dagger

import (
	"fmt"
	"slices"
	"strconv"

	"dagger.io/dagger"

	"github.com/slipway-ci/slipway/internal/build/placement"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
)

// makeDirs makes directories in the builder, for the engine's own call drops sticky bits. Its arguments are the mode, owner and path of
// each, the deepest first, so that none inherits from the one above it.
const makeDirs = `set -e
mkdir /skeleton
while [ $# -gt 0 ]; do
  mkdir -p "/skeleton$3"
  chown "$2" "/skeleton$3"
  chmod "$1" "/skeleton$3"
  shift 3
done
`

// makeLinks makes symbolic links there, for the engine's own calls that give an owner or a time follow them. Its arguments are the time of
// everything, and the owner, target and path of each.
const makeLinks = `set -e
created=@$1
shift
while [ $# -gt 0 ]; do
  ln -s -- "$2" "/skeleton$3"
  chown -h "$1" "/skeleton$3"
  touch -h -d "$created" "/skeleton$3"
  touch -d "$created" "/skeleton${3%/*}"
  shift 3
done
`

// layer is the content of a layer: all directories first, since the engine copies those that a layer has over those of the image.
func (b *Build) layer(layer placement.Layer, c plan.Compile) *dagger.Directory {
	command := append(inShell(makeDirs), "sh")
	for _, f := range slices.Backward(layer.Files) {
		if f.Mode.IsDir() {
			command = append(command, strconv.FormatInt(f.Permissions(), 8), owner(f), f.Path)
		}
	}
	builder := b.client.Container().From(b.plan.Builder)
	dir := builder.WithExec(command).Directory("/skeleton")
	var links []string
	for _, f := range layer.Files {
		opts := dagger.DirectoryWithFileOpts{Permissions: int(f.Permissions()), Owner: owner(f)}
		switch from := placement.From(f); {
		case f.Mode.IsDir():
		case f.Link != "":
			links = append(links, owner(f), f.Link, f.Path)
		case from.Program != "":
			dir = dir.WithFile(f.Path, b.programs(c).File(from.Program), opts)
		case from.Download != nil:
			dir = dir.WithFile(f.Path, b.client.HTTP(from.Download.URL, dagger.HTTPOpts{Checksum: from.Download.Digest}), opts)
		case from.Source != "":
			dir = dir.WithFile(f.Path, b.source.File(from.Source), opts)
		default:
			dir = dir.WithNewFile(f.Path, from.Text, dagger.DirectoryWithNewFileOpts{Permissions: opts.Permissions}).Chown(f.Path, opts.Owner)
		}
	}
	dir = dir.WithTimestamps(int(b.plan.Image.Created))
	if links == nil {
		return dir
	}
	command = append(inShell(makeLinks), "sh", strconv.FormatInt(b.plan.Image.Created, 10))
	return builder.WithMountedDirectory("/skeleton", dir).WithExec(append(command, links...)).Directory("/skeleton")
}

func owner(f oci.File) string { return fmt.Sprintf("%d:%d", f.UID, f.GID) }
