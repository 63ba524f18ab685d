// Package slipway ships Go programs as minimal container images. The command slipway and the Dagger module are faces of it, and other
// programs import it.
//
// A request becomes a result in these steps:
//
//	Request -> Image (with its Plan) -> Builder -> Result
//
// A [Request] names a source, the images of its slipway.yaml, the settings that lie over those of the file, and a [Sink]: [Files],
// a [Registry], or a [Document] about the image. [Request.Plan] decides before anything runs: each [Image] has a [Plan], with every
// command, file and reference, and a target. It reports everything that is wrong with a request at once, as [Faults].
//
// A [Builder] carries plans out: its [Engine] downloads and verifies modules, compiles, and refuses programs that the image could not
// run; [Builder.Build] takes each image to its sink and moves tags last, when all images are up. [Host] makes a builder that needs
// nothing but Go. [Builder.ChangedSince] leaves out images that a change does not affect, [Builder.PublishArchive] pushes an image that
// was built before, [Builder.Lock] decides what slipway.lock should say, and [Builder.Verify] verifies who built an image in a registry.
//
// The same source, Go version and bases give the same bytes, on every machine and engine.
package slipway
