package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		run(ctx, slog.New(slog.NewTextHandler(&logged, nil)), "Ada")
		if n := strings.Count(logged.String(), "Ada"); n != 2 || !strings.Contains(logged.String(), "msg=stopped") {
			t.Errorf("greeted %d times\n%s", n, &logged)
		}
	})
}
