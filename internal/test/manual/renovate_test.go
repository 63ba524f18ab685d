package manual

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/plan"
)

// Renovate's preset finds images where Slipway writes and reads them. Both have the syntax of RE2. Renovate puts the template in place of what it
// found, and can add no digest without one: what was found has to be the reference alone.
func TestRenovate(t *testing.T) {
	var preset struct {
		CustomManagers []struct {
			ManagerFilePatterns, MatchStrings               []string
			MatchStringsStrategy, AutoReplaceStringTemplate string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, "renovate/slipway.json")), &preset))
	digest := "sha256:" + strings.Repeat("0a", 32)
	lock := plan.Lock{
		Images: map[string]string{"docker.io/library/golang:1.26.8-alpine": digest, "localhost:5000/base:v1": digest},
		Files:  map[string]plan.Download{"https://example.com:8443/tool": {Size: 4096, Digest: digest}},
	}
	for file, c := range map[string]struct {
		text string
		want [][]string
	}{
		"services/slipway.lock": {lock.String(), [][]string{
			{"docker.io/library/golang", "1.26.8-alpine", digest}, {"localhost:5000/base", "v1", digest},
		}},
		"slipway.yaml": {
			"defaults:\n  base: alpine:3.24.2\nimages:\n  - base: \"ghcr.io/me/base:v2@" + digest + "\"\n    name: api\n  - name: web\n    base: oci:layout\n    base-note: x:y\n",
			[][]string{{"alpine", "3.24.2", ""}, {"ghcr.io/me/base", "v2", digest}, {"oci", "layout", ""}},
		},
	} {
		var found [][]string
		for _, manager := range preset.CustomManagers {
			require.Len(t, manager.ManagerFilePatterns, 1)
			if !regexp.MustCompile(strings.Trim(manager.ManagerFilePatterns[0], "/")).MatchString(file) {
				continue
			}
			texts := []string{c.text}
			if len(manager.MatchStrings) > 1 {
				require.Equal(t, "recursive", manager.MatchStringsStrategy)
				texts = regexp.MustCompile(manager.MatchStrings[0]).FindAllString(c.text, -1)
			}
			form := regexp.MustCompile(manager.MatchStrings[len(manager.MatchStrings)-1])
			for _, text := range texts {
				for _, match := range form.FindAllStringSubmatch(text, -1) {
					name, value, digest := match[form.SubexpIndex("depName")], match[form.SubexpIndex("currentValue")], match[form.SubexpIndex("currentDigest")]
					found = append(found, []string{name, value, digest})
					if file == "slipway.yaml" {
						replaced, _, _ := strings.Cut(manager.AutoReplaceStringTemplate, "{{#if newDigest}}")
						if digest != "" {
							replaced = strings.NewReplacer("{{#if newDigest}}", "", "{{/if}}", "").Replace(manager.AutoReplaceStringTemplate)
						}
						of := strings.NewReplacer("{{{depName}}}", name, "{{{newValue}}}", value, "{{{newDigest}}}", digest)
						assert.Equal(t, match[0], of.Replace(replaced))
					}
				}
			}
		}
		assert.Equal(t, c.want, found, file)
	}
}
