// Package registry talks to container registries: one transport that tries again where that helps and ends in bounded time,
// mirrors for pulls, docker's and podman's credentials, pushes that move tags last, documents beside images, and errors that say
// what to do.
//
// It adds to go-containerregistry and replaces nothing of it: authentication, uploads and verification are that
// library's. Its own retries are switched off, because two layers that each try five times try twenty-five times.
package registry
