//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// server is a registry that may be made to fail.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	faults func(http.ResponseWriter, *http.Request, http.Handler) // nil for none
}

func serve(faults func(http.ResponseWriter, *http.Request, http.Handler)) *server {
	s := &server{faults: faults}
	sound := complete(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		faults := s.faults
		s.mu.Unlock()
		if faults == nil {
			sound.ServeHTTP(w, r)
			return
		}
		faults(w, r, sound)
	}))
	return s
}

// complete refuses manifests of which blobs are missing, as the registries do that are in use.
func complete(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		repository, _, isManifest := strings.Cut(r.URL.Path, "/manifests/")
		if r.Method != http.MethodPut || !isManifest {
			inner.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		var manifest v1.Manifest // an index has none of its fields
		if err != nil || json.Unmarshal(body, &manifest) != nil {
			inner.ServeHTTP(w, r)
			return
		}
		for _, blob := range append(manifest.Layers, manifest.Config) {
			has := httptest.NewRecorder()
			inner.ServeHTTP(has, httptest.NewRequest(http.MethodHead, repository+"/blobs/"+blob.Digest.String(), nil))
			if blob.Digest != (v1.Hash{}) && has.Code != http.StatusOK {
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}`)
				return
			}
		}
		inner.ServeHTTP(w, r)
	})
}

// mend ends the faults.
func (s *server) mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *server) close() {
	s.CloseClientConnections()
	s.Close()
}

func (s *server) repository() string { return strings.TrimPrefix(s.URL, "http://") + "/campaign/app" }

// publish are the arguments of a publication of a stamp.
func (t *trial) publish(stamp string, s *server) []string {
	return []string{"publish", "--json", "--stamp", "main.stamp=" + stamp, "--repository", s.repository(), "--tag", "v1", t.source}
}

// published reads what the tag leads to: all of the right image, or nothing as yet.
func (t *trial) published(s *server, must bool) verdict {
	want, err := t.want(t.stamp)
	if err != nil {
		return isWrong("%v", err)
	}
	ref, err := name.NewTag(s.repository() + ":v1")
	if err != nil {
		return isWrong("%v", err)
	}
	got, err := remote.Get(ref)
	refused := (*transport.Error)(nil)
	if errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound && !must {
		return verdict{right, ""}
	}
	if err != nil {
		return isWrong("the tag: %v", err)
	}
	if got.Digest.String() != want {
		return isWrong("the tag leads to %s and not to %s", got.Digest, want)
	}
	if got.MediaType.IsIndex() {
		index, err := got.ImageIndex()
		if err == nil {
			err = validate.Index(index)
		}
		if err != nil {
			return isWrong("what the tag leads to: %v", err)
		}
		return verdict{right, ""}
	}
	img, err := got.Image()
	if err == nil {
		err = validate.Image(img)
	}
	if err != nil {
		return isWrong("what the tag leads to: %v", err)
	}
	return verdict{right, ""}
}

// fault is what a registry does in place of its work.
type fault struct {
	name string
	do   func(w http.ResponseWriter, r *http.Request, sound http.Handler)
}

func answer(status int, header ...string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"fault"}]}`)
	}
}

// altered lets the registry work, and changes its answer.
func altered(change func(*httptest.ResponseRecorder) []byte) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, sound http.Handler) {
		answered := httptest.NewRecorder()
		sound.ServeHTTP(answered, r)
		body := change(answered)
		for key, values := range answered.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(answered.Code)
		_, _ = w.Write(body)
	}
}

var faults = []fault{
	{"500", answer(500)},
	{"503 with Retry-After", answer(503, "Retry-After", "1")},
	{"429", answer(429)},
	{"401", answer(401)},
	{"403", answer(403)},
	{"404", answer(404)},
	{"405", answer(405)},
	{"409", answer(409)},
	{"a page", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>log in</html>")
	}},
	{"a redirect to itself", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
	}},
	{"a reset", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.CopyN(io.Discard, r.Body, 1000)
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	}},
	{"a slow answer", func(w http.ResponseWriter, r *http.Request, sound http.Handler) {
		select {
		case <-time.After(500 * time.Millisecond):
			sound.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}},
	{"half an answer", altered(func(a *httptest.ResponseRecorder) []byte { return a.Body.Bytes()[:a.Body.Len()/2] })},
	{"another answer", altered(func(a *httptest.ResponseRecorder) []byte {
		body := a.Body.Bytes()
		if len(body) > 0 {
			body[len(body)/2] ^= 1
		}
		return body
	})},
	{"another digest", altered(func(a *httptest.ResponseRecorder) []byte {
		a.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
		return a.Body.Bytes()
	})},
	{"no headers", altered(func(a *httptest.ResponseRecorder) []byte {
		for key := range a.Header() {
			a.Header().Del(key)
		}
		return a.Body.Bytes()
	})},
	{"success without doing it", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	}},
}

// faultyRegistry publishes to a registry some of whose answers are faults, for a while or for ever. Success must be true, and after a
// failure the tag must not lead to anything else.
func faultyRegistry(t *trial) verdict {
	f := faults[t.IntN(len(faults))]
	method := []string{"", http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodPut}[t.IntN(6)]
	part := []string{"", "/manifests/", "/blobs/", "/manifests/v1", "/referrers/", "/manifests/sha256"}[t.IntN(6)]
	times := []int{1, 2, 3, 1 << 30}[t.IntN(4)]
	chance := []float64{1, 0.5, 0.2}[t.IntN(3)]
	dice := rand.New(rand.NewPCG(t.Uint64(), 0))
	var mu sync.Mutex
	hits := 0
	s := serve(func(w http.ResponseWriter, r *http.Request, sound http.Handler) {
		mu.Lock()
		hit := (method == "" || r.Method == method) && strings.Contains(r.URL.Path, part) && hits < times && dice.Float64() < chance
		if hit {
			hits++
		}
		mu.Unlock()
		if hit {
			f.do(w, r, sound)
			return
		}
		sound.ServeHTTP(w, r)
	})
	defer s.close()
	got := t.run(t.publish(t.stamp, s)...)
	s.mend()
	v := t.judge(got, t.stamp)
	v.why = fmt.Sprintf("%s to %s %s, at most %d times, %v: %s", f.name, method, part, times, chance, v.why)
	if v.outcome == wrong {
		return v
	}
	if p := t.published(s, v.outcome == right); p.outcome == wrong {
		return isWrong("%s%s", v.why, p.why)
	}
	if again := t.judge(t.run(t.publish(t.stamp, s)...), t.stamp); again.outcome != right {
		return isWrong("%spublishing again: %s", v.why, again.why)
	}
	if p := t.published(s, true); p.outcome == wrong {
		return isWrong("%safter publishing again: %s", v.why, p.why)
	}
	return t.afterwards(v)
}
