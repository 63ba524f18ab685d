package oci

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
)

// Spec says what an image is made of.
type Spec struct {
	// Platform that the image runs on. The base must have an image for it.
	Platform v1.Platform
	// Base is what the layers go on top of; nil for nothing. Its environment, labels, ports, volumes, working directory, stop
	// signal and history are kept; its user, entrypoint and command are not, nor what OCI does not know, such as
	// health checks and triggers.
	Base *Base
	// Layers are added to those of the base, lowest first.
	Layers []Layer

	// Config is the image's configuration: user, entrypoint, command and, where they are set, working directory and stop signal. A
	// variable of the environment that the base has gets the new value in its old place. Labels, ports and volumes are added to
	// those of the base.
	Config v1.Config
	// Path are directories that are added to the end of the variable PATH, which has Docker's value where neither the base nor Config
	// has one.
	Path []string
	// Annotations of the manifest. The name and digest of the base are added to them, unless they are there.
	Annotations map[string]string
	// Created is the time that the image and the history of its layers bear.
	Created time.Time
}

// Placed begins what the history says of layers that Slipway makes. The name of what is in them follows.
const Placed = "slipway: "

// Layer is a layer and what made it.
type Layer struct {
	v1.Layer
	// CreatedBy is shown in the image's history. For what Slipway places it begins with [Placed].
	CreatedBy string
}

// New puts an image together. The same spec always gives the same digest.
func New(spec Spec) (v1.Image, error) {
	config := &v1.ConfigFile{}
	var layers []v1.Layer
	annotations := map[string]string{}
	if spec.Base != nil {
		base, err := spec.Base.Image(spec.Platform)
		if err != nil {
			return nil, err
		}
		if config, err = base.ConfigFile(); err != nil {
			return nil, err
		}
		if layers, err = base.Layers(); err != nil {
			return nil, err
		}
		annotations[oci.AnnotationBaseImageDigest] = spec.Base.Digest.String()
		if spec.Base.Name != "" {
			annotations[oci.AnnotationBaseImageName] = spec.Base.Name
		}
	}
	maps.Copy(annotations, spec.Annotations)
	history := baseHistory(config.History, len(layers), v1.Time{Time: spec.Created.UTC()})
	for _, l := range spec.Layers {
		layers = append(layers, l.Layer)
		history = append(history, v1.History{Created: v1.Time{Time: spec.Created.UTC()}, CreatedBy: l.CreatedBy})
	}

	file := v1.ConfigFile{
		Architecture: spec.Platform.Architecture,
		OS:           spec.Platform.OS,
		OSVersion:    spec.Platform.OSVersion,
		OSFeatures:   spec.Platform.OSFeatures,
		Variant:      spec.Platform.Variant,
		Created:      v1.Time{Time: spec.Created.UTC()},
		Config:       spec.configOver(config.Config),
		RootFS:       v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}},
		History:      history,
	}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: []v1.Descriptor{}, Annotations: annotations}
	for _, l := range layers {
		diffID, err := l.DiffID()
		if err != nil {
			return nil, err
		}
		descriptor, err := partial.Descriptor(l)
		if err != nil {
			return nil, err
		}
		file.RootFS.DiffIDs = append(file.RootFS.DiffIDs, diffID)
		manifest.Layers = append(manifest.Layers, *descriptor)
	}
	return assemble(manifest, file, layers)
}

// NewIndex makes an index of the images, in this order.
func NewIndex(images []v1.Image, annotations map[string]string) (v1.ImageIndex, error) {
	manifest := v1.IndexManifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}, Annotations: annotations,
	}
	byDigest := map[v1.Hash]v1.Image{}
	for _, img := range images {
		descriptor, err := describe(img)
		if err != nil {
			return nil, err
		}
		config, err := img.ConfigFile()
		if err != nil {
			return nil, err
		}
		descriptor.Platform = config.Platform()
		byDigest[descriptor.Digest] = img
		manifest.Manifests = append(manifest.Manifests, descriptor)
	}
	raw, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	return &index{raw, byDigest}, nil
}

// configOver is the configuration that the spec makes of the base's. Only fields that OCI knows are kept of that; Docker reads its health
// checks from images in OCI's format, too. Source:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md#properties
func (s Spec) configOver(base v1.Config) v1.Config {
	own := s.Config
	entrypoint := own.Entrypoint
	if entrypoint == nil {
		entrypoint = base.Entrypoint
	}
	return v1.Config{
		User:         own.User,
		Entrypoint:   entrypoint,
		Cmd:          own.Cmd,
		WorkingDir:   cmp.Or(own.WorkingDir, base.WorkingDir),
		Env:          s.env(base.Env),
		Labels:       merge(base.Labels, own.Labels),
		ExposedPorts: merge(base.ExposedPorts, own.ExposedPorts),
		Volumes:      merge(base.Volumes, own.Volumes),
		Healthcheck:  own.Healthcheck,
		StopSignal:   cmp.Or(own.StopSignal, base.StopSignal),
	}
}

// DefaultPath is where programs are searched without a variable PATH, for Docker, containerd and Podman alike.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// env is the environment that the spec makes of the base's.
func (s Spec) env(base []string) []string {
	env := mergeEnv(base, s.Config.Env)
	if len(s.Path) == 0 {
		return env
	}
	at := slices.IndexFunc(env, func(variable string) bool { return strings.HasPrefix(variable, "PATH=") })
	if at < 0 {
		at = len(base)
		env = slices.Insert(env, at, "PATH="+DefaultPath) // where BuildKit sets it
	}
	if env[at] == "PATH=" {
		env[at] += DefaultPath
	}
	env[at] += ":" + strings.Join(s.Path, ":")
	return env
}

// baseHistory is the base's history, made anew if it does not have an entry for each layer: tools that pair the two would fail.
func baseHistory(history []v1.History, layers int, created v1.Time) []v1.History {
	entries := 0
	for _, h := range history {
		if !h.EmptyLayer {
			entries++
		}
	}
	if entries == layers {
		return slices.Clone(history)
	}
	return slices.Repeat([]v1.History{{Created: created, CreatedBy: "base image"}}, layers)
}

func mergeEnv(base, over []string) []string {
	merged := slices.Clone(base)
	for _, entry := range over {
		key, _, _ := strings.Cut(entry, "=")
		at := slices.IndexFunc(merged, func(old string) bool { return strings.HasPrefix(old, key+"=") })
		if at < 0 {
			merged = append(merged, entry)
		} else {
			merged[at] = entry
		}
	}
	return merged
}

func merge[V any](base, over map[string]V) map[string]V {
	merged := map[string]V{}
	maps.Copy(merged, base)
	maps.Copy(merged, over)
	return merged
}

// assemble is the image with this manifest, whose Config is filled in, and configuration.
func assemble(manifest v1.Manifest, file v1.ConfigFile, layers []v1.Layer) (v1.Image, error) {
	config, err := json.Marshal(file)
	if err != nil {
		return nil, fmt.Errorf("writing the configuration of an image: %w", err)
	}
	sum := sha256Of(config)
	manifest.Config = v1.Descriptor{MediaType: types.OCIConfigJSON, Digest: sum, Size: int64(len(config))}
	raw, err := json.Marshal(manifest)
	if err != nil {
		return nil, fmt.Errorf("writing the manifest of an image: %w", err)
	}
	return &content{raw, config, layers}, nil
}

// describe is the plain descriptor of an image or index.
func describe(a partial.Describable) (v1.Descriptor, error) {
	mediaType, err1 := a.MediaType()
	size, err2 := a.Size()
	digest, err3 := a.Digest()
	return v1.Descriptor{MediaType: mediaType, Size: size, Digest: digest}, errors.Join(err1, err2, err3)
}
