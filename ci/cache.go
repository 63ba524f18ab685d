package main

import (
	"github.com/slipway-ci/slipway"
)

// What is done with a cache that machines share.
type CacheMode string

const (
	// Take what is there, and cache what was built.
	ReadWrite CacheMode = "READ_WRITE"
	// Only take, as pull requests should.
	Read CacheMode = "READ"
	// Take nothing, build everything, and cache it.
	Refresh CacheMode = "REFRESH"
)

// Take images that have not changed from a cache in a registry, and cache those that are built
//
// This is for publish, publish-all, ci and image-archive: of an image that is found, nothing is compiled. The login is that of
// with-login, if the cache is in the registry that is published to, or one of registry-config.
func (m *Slipway) WithCache(
	// Repository of the cache, with its registry, like ghcr.io/me/api/cache. Default: that of slipway.yaml.
	// +optional
	repository string,
	// What is done with it: READ_WRITE, READ or REFRESH.
	// +default="READ_WRITE"
	mode CacheMode,
) *Slipway {
	with := *m
	with.Cache, with.Caching = repository, mode
	return &with
}

// mode is the one of the builder.
func (c CacheMode) mode() slipway.CacheMode {
	return slipway.CacheMode(setting(c))
}
