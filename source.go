// Package slipway holds the source of the command slipway, as it is in the module of the same name. The Dagger module
// compiles it where its functions need the command itself.
package slipway

import "embed"

// Source is what compiles cmd/slipway: a Go module, whose other packages may be missing.
//
//go:embed go.mod go.sum cmd internal
var Source embed.FS
