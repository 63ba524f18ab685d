// Command cgo-sqlite keeps notes in a SQLite database, which is C, and serves them over HTTP.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"
)

// shutdownLimit is how long requests may take to finish after SIGTERM. Kubernetes waits 30 seconds in all.
const shutdownLimit = 20 * time.Second

// noteLimit is the size of the biggest note in bytes.
const noteLimit = 64 << 10

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, log, os.Getenv("DATA"), os.Getenv("PORT")); err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
}

// run serves the notes in the directory data, /data if it is empty, on port, 8080 if it is empty, until ctx is done.
func run(ctx context.Context, log *slog.Logger, data, port string) (err error) {
	if data == "" {
		data = "/data"
	}
	if port == "" {
		port = "8080"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("PORT is %q: set it to a number from 1 to 65535", port)
	}
	notes, err := open(ctx, filepath.Join(data, "notes.db"))
	if err != nil {
		return fmt.Errorf("opening the database: %w: DATA must be a directory that this user may write to", err)
	}
	defer func() { err = errors.Join(err, notes.db.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+port)
	if err != nil {
		return err
	}
	version, _, _ := sqlite3.Version()
	log.Info("serving", "address", listener.Addr().String(), "sqlite", version)
	return serve(ctx, log, listener, notes.handler(log))
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

// notes are the rows of a table.
type notes struct{ db *sql.DB }

type note struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
}

// open opens the database in a file, which is made if it is not there.
func open(ctx context.Context, file string) (notes, error) {
	settings := url.Values{"_journal_mode": {"WAL"}, "_busy_timeout": {"5000"}}
	db, err := sql.Open("sqlite3", "file:"+(&url.URL{Path: file}).EscapedPath()+"?"+settings.Encode())
	if err != nil {
		return notes{}, err
	}
	if _, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)`); err != nil {
		return notes{}, errors.Join(err, db.Close())
	}
	return notes{db}, nil
}

func (n notes) add(ctx context.Context, text string) (note, error) {
	result, err := n.db.ExecContext(ctx, `INSERT INTO notes (text) VALUES (?)`, text)
	if err != nil {
		return note{}, err
	}
	id, err := result.LastInsertId()
	return note{id, text}, err
}

func (n notes) all(ctx context.Context) (all []note, err error) {
	rows, err := n.db.QueryContext(ctx, `SELECT id, text FROM notes ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	all = []note{}
	for rows.Next() {
		var one note
		if err := rows.Scan(&one.ID, &one.Text); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

func (n notes) handler(log *slog.Logger) http.Handler {
	answer := func(w http.ResponseWriter, status int, value any, err error) {
		if err != nil {
			log.Error("database", "error", err)
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(value) // it fails if the caller has gone
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "healthy"}, n.db.PingContext(r.Context()))
	})
	mux.HandleFunc("GET /notes", func(w http.ResponseWriter, r *http.Request) {
		all, err := n.all(r.Context())
		answer(w, http.StatusOK, all, err)
	})
	mux.HandleFunc("POST /notes", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, noteLimit))
		if text := strings.TrimSpace(string(body)); err != nil || text == "" {
			http.Error(w, "a note is the request's body, of up to 64 kB", http.StatusBadRequest)
		} else {
			added, err := n.add(r.Context(), text)
			answer(w, http.StatusCreated, added, err)
		}
	})
	return mux
}
