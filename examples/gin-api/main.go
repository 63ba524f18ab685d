// Command gin-api is a JSON API with Gin as one runs it in production: in release mode, with timeouts, a health check,
// structured logs, and a shutdown that lets requests finish.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
)

// shutdownLimit is how long requests may take to finish after SIGTERM. Kubernetes waits 30 seconds in all.
const shutdownLimit = 20 * time.Second

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	gin.SetMode(gin.ReleaseMode) // not by GIN_MODE: an image has one way to run
	if err := run(ctx, log, os.Getenv("PORT")); err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
}

// run serves on port, 8080 if it is empty, until ctx is done.
func run(ctx context.Context, log *slog.Logger, port string) error {
	if port == "" {
		port = "8080"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("PORT is %q: set it to a number from 1 to 65535", port)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+port)
	if err != nil {
		return err
	}
	log.Info("serving", "address", listener.Addr().String(), "gin", gin.Version)
	return serve(ctx, log, listener, router(log))
}

// serve answers requests until ctx is done, and then lets those under way finish.
func serve(ctx context.Context, log *slog.Logger, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("shutting down")
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		return fmt.Errorf("requests did not finish in time: %w", err)
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func router(log *slog.Logger) *gin.Engine {
	r := gin.New()
	r.Use(access(log), gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, reason any) {
		log.Error("panic", "path", c.Request.URL.Path, "reason", reason)
		c.AbortWithStatusJSON(http.StatusInternalServerError, gin.H{"error": "internal error"})
	}))
	r.GET("/health", func(c *gin.Context) {
		c.JSON(http.StatusOK, gin.H{"status": "healthy"})
	})
	r.GET("/hello/:name", func(c *gin.Context) {
		c.JSON(http.StatusOK, gin.H{"hello": c.Param("name")})
	})
	return r
}

// access logs requests, but for those of probes.
func access(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		begun := time.Now()
		c.Next()
		if c.FullPath() != "/health" {
			log.Info("request", "method", c.Request.Method, "path", c.Request.URL.Path, "status", c.Writer.Status(), "took", time.Since(begun))
		}
	}
}
