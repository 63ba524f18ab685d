package slipway

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNewestTag(t *testing.T) {
	for name, c := range map[string]struct {
		tags   []string // as git sorts them
		prefix string
		want   string
	}{
		"none":                   {nil, "", ""},
		"release and candidate":  {[]string{"v1.10.0-rc.1", "v1.10.0"}, "", "v1.10.0"},
		"candidates":             {[]string{"v1.0.0-rc.2", "v1.0.0-rc.11", "v1.0.0-beta"}, "", "v1.0.0-rc.11"},
		"numbers":                {[]string{"v1.9.0", "v1.10.0"}, "", "v1.10.0"},
		"moving tags":            {[]string{"v1", "v1.2", "v1.2.0"}, "", "v1.2.0"},
		"without a v":            {[]string{"1.10.0-rc.1", "1.10.0", "1.9.9"}, "", "1.10.0"},
		"no versions":            {[]string{"stable", "latest"}, "", "stable"},
		"others after versions":  {[]string{"zeta", "v0.1.0", "latest"}, "", "v0.1.0"},
		"dates are no versions":  {[]string{"2026.01.02", "v0.1.0"}, "", "v0.1.0"},
		"of the directory":       {[]string{"web/v3.0.0", "v2.0.0", "api/v1.2.3", "api/v1.2.3-rc.1"}, "api/", "api/v1.2.3"},
		"of none":                {[]string{"web/v3.0.0", "v2.0.0", "api/v1.2.3"}, "", "v2.0.0"},
		"of another directory":   {[]string{"api/v1.2.3-rc.1", "api/v1.2.3"}, "", "api/v1.2.3"},
		"of a directory below":   {[]string{"services/api/v1.0.0", "api/v2.0.0"}, "services/api/", "services/api/v1.0.0"},
		"for another directory":  {[]string{"web/v3.0.0", "v2.0.0"}, "api/", "v2.0.0"},
		"whose name has a slash": {[]string{"release/next", "v1.0.0-0"}, "", "v1.0.0-0"},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, newestTag(c.tags, c.prefix)) })
	}
}
