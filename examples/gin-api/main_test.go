package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

func init() { gin.SetMode(gin.ReleaseMode) }

func TestRouter(t *testing.T) {
	var logged bytes.Buffer
	r := router(slog.New(slog.NewJSONHandler(&logged, nil)))
	r.GET("/panic", func(*gin.Context) { panic("on purpose") })
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/health":     {http.StatusOK, `{"status":"healthy"}`},
		"/hello/Gina": {http.StatusOK, `{"hello":"Gina"}`},
		"/panic":      {http.StatusInternalServerError, `{"error":"internal error"}`},
		"/nosuch":     {http.StatusNotFound, "404 page not found"},
	} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want.status || w.Body.String() != want.body {
			t.Errorf("GET %s: %d %q", path, w.Code, w.Body)
		}
	}
	for path, want := range map[string]bool{"/hello/Gina": true, "on purpose": true, "/health": false} {
		if strings.Contains(logged.String(), path) != want {
			t.Errorf("%s in the log: %v wanted\n%s", path, want, &logged)
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
	log := slog.New(slog.DiscardHandler)
	r := router(log)
	r.GET("/slow", func(c *gin.Context) {
		close(arrived)
		<-goOn
		c.Status(http.StatusNoContent)
	})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- serve(ctx, log, listener, r) }()
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
	resp, err := http.Get("http://" + listener.Addr().String() + "/slow")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
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
