package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// slowest is how many bytes a second a transfer must move, on average over [Bounds.Window]: a fiftieth of what a modem
// does, and a hundred times what keeps a connection open for nothing.
const slowest = 100

// slowError is a transfer that moved, but too slowly.
type slowError struct{ window time.Duration }

func (e *slowError) Error() string {
	return fmt.Sprintf("the transfer is too slow: less than %d bytes a second over %v", slowest, e.window)
}

// pacing ends requests whose bodies move too slowly, in either direction. The time in which a body waits for this side,
// which reads a file or writes one, does not count.
type pacing struct {
	inner  http.RoundTripper
	window time.Duration
}

func (t *pacing) RoundTrip(in *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(in.Context())
	req := in.WithContext(ctx)
	var sending *pacer
	if in.Body != nil && in.Body != http.NoBody {
		sending = newPacer(t.window, cancel)
		req.Body = &pacedUpload{body: in.Body, pacer: sending}
		if in.GetBody != nil { // net/http sends once more what a dead connection did not take
			req.GetBody = func() (io.ReadCloser, error) {
				body, err := in.GetBody()
				return &pacedUpload{body: body, pacer: sending}, err
			}
		}
	}
	resp, err := t.inner.RoundTrip(req)
	if sending != nil {
		sending.stop()
	}
	if err != nil {
		err = slowOr(ctx, err)
		cancel(nil)
		return nil, err
	}
	resp.Body = &pacedDownload{body: resp.Body, pacer: newPacer(t.window, cancel), ctx: ctx, cancel: cancel}
	return resp, nil
}

// slowOr is why the request of ctx was ended, if a pacer did that.
func slowOr(ctx context.Context, err error) error {
	var slow *slowError
	if errors.As(context.Cause(ctx), &slow) {
		return slow
	}
	return err
}

// pacer cancels a request when the other side takes longer than the window to move its share of bytes.
type pacer struct {
	window time.Duration
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer // runs while it is the other side's turn
	since time.Time   // when that turn began, zero if it is not its turn
	left  time.Duration
	moved int64
	done  bool
}

func newPacer(window time.Duration, cancel context.CancelCauseFunc) *pacer {
	return &pacer{window: window, cancel: cancel, left: window}
}

// resume begins a turn of the other side.
func (p *pacer) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return
	}
	p.since = time.Now()
	if p.timer == nil {
		p.timer = time.AfterFunc(p.left, func() { p.cancel(&slowError{p.window}) })
	} else {
		p.timer.Reset(p.left)
	}
}

// stop ends the transfer.
func (p *pacer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// add ends a turn in which n bytes moved. It does nothing without one.
func (p *pacer) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() {
		return
	}
	p.timer.Stop()
	p.left -= time.Since(p.since)
	p.since = time.Time{}
	if p.moved += int64(n); p.moved >= int64(slowest*p.window.Seconds()) {
		p.moved, p.left = 0, p.window
	}
}

// pacedUpload is the body of a request. Between two reads, what the first one gave is sent.
type pacedUpload struct {
	body  io.ReadCloser
	pacer *pacer
	sent  int
}

func (u *pacedUpload) Read(p []byte) (int, error) {
	u.pacer.add(u.sent)
	n, err := u.body.Read(p)
	u.sent = n
	u.pacer.resume()
	return n, err
}

func (u *pacedUpload) Close() error {
	u.pacer.stop()
	return u.body.Close()
}

// pacedDownload is the body of a response.
type pacedDownload struct {
	body   io.ReadCloser
	pacer  *pacer
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (d *pacedDownload) Read(p []byte) (int, error) {
	d.pacer.resume()
	n, err := d.body.Read(p)
	d.pacer.add(n)
	if err != nil && err != io.EOF {
		err = slowOr(d.ctx, err)
	}
	return n, err
}

func (d *pacedDownload) Close() error {
	d.pacer.stop()
	err := d.body.Close()
	d.cancel(nil)
	return err
}
