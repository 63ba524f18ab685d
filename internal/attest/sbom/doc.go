// Package sbom writes bills of materials: what an image of one platform consists of, as CycloneDX 1.6 or SPDX 2.3.
//
// [Read] takes everything from the image itself. Go programs say which modules, versions and sums they were built from;
// the package databases of Debian, of distroless and of Alpine say what the base consists of; where there is no database,
// as on scratch, every file is listed with its digest. Licences, and which module needs which, are looked up in a module
// cache if one is at hand: nothing is run and nothing is downloaded for them.
//
// The same image gives the same bytes: there is no clock and nothing random in a document.
package sbom
