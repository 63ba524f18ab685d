package console

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{
		0:                     "0B",
		999:                   "999B",
		1000:                  "1.0kB",
		999_949:               "999.9kB",
		999_950:               "1.0MB",
		8_412_345:             "8.4MB",
		1_500_000_000:         "1.5GB",
		2_000_000_000_000_000: "2000.0TB",
	} {
		assert.Equal(t, want, Size(bytes))
	}
}
