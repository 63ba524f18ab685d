package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

var quiet = slog.New(slog.DiscardHandler)

// Notes are there when the database is opened again.
func TestNotes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a b?c%20#d.db") // a name that is no URL
	for _, step := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/health", "", http.StatusOK, `{"status":"healthy"}`},
		{"GET", "/notes", "", http.StatusOK, `[]`},
		{"POST", "/notes", "buy milk\n", http.StatusCreated, `{"id":1,"text":"buy milk"}`},
		{"POST", "/notes", "'); DROP TABLE notes; --", http.StatusCreated, `{"id":2,"text":"'); DROP TABLE notes; --"}`},
		{"POST", "/notes", " \n", http.StatusBadRequest, "a note is the request's body, of up to 64 kB"},
		{"POST", "/notes", strings.Repeat("x", noteLimit+1), http.StatusBadRequest, "a note is the request's body, of up to 64 kB"},
		{"GET", "/notes", "", http.StatusOK, `[{"id":1,"text":"buy milk"},{"id":2,"text":"'); DROP TABLE notes; --"}]`},
		{"DELETE", "/notes", "", http.StatusMethodNotAllowed, "Method Not Allowed"},
	} {
		notes, err := open(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		notes.handler(quiet).ServeHTTP(w, httptest.NewRequest(step.method, step.path, strings.NewReader(step.body)))
		if got := strings.TrimSpace(w.Body.String()); w.Code != step.status || got != step.want {
			t.Errorf("%s %s: %d %q", step.method, step.path, w.Code, got)
		}
		if err := notes.db.Close(); err != nil {
			t.Error(err)
		}
	}
	if found, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.db")); err != nil || len(found) != 1 || found[0] != file {
		t.Errorf("%v %v", found, err)
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
	go func() { stopped <- serve(ctx, quiet, listener, slow) }()
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

func TestRunRefuses(t *testing.T) {
	data := t.TempDir()
	for want, settings := range map[string][2]string{
		`PORT is "http"`:           {data, "http"},
		`PORT is "0"`:              {data, "0"},
		"DATA must be a directory": {filepath.Join(data, "nosuch"), ""},
	} {
		err := run(t.Context(), quiet, settings[0], settings[1])
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v and not %s", err, want)
		}
	}
}
