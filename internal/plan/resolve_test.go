package plan_test

import (
	"bytes"
	"encoding/json"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/moby/patternmatcher"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/config/environ"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/planfile"
)

func TestPlans(t *testing.T) {
	for _, file := range planfile.All(t) {
		t.Run(file.Name, func(t *testing.T) {
			var config plan.Config
			require.NoError(t, environ.Read(t.Context(), file.Settings, &config))
			p, err := plan.Resolve(t.Context(), file.Source, config)

			got := map[string]string{}
			if faults := fault.As(err); faults != nil {
				got["faults"] = faults.Error() + "\n"
			} else {
				require.NoError(t, err)
				var text, data bytes.Buffer
				require.NoError(t, p.WriteText(&text))
				encoder := json.NewEncoder(&data)
				encoder.SetIndent("", "  ")
				encoder.SetEscapeHTML(false)
				require.NoError(t, encoder.Encode(p))
				got["plan.txt"], got["plan.json"] = text.String(), data.String()

				var back plan.Plan
				require.NoError(t, json.Unmarshal(data.Bytes(), &back))
				assert.Equal(t, p, &back, "a plan survives JSON")

				read, err := plan.Resolve(t.Context(), onlyRead(t, file.Source, config), config)
				require.NoError(t, err)
				assert.Equal(t, p, read, "plan.Reads has everything that is read")
			}
			file.Check(t, got, "faults", "plan.txt", "plan.json")
		})
	}
}

// onlyRead is the part of source that plan.Reads and the settings name.
func onlyRead(t *testing.T, source fstest.MapFS, config plan.Config) fstest.MapFS {
	part := fstest.MapFS{}
	matcher, err := patternmatcher.New(config.FilePatterns())
	require.NoError(t, err)
	for name, file := range source {
		elements := strings.Split(name, "/")
		for _, pattern := range plan.Reads {
			pattern = strings.TrimPrefix(pattern, "**/")
			if n := strings.Count(pattern, "/") + 1; n <= len(elements) {
				if ok, _ := path.Match(pattern, strings.Join(elements[len(elements)-n:], "/")); ok {
					part[name] = file
				}
			}
		}
		if matches, _ := matcher.MatchesOrParentMatches(name); matches {
			part[name] = file
		}
	}
	return part
}
