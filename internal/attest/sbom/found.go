package sbom

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Found is what can be seen in the file system of an image.
type Found struct {
	// System is the distribution and its version, such as "debian 13"; empty if no file names it.
	System string
	// Packages are the versions of the distribution's packages, by their names.
	Packages map[string]string
	// Programs are what Go says of the programs that it made, by their paths.
	Programs map[string]*buildinfo.BuildInfo
	// Digests are the SHA-256 of all regular files, in hexadecimal, by their paths. Hard links have none of their own.
	Digests map[string]string
}

// Scan finds what is in an image. See [Options.Cache] for cache, which may be nil.
func Scan(ctx context.Context, img v1.Image, cache Cache) (*Found, error) {
	scanned, err := scan(ctx, img, cache)
	if err != nil {
		return nil, fmt.Errorf("taking the inventory of an image: %w", err)
	}
	found := &Found{Packages: map[string]string{}, Programs: map[string]*buildinfo.BuildInfo{}, Digests: map[string]string{}}
	if system := scanned.systemComponent(); system != nil {
		found.System = strings.TrimSpace(system.name + " " + system.version)
	}
	for _, p := range scanned.packages() {
		found.Packages[p.name] = p.version
	}
	for _, p := range scanned.programs {
		found.Programs[p.path], found.Digests[p.path] = p.info, p.sha256
	}
	for _, f := range scanned.files {
		found.Digests[f.path] = f.sha256
	}
	return found, nil
}
