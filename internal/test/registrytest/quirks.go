package registrytest

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// fallbackTag is the path of a tag that the referrers of a digest are listed under.
var fallbackTag = regexp.MustCompile(`/manifests/sha256-[0-9a-f]{64}$`)

// TagsAsDigests is GitLab's: the fallback tag of a digest leads to what has the digest.
func TagsAsDigests() Fault {
	return Fault{
		When: func(req *http.Request) bool { return fallbackTag.MatchString(req.URL.Path) },
		Before: func(_ http.ResponseWriter, req *http.Request) {
			req.URL.Path = strings.Replace(req.URL.Path, "/sha256-", "/sha256:", 1)
		},
	}
}

// NoReferrers is a referrers API that answers, and lists nothing.
func NoReferrers() Fault {
	return Fault{When: On(http.MethodGet, "/referrers/"), Do: Page("", "")}
}

// Page answers a request for referrers with entries, in JSON, and the address of the next page.
func Page(entries, next string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if next != "" {
			w.Header().Set("Link", fmt.Sprintf("<%s>; rel=\"next\"", next))
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		fmt.Fprintf(w, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}`, entries)
	}
}

// ImmutableTags refuses to push a tag a second time.
func ImmutableTags(status int) Fault {
	var mu sync.Mutex
	pushed := map[string]bool{}
	return Fault{
		When: func(req *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			if req.Method != http.MethodPut || !strings.Contains(req.URL.Path, "/manifests/") || strings.Contains(req.URL.Path, "/sha256:") {
				return false
			}
			again := pushed[req.URL.Path]
			pushed[req.URL.Path] = true
			return again
		},
		Do: Answer(status, "TAG_INVALID", "the tag already exists and cannot be overwritten because the repository is immutable"),
	}
}

// Reports answers a push of a manifest with this value of a header, and does what it was asked.
func Reports(header, value string) Fault {
	return Fault{
		When:   On(http.MethodPut, "/manifests/"),
		Before: func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(header, value) },
	}
}

// HTML is what a server answers that is no registry.
func HTML(w http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprint(w, "<html>welcome</html>")
}

// Endless answers without an end, as fast as it is read.
func Endless(w http.ResponseWriter, req *http.Request) {
	piece := []byte(strings.Repeat(" ", 32<<10))
	for req.Context().Err() == nil {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

// Trickle answers without an end, a byte at a time.
func Trickle(w http.ResponseWriter, req *http.Request) {
	for req.Context().Err() == nil {
		if _, err := w.Write([]byte(" ")); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		time.Sleep(20 * time.Millisecond)
	}
}
