// Package debian puts packages of Debian into images: it reads a signed archive, decides which packages are needed, fetches and unpacks them,
// and writes the package database. Nothing is executed, neither of the packages nor of this machine.
//
// What is believed of the network: InRelease by its signature, which must be of a key of the release; Packages by the digest that InRelease
// has; a package by the digest that Packages, or the lock of who calls, has. So mirrors need not be trusted.
//
// When packages are chosen, an InRelease must be for the suite that was asked for, not older than the lock says, and not past its
// Valid-Until, where it has one, by this machine's clock. A lock needs no InRelease: it names packages by their digests, and those that the
// archive has replaced since come from snapshot.debian.org. So the clock can refuse a choice, and has no part in what is chosen.
//
// Scripts of packages never run. A package whose scripts would do something is refused, unless its scripts were read and what matters of them
// is done here; see scripts.go.
package debian
