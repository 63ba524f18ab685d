package main

import (
	"errors"
	"os"

	engine "github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/secret"
)

// The edge between the module and whoever called it: everything that its functions print or return as text passes here.

var (
	// known are secrets that must not come into any text.
	known  = &secret.Set{}
	stdout = console.NewWriter(os.Stdout, known)
	stderr = console.NewWriter(os.Stderr, known)
)

// worded gives the error that a function is about to return the module's words, and makes it harmless.
func worded(err *error) {
	if *err != nil {
		*err = errors.New(stderr.Clean(fault.Reword(*err, engine.Words)))
	}
}
