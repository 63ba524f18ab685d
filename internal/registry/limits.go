package registry

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// How many bytes of an answer are read. What a manifest names is limited by the size that it names.
const (
	// greetingLimit is for the answer to the handshake, which go-containerregistry reads to its end for nothing.
	greetingLimit = 64 << 10
	// documentLimit is for manifests and lists: registries take manifests of 4 MiB.
	documentLimit = 8 << 20
)

// limited bounds the answers that have no size to be held to.
type limited struct{ inner http.RoundTripper }

func (t *limited) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.inner.RoundTrip(req)
	if err != nil || req.Method != http.MethodGet {
		return resp, err
	}
	switch path := repositoryPath.FindStringSubmatch(req.URL.Path); {
	case strings.TrimSuffix(req.URL.Path, "/") == "/v2":
		resp.Body = &limitedBody{ReadCloser: resp.Body, left: greetingLimit, after: io.EOF}
	case path != nil && path[2] != "blobs":
		resp.Body = &limitedBody{ReadCloser: resp.Body, left: documentLimit, after: errTooLong}
	}
	return resp, nil
}

var errTooLong = fmt.Errorf("the answer has more than the %d MiB that are read of one", documentLimit>>20)

// limitedBody ends by the error after when more bytes came than were left.
type limitedBody struct {
	io.ReadCloser
	left  int64
	after error
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.after
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, b.after
	}
	return n, err
}
