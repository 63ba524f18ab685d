package main

import (
	"maps"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/slipway-ci/slipway/internal/test/packagetest"
)

// Those in testdata/downloads put files of the host downloads.invalid into images:
//
//   - serve PATH FILE has the host serve a file from now on, and serve PATH alone removes it
//   - asked N wants that it was asked so often since the last such line
func TestDownloadScripts(t *testing.T) {
	type served struct{}
	server := func(ts *testscript.TestScript) *packagetest.Server { return ts.Value(served{}).(*packagetest.Server) }
	maps.Copy(commands, map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"serve": func(ts *testscript.TestScript, _ bool, args []string) {
			delete(server(ts).Files, args[0])
			if len(args) > 1 {
				server(ts).Files[args[0]] = []byte(ts.ReadFile(args[1]))
			}
		},
		"asked": func(ts *testscript.TestScript, _ bool, args []string) {
			if got := strconv.FormatInt(server(ts).Asked.Swap(0), 10); got != args[0] {
				ts.Fatalf("it was asked %s times", got)
			}
		},
	})
	runScripts(t, "testdata/downloads", func(e *testscript.Env) error {
		s := packagetest.Serve(t)
		e.Values[served{}] = s
		e.Setenv("SLIPWAY_MIRRORS", e.Getenv("SLIPWAY_MIRRORS")+",downloads.invalid="+s.Address)
		return nil
	})
}
