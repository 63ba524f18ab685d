package environ_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/config/environ"
	"github.com/slipway-ci/slipway/internal/plan"
)

func TestReadReportsEveryBadValue(t *testing.T) {
	var c plan.Config
	err := environ.Read(t.Context(), []string{"SLIPWAY_TZDATA=yes", "SLIPWAY_ALLOW_ROOT=2", "SLIPWAY_PORTS=80"}, &c)
	assert.EqualError(t, err, "SLIPWAY_TZDATA \"yes\": neither true nor false: write true or false\n"+
		"SLIPWAY_ALLOW_ROOT \"2\": neither true nor false: write true or false")
}

func TestReadTakesAnEmptyVariableForNone(t *testing.T) {
	var c plan.Config
	require.NoError(t, environ.Read(t.Context(), []string{"SLIPWAY_CGO=", "SLIPWAY_PLATFORMS="}, &c))
	assert.Zero(t, c)
}

// A block of lines in YAML ends in a newline, and may have blank lines.
func TestReadLeavesOutBlankLines(t *testing.T) {
	var c plan.Config
	require.NoError(t, environ.Read(t.Context(), []string{"SLIPWAY_LABELS=a=1\n\nb=2\n", "SLIPWAY_PORTS=80,"}, &c))
	assert.Equal(t, plan.Pairs{"a=1", "b=2"}, c.Labels)
	assert.Equal(t, plan.List{"80"}, c.Ports)
}

func TestUnknown(t *testing.T) {
	vars := []string{"SLIPWAY_PLATFORM=linux/amd64", "SLIPWAY_PORTS=80", "SLIPWAY_EMPTY=", "PLATFORM=x"}
	assert.EqualError(t, environ.Unknown(vars, plan.Config{}), "SLIPWAY_PLATFORM: no such setting: slipway build --help lists the variables")
	assert.NoError(t, environ.Unknown(vars[1:], plan.Config{}))
}

// A field without a variable could not be set in a CI step.
func TestEveryFieldHasAVariable(t *testing.T) {
	for field := range reflect.TypeFor[plan.Config]().Fields() {
		if field.Anonymous {
			continue // no settings
		}
		assert.Regexp(t, `^(SLIPWAY_[A-Z_]+|SOURCE_DATE_EPOCH)$`, environ.Name(field), field.Name)
	}
}

func TestReadSplits(t *testing.T) {
	var c struct {
		Tags   plan.List  `env:"SLIPWAY_TAGS"`
		Labels plan.Lines `env:"SLIPWAY_LABELS"`
	}
	require.NoError(t, environ.Read(t.Context(), []string{`SLIPWAY_TAGS={{printf "a,b"}}, v1`, "SLIPWAY_LABELS=a=b,c"}, &c))
	assert.Equal(t, plan.List{`{{printf "a,b"}}`, "v1"}, c.Tags)
	assert.Equal(t, plan.Lines{"a=b,c"}, c.Labels)
}
