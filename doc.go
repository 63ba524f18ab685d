// Package slipway ships Go programs as minimal container images: it is what the command slipway and the Dagger module are faces of, and
// what other programs import.
//
// There is one road from a request to its result:
//
//	Request -> Image (with its Plan) -> Builder -> Result
//
// A [Request] names a source, the images of its slipway.yaml, the settings that lie over those of the file, and a [Sink]: [Files],
// a [Registry], or a [Document] about the image. [Request.Plan] decides: each [Image] comes with a [Plan] that says every command, file
// and reference, and with where it goes, before anything runs. Everything that is wrong with a request is reported at once, as [Faults].
//
// A [Builder] carries plans out: its [Engine] downloads and verifies modules, compiles, and refuses programs that the image could not
// run; [Builder.Build] takes each image to its sink and moves tags last, when all images are up. [Host] makes a builder that needs
// nothing but Go. [Builder.ChangedSince] leaves out images that a change does not concern, [Builder.PublishArchive] pushes what was built
// before, and [Builder.Verify] says who built what is in a registry.
//
// The same source, Go version and bases give the same bytes, on every machine and engine.
package slipway
