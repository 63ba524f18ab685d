package cache

import (
	"encoding/json"
	"io"
	"path/filepath"
	"slices"

	"github.com/slipway-ci/slipway/internal/cache/ownfile"
)

// note is what the file of a value holds. Digest is that of the key and Value, so that a damaged note counts as absent.
type note struct {
	Value  json.RawMessage `json:"value"`
	Digest string          `json:"digest"`
}

func noteDigest(key string, value []byte) string { return DigestOf(slices.Concat([]byte(key), value)) }

// Put stores a value, in JSON, under a key. A key names everything that the value depends on, and the version of the code that makes it.
func (c *Cache) Put(key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	text, err = json.Marshal(note{Value: text, Digest: noteDigest(key, text)})
	if err != nil {
		return err
	}
	return ownfile.Write(c.note(key), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// Get reads what was put under a key. It is false, and value undefined, if there is nothing.
func (c *Cache) Get(key string, value any) bool {
	name := c.note(key)
	text, err := ownfile.Read(name)
	if err != nil {
		return false
	}
	var n note
	if json.Unmarshal(text, &n) != nil || n.Digest != noteDigest(key, n.Value) || json.Unmarshal(n.Value, value) != nil {
		return false
	}
	Used(name)
	return true
}

func (c *Cache) note(key string) string { return filepath.Join(c.dir, "notes", DigestOf([]byte(key))) }
