package console

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/slipway-ci/slipway/internal/secret"
)

// Writer makes what is written harmless, line by line: see [Visible] and [secret.Set]. The part of a line that has no end is
// written by Flush. It may be used from many goroutines.
type Writer struct {
	secrets *secret.Set

	mu      sync.Mutex
	w       io.Writer
	partial []byte
}

var _ io.Writer = (*Writer)(nil)

// NewWriter returns a Writer to w that knows secrets.
func NewWriter(w io.Writer, secrets *secret.Set) *Writer { return &Writer{w: w, secrets: secrets} }

// Clean is text as the writer writes it.
func (w *Writer) Clean(text string) string { return Visible(w.secrets.Redact(text)) }

// Write writes the lines that p completes, at once.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	end := bytes.LastIndexByte(p, '\n') + 1
	if end == 0 {
		w.partial = append(w.partial, p...)
		return len(p), nil
	}
	lines := string(w.partial) + string(p[:end])
	w.partial = append(w.partial[:0], p[end:]...)
	if _, err := io.WriteString(w.w, w.Clean(lines)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes the rest.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush()
}

func (w *Writer) flush() error {
	rest := w.Clean(string(w.partial))
	w.partial = nil
	if rest == "" {
		return nil
	}
	_, err := io.WriteString(w.w, rest)
	return err
}

// Commands writes commands for a CI system, which Slipway itself made: each is a line in which text from outside is only where
// the system's own escapes keep it.
func (w *Writer) Commands(text string) error {
	return w.direct(escapeLines(w.secrets.Redact(text)))
}

// escapeLines makes all visible but the commands at the beginning of lines.
func escapeLines(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if rest, found := strings.CutPrefix(line, "::"); found {
			lines[i] = "::" + Visible(rest)
		} else {
			lines[i] = Visible(line)
		}
	}
	return strings.Join(lines, "")
}

// Exact writes a text whose every character counts, and whose maker keeps it harmless.
func (w *Writer) Exact(text string) error { return w.direct(text) }

func (w *Writer) direct(text string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w.w, text)
	return err
}

// Terminal is what is written to, for who moves a terminal's cursor and cleans each text in between; nil if it is no terminal
// or file.
func (w *Writer) Terminal() interface {
	io.Writer
	Fd() uintptr
} {
	file, _ := w.w.(interface {
		io.Writer
		Fd() uintptr
	})
	return file
}
