package filestate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A file system that notes whole seconds may note the same one for two changes that are nearly a second apart.
func TestSettled(t *testing.T) {
	second := int64(time.Second)
	for _, test := range []struct {
		changed, now int64
		want         bool
	}{
		{10 * second, 11 * second, false},
		{10 * second, 12*second + 1, true},
		{10*second + 1, 10*second + int64(200*time.Millisecond), false},
		{10*second + 1, 10*second + int64(300*time.Millisecond), true},
		{10*second + 1, 9 * second, false},
	} {
		assert.Equal(t, test.want, settled(test.changed, test.now), test)
	}
}
