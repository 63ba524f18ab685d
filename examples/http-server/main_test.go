package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestHandler(t *testing.T) {
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/health": {http.StatusOK, "OK\n"},
		"/":       {http.StatusOK, "http-server dev\n"},
		"/nosuch": {http.StatusNotFound, "404 page not found\n"},
	} {
		if status, body := get(t, path); status != want.status || body != want.body {
			t.Errorf("GET %s: %d %q", path, status, body)
		}
	}
}

// A request that is under way when the server is told to stop gets its answer.
func TestShutdownWaitsForRequests(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, goOn := make(chan bool), make(chan bool)
	slow := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-goOn
	})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- serve(ctx, slog.New(slog.DiscardHandler), listener, slow) }()
	go func() {
		<-arrived
		cancel()
		for { // until the server takes no more, and so has heard
			conn, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				close(goOn)
				return
			}
			_ = conn.Close()
		}
	}()
	resp, err := http.Get("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestRunRefusesABadPort(t *testing.T) {
	for _, port := range []string{"http", "0", "65536", "-1"} {
		err := run(t.Context(), slog.New(slog.DiscardHandler), port)
		if err == nil || !strings.Contains(err.Error(), "PORT") {
			t.Errorf("PORT=%s: %v", port, err)
		}
	}
}
