package plan

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A tool's file runs in place of go run, with what go run would have run it by.
func TestToolIn(t *testing.T) {
	tool := &Tool{Package: "example.com/cmd/tool/v2@v2.1.0"}
	other := &Tool{Package: "example.com/cmd/tool@v1.0.0"}
	assert.Equal(t, "tool", other.Name())
	for want, command := range map[string][]string{
		"/t/tool run ./...":     {"go", "run", tool.Package, "run", "./..."},
		"env A=1 B=2 /t/tool x": {"go", "run", "-exec", "env A=1 B=2", tool.Package, "x"},
		"go build .":            {"go", "build", "."},
	} {
		assert.Equal(t, want, shellLine(tool.In("/t/tool", command)))
	}
}

func TestSummaries(t *testing.T) {
	for want, check := range map[string]Check{
		"go mod verify": {Name: "verify"},
		"go vet ./...":  {Name: "vet", Command: []string{"go", "vet", "./..."}},
		"tool v1.0.0, app for linux/arm64": {
			Tool: &Tool{Package: "example.com/cmd/tool@v1.0.0"},
			Then: []CheckStep{{About: "app for linux/arm64"}, {About: "app for linux/arm64", Out: "a.json"}},
		},
	} {
		assert.Equal(t, want, check.Summary())
	}
}
