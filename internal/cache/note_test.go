package cache

import (
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache/ownfile"
)

func TestPutAndGet(t *testing.T) {
	c := newCache(t)
	var got map[string]int
	assert.False(t, c.Get("key", &got))
	require.NoError(t, c.Put("key", map[string]int{"a": 1}))
	assert.True(t, c.Get("key", &got))
	assert.Equal(t, map[string]int{"a": 1}, got)
	assert.False(t, c.Get("another", &got))
	require.NoError(t, c.Put("key", map[string]int{"a": 2}))
	require.True(t, c.Get("key", &got))
	assert.Equal(t, map[string]int{"a": 2}, got)
	var number int
	assert.False(t, c.Get("key", &number), "it is something else")
}

// What is damaged, another's, or of another version of Slipway, counts as absent, and is replaced.
func TestGetTrustsNothing(t *testing.T) {
	c := newCache(t)
	require.NoError(t, c.Put("other", "value"))
	another, err := os.ReadFile(c.note("other"))
	require.NoError(t, err)
	for name, content := range map[string]string{
		"no JSON":             "{",
		"nothing":             "",
		"another key's":       string(another),
		"another value":       `{"value":"other","digest":"` + noteDigest("key", []byte(`"value"`)) + `"}`,
		"of an older version": `{"what":"value","sum":"` + noteDigest("key", []byte(`"value"`)) + `"}`,
	} {
		require.NoError(t, ownfile.Write(c.note("key"), func(w io.Writer) error { _, err := io.WriteString(w, content); return err }))
		var got string
		assert.False(t, c.Get("key", &got), name)
		require.NoError(t, c.Put("key", "value"))
		require.True(t, c.Get("key", &got), name)
		assert.Equal(t, "value", got)
	}
}
