// Package oci makes deterministic OCI images out of files, and reads the images that they are built upon.
//
// [NewLayer] turns files into a layer, [Bases] finds the image below it, [New] joins both with a configuration and
// [NewIndex] joins the images of several platforms. [WriteArchive], [WriteLayout] and [WriteDocker] put the result into
// files. Images and indexes are those of go-containerregistry, which can push them as they are.
//
// The same input gives the same bytes: order, modes, owners, times and compression depend on nothing of the machine.
// Content is streamed, and whatever is read is checked against its digest. All media types are those of OCI. Source:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/spec.md
package oci
