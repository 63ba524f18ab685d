package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/attest"
	"github.com/slipway-ci/slipway/internal/attest/signing"
	"github.com/slipway-ci/slipway/internal/registry"
)

// resolve finds what a reference leads to.
func resolve(ts *testscript.TestScript, reference string) (*registry.Client, name.Digest) {
	client, err := registry.New(registry.Options{})
	ts.Check(err)
	ts.Defer(client.Close)
	ref, err := name.ParseReference(reference)
	ts.Check(err)
	found, err := client.Get(context.Background(), ref)
	ts.Check(err)
	return client, ref.Context().Digest(found.Digest.String())
}

// savePredicate writes the provenance of an image into a file, so that another image can claim it.
func savePredicate(ts *testscript.TestScript, _ bool, args []string) {
	client, ref := resolve(ts, args[0])
	predicate, err := attest.Provenance(context.Background(), client, ref, nil)
	ts.Check(err)
	text, err := json.Marshal(predicate)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), text, 0o644))
}

// printStatements prints the types and predicates of statements that a key signed in bundles.
func printStatements(ts *testscript.TestScript, _ bool, args []string) {
	client, ref := resolve(ts, args[0])
	text, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	key, err := slipway.ParsePublicKey(text)
	ts.Check(err)
	layers, err := registry.Referring(context.Background(), client, ref, func(v1.Descriptor) bool { return true })
	ts.Check(err)
	for _, l := range layers {
		if !signing.IsBundle(l.MediaType) {
			continue
		}
		if statement, _, err := key.OpenBundle(l.Content); err == nil {
			fmt.Fprintln(ts.Stdout(), signing.ClaimedType(l.Content), string(statement))
		}
	}
}
