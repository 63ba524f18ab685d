package registry_test

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/registry"
)

// What is no registry is fetched from mirrors as well, tried again if it breaks, and asked for nothing twice that is not there.
func TestFetch(t *testing.T) {
	asked := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked[r.URL.Path]++
		switch r.URL.Path {
		case "/mirror/dists/list", "/moved":
			_, _ = io.WriteString(w, "content")
		case "/mirror/again":
			if asked[r.URL.Path] == 1 {
				w.Header().Set("Content-Length", "7")
				_, _ = io.WriteString(w, "con") // and breaks
				return
			}
			_, _ = io.WriteString(w, "content")
		case "/mirror/elsewhere":
			http.Redirect(w, r, "/moved", http.StatusFound)
		case "/mirror/forbidden":
			w.WriteHeader(http.StatusForbidden)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	client, err := registry.New(registry.Options{
		Mirrors: []string{"deb.invalid=" + server.URL + "/mirror"}, Bounds: registry.Bounds{Tries: 2, Wait: time.Millisecond},
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	fetch := func(address string) (content string, err error) {
		err = client.Fetch(t.Context(), address, func(r io.Reader) error {
			all, err := io.ReadAll(r)
			content = string(all)
			return err
		})
		return content, err
	}
	for _, name := range []string{"dists/list", "again", "elsewhere"} {
		content, err := fetch("https://deb.invalid/" + name)
		require.NoError(t, err, name)
		assert.Equal(t, "content", content, name)
	}
	_, err = fetch("https://deb.invalid/gone")
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.Equal(t, 1, asked["/mirror/gone"])
	assert.True(t, strings.HasPrefix(err.Error(), "fetching https://deb.invalid/gone: "), err)
	assert.ErrorContains(t, err, server.URL+"/mirror/gone: there is nothing")
	_, err = fetch(server.URL + "/mirror/forbidden")
	require.ErrorContains(t, err, "403")
	assert.False(t, errors.Is(err, fs.ErrNotExist))
}
