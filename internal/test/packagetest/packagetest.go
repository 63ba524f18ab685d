// Package packagetest is what archives of packages that tests make have in common.
package packagetest

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Server serves files until the end of a test.
type Server struct {
	// Files are what is served, by path.
	Files map[string][]byte
	// Address is where it is served, and Asked how often something was asked for.
	Address string
	Asked   atomic.Int64
}

// Serve starts a server without files.
func Serve(t testing.TB) *Server {
	t.Helper()
	s := &Server{Files: map[string][]byte{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.Asked.Add(1)
		content, ok := s.Files[req.URL.Path]
		if !ok {
			http.NotFound(w, req)
			return
		}
		_, _ = w.Write(content)
	}))
	t.Cleanup(server.Close)
	s.Address = server.URL
	return s
}

// Fetch has read read what is at an address of the server.
func Fetch(ctx context.Context, url string, read func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s: %w", url, fs.ErrNotExist)
	}
	return read(response.Body)
}

// Content is what an archive is made of.
type Content struct {
	Headers []tar.Header
	// Text is the content of regular files, by their names.
	Text map[string]string
}

// Regular adds a regular file.
func (c *Content) Regular(name, content string) {
	c.Headers = append(c.Headers, tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg})
	if c.Text == nil {
		c.Text = map[string]string{}
	}
	c.Text[name] = content
}

// Tar makes an archive without its end.
func (c *Content) Tar(t testing.TB) []byte {
	t.Helper()
	var made bytes.Buffer
	archive := tar.NewWriter(&made)
	for _, h := range c.Headers {
		require.NoError(t, archive.WriteHeader(&h))
		_, err := archive.Write([]byte(c.Text[h.Name]))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Flush())
	return made.Bytes()
}

// End ends an archive.
var End = make([]byte, 1024)
