package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/progress"
)

// What --progress json writes is what its schema says, and so is what the manual shows.
func TestSchemaOfProgress(t *testing.T) {
	schema, err := jsonschema.Compile("../../../docs/progress.schema.json")
	require.NoError(t, err)
	valid := func(line string) error {
		var value any
		require.NoError(t, json.Unmarshal([]byte(line), &value), line)
		return schema.Validate(value)
	}

	var out bytes.Buffer
	d, err := progress.New(t.Context(), "json", &out, nil)
	require.NoError(t, err)
	d.Note("a note")
	d.Warn("a warning")
	step := d.Step("linux/amd64", "compile")
	fmt.Fprint(step, "text\n\n")
	time.Sleep(1100 * time.Millisecond) // for the first progress, and for the slowest steps
	step.Progress(build.Progress{Unit: build.Packages, Total: 3, Slowest: "net/http", For: time.Second})
	step.End(errors.New("exit 1"))
	push := d.Step("", "push")
	push.Progress(build.Progress{Unit: build.Bytes, Done: 3})
	push.End(nil)
	skipped := d.Step("linux/arm64", "compile")
	skipped.Skip(build.Skipped{Reason: "unchanged", Saved: time.Second})
	skipped.End(nil)
	d.Table([]progress.Row{{Name: "a", Failed: true}, {Name: "b", Platform: "linux/amd64", Binary: 1, Digest: "sha256:0"}})
	require.NoError(t, d.Close())
	manual, err := os.ReadFile("../../../docs/progress.md")
	require.NoError(t, err)
	_, example, _ := strings.Cut(string(manual), "```json\n")
	example, _, found := strings.Cut(example, "```")
	require.True(t, found)
	events := map[string]bool{}
	for line := range strings.Lines(out.String() + example) {
		assert.NoError(t, valid(line), line)
		var event struct{ Event string }
		require.NoError(t, json.Unmarshal([]byte(line), &event))
		events[event.Event] = true
	}
	assert.Len(t, events, 8, "all kinds")

	for _, line := range []string{
		`{"time":0,"event":"begin"}`, `{"time":0,"event":"begin","version":2}`, `{"time":0,"event":"end","step":"a"}`, `{"event":"note","text":"a"}`,
		`{"time":0,"event":"start","step":"a","more":1}`, `{"time":0,"event":"progress","step":"a"}`, `{"time":0,"event":"summary","seconds":1}`,
	} {
		assert.Error(t, valid(line), line)
	}
}
