package enginetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
)

// modules: each program is compiled with the dependencies, and the Go, of its own module, though both want another module of one name and
// have programs of one name. Building again changes nothing.
func (s suite) modules(t *testing.T) {
	dir := extract(t, `
-- api/go.mod --
module example.com/api

go 1.26.8

require example.com/lib v0.0.0

replace example.com/lib => ../old
-- api/main.go --
package main

import "example.com/lib"

func main() { println(lib.Name) }
-- plugin/go.mod --
module example.com/plugin

go 1.26.8

require example.com/lib v0.0.0

replace example.com/lib => ../new
-- plugin/api/main.go --
package main

import "example.com/lib"

func main() { println(lib.Name) }
-- old/go.mod --
module example.com/lib

go 1.26.8
-- old/lib.go --
package lib

const Name = "this is the old library"
-- new/go.mod --
module example.com/lib

go 1.26.8
-- new/lib.go --
package lib

const Name = "this is the new library"
`)
	config := plan.Config{
		Runtime: "scratch", Platforms: []string{"linux/amd64", "linux/arm64"}, Packages: []string{"./api", "./plugin/api=/bin/plugin"},
	}
	var digests []string
	for range 2 {
		result := s.mustBuild(t, dir, config)
		for _, img := range result.Images {
			files := Files(t, img)
			assert.Contains(t, files["/app/api"].Content, "this is the old library")
			assert.NotContains(t, files["/app/api"].Content, "this is the new library")
			assert.Contains(t, files["/bin/plugin"].Content, "this is the new library")
			assert.Len(t, files["/app/api"].Content+files["/bin/plugin"].Content, int(img.BinarySize))
		}
		digest, err := result.Artifact.Digest()
		require.NoError(t, err)
		digests = append(digests, digest.String())
	}
	assert.Equal(t, digests[0], digests[1])
}
