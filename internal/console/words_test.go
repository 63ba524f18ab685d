package console

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWords(t *testing.T) {
	assert.Equal(t, `/app/api -v "" "two words" "it's" "a\nb"`, Words([]string{"/app/api", "-v", "", "two words", "it's", "a\nb"}))
	assert.Empty(t, Words(nil))
}
