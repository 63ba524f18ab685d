// Package registrytest runs registries for tests: one in process that can be made to fail, and the real one of the
// distribution project.
package registrytest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/require"
)

// Registry is a registry in this process, which serves plain http on a loopback port until the test ends.
type Registry struct {
	// Host is its address, such as "127.0.0.1:41234".
	Host string

	mu       sync.Mutex
	faults   []*Fault
	requests []Request
}

// Request is what a registry was asked.
type Request struct{ Method, Path, Query string }

func (r Request) String() string {
	if r.Query == "" {
		return r.Method + " " + r.Path
	}
	return r.Method + " " + r.Path + "?" + r.Query
}

// Fault makes a registry fail.
type Fault struct {
	// When says which requests fail.
	When func(*http.Request) bool
	// Times is how many of them fail before all is well again; zero means all.
	Times int
	// Do answers in place of the registry.
	Do http.HandlerFunc
	// Before changes the request, or the header of the answer, before the registry answers. It is for faults without Do.
	Before http.HandlerFunc

	hits int
}

// Start starts a registry with these faults; for each request the first that fits happens.
func Start(t testing.TB, faults ...Fault) *Registry {
	t.Helper()
	return start(t, false, faults)
}

// StartReferrers starts a registry that has the referrers API of OCI 1.1, too.
func StartReferrers(t testing.TB, faults ...Fault) *Registry {
	t.Helper()
	return start(t, true, faults)
}

func start(t testing.TB, referrers bool, faults []Fault) *Registry {
	t.Helper()
	r := &Registry{}
	r.Break(faults...)
	sound := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(referrers))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if fault := r.receive(req); fault != nil && fault.Do != nil {
			fault.Do(w, req)
			return
		} else if fault != nil {
			fault.Before(w, req)
		}
		sound.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r.Host = strings.TrimPrefix(server.URL, "http://")
	return r
}

// Break replaces the faults.
func (r *Registry) Break(faults ...Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = nil
	for _, fault := range faults {
		r.faults = append(r.faults, &fault)
	}
}

// Requests returns all requests but the handshake's GET /v2/ since the start or the last [Registry.Forget], in the
// order in which they came.
func (r *Registry) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Request(nil), r.requests...)
}

// Forget empties the list of requests.
func (r *Registry) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = nil
}

func (r *Registry) receive(req *http.Request) *Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.URL.Path != "/v2/" {
		r.requests = append(r.requests, Request{req.Method, req.URL.Path, req.URL.RawQuery})
	}
	for _, fault := range r.faults {
		if (fault.Times == 0 || fault.hits < fault.Times) && fault.When(req) {
			fault.hits++
			return fault
		}
	}
	return nil
}

// Any is for a fault of every request.
func Any(*http.Request) bool { return true }

// On is for a fault of the requests with this method, one of "" and its name, and with part in their path.
func On(method, part string) func(*http.Request) bool {
	return func(req *http.Request) bool {
		return (method == "" || req.Method == method) && strings.Contains(req.URL.Path, part)
	}
}

// Answer answers with a status and, in a registry's form, an error code and message. header lines are "Name: value".
func Answer(status int, code, message string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, line := range header {
			key, value, _ := strings.Cut(line, ": ")
			w.Header().Set(key, value)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
	}
}

// HangUp reads n bytes of the request's body and drops the connection.
func HangUp(n int64) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.CopyN(io.Discard, req.Body, n) // a shorter body is as good
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
}

// Stall reads the request and answers nothing until the client goes away.
func Stall(_ http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body) // only then does net/http notice that the client has gone
	<-req.Context().Done()
}

// NoLogin makes the test's process find no credentials, and returns the file that a login would be in. It shields a
// test from the logins of the person who runs it.
func NoLogin(t testing.TB) (file string) {
	t.Helper()
	home := t.TempDir()
	for key, value := range map[string]string{
		"HOME":               home,
		"USERPROFILE":        home,
		"DOCKER_CONFIG":      filepath.Join(home, ".docker"),
		"DOCKER_AUTH_CONFIG": "",
		"REGISTRY_AUTH_FILE": "",
		"XDG_RUNTIME_DIR":    "",
		"XDG_CONFIG_HOME":    "",
	} {
		t.Setenv(key, value)
	}
	return filepath.Join(home, ".docker", "config.json")
}

// Login makes the test's process find this login for host, and no other. It returns the file that holds it.
func Login(t testing.TB, host, user, password string) (file string) {
	t.Helper()
	file = NoLogin(t)
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	content, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": auth}}})
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, content, 0o600))
	return file
}
