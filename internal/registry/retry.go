package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Bounds say how often and how long a registry is tried. A field that is zero has its default.
type Bounds struct {
	// Tries is how often a request is made at most; 5 by default.
	Tries int
	// Wait is the mean wait after the first failure; it doubles after each further one. Half a second by default.
	Wait time.Duration
	// Limit is how long trying a request again may take in all, the waits that the registry asks for included; two
	// minutes by default.
	Limit time.Duration
	// Silence is how long a connection may stand still, and how long an answer may take, before it counts as dead; three
	// minutes by default, since some registries take that long to store a large layer.
	Silence time.Duration
	// Window is the time over which a transfer, up or down, must move 100 bytes a second on average; one minute by default.
	Window time.Duration
}

func (b Bounds) orDefaults() Bounds {
	if b.Tries == 0 {
		b.Tries = 5
	}
	if b.Wait == 0 {
		b.Wait = 500 * time.Millisecond
	}
	if b.Limit == 0 {
		b.Limit = 2 * time.Minute
	}
	if b.Silence == 0 {
		b.Silence = 3 * time.Minute
	}
	if b.Window == 0 {
		b.Window = time.Minute
	}
	return b
}

// Retry calls do, and calls it again as long as it fails because an upload or download broke midway, within the
// client's bounds. Single requests are tried again below it, and what has been given up there is not begun anew.
func (c *Client) Retry(ctx context.Context, do func() error) error {
	tries := newAttempts(c.bounds)
	for {
		began := time.Now()
		err := do()
		var final *gaveUp
		var broken *interrupted
		if errors.As(err, &final) || !errors.As(err, &broken) {
			return err
		}
		// How long do took does not count as a rule: an upload that broke after ten good minutes has not been tried for ten
		// minutes. One that stood still has.
		var took time.Duration
		if idle(err) {
			took = time.Since(began)
		}
		if err := tries.next(ctx, err, broken.asked, took); err != nil {
			return err
		}
	}
}

// idle reports whether err is about time that passed without work.
func idle(err error) bool {
	var slow *slowError
	var netErr net.Error
	// Asked of the cause itself: a url.Error around an interrupted one does not know.
	return errors.As(err, &slow) || errors.As(innermost(err), &netErr) && netErr.Timeout()
}

// interrupted is a failure that another request cannot mend, but beginning the whole transfer again can.
type interrupted struct {
	cause error
	// asked is how long the registry asks to be left alone, zero if it does not.
	asked time.Duration
}

func (e *interrupted) Error() string { return e.cause.Error() }
func (e *interrupted) Unwrap() error { return e.cause }

// gaveUp is a failure that stayed within the bounds that were set.
type gaveUp struct {
	cause error
	tries int
	// lasted is the time from the first try until it was given up.
	lasted time.Duration
	// asked is the wait that the registry asks for if that is too long, else zero.
	asked time.Duration
	limit time.Duration
}

func (e *gaveUp) Error() string { return fmt.Sprintf("%v (%s)", e.cause, e.effort()) }
func (e *gaveUp) Unwrap() error { return e.cause }

func (e *gaveUp) effort() string {
	if e.asked > 0 {
		return fmt.Sprintf("the registry asks to wait %v, longer than the limit of %v", e.asked, e.limit)
	}
	return fmt.Sprintf("given up after %s in %v", plural(e.tries, "try", "tries"), e.lasted.Round(100*time.Millisecond))
}

func plural(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// attempts counts what has been spent on one request or transfer.
type attempts struct {
	bounds Bounds
	began  time.Time
	made   int
	// spent is what counts against the limit.
	spent time.Duration
	wait  time.Duration
}

func newAttempts(bounds Bounds) *attempts { return &attempts{bounds: bounds, began: time.Now()} }

// next notes that a try took so long and failed by cause, and waits until the next one is due. It fails if there is
// none: with a gaveUp, or with the error of ctx.
func (a *attempts) next(ctx context.Context, cause error, asked, took time.Duration) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	a.made++
	a.spent += took
	if a.wait == 0 {
		a.wait = a.bounds.Wait
	} else {
		a.wait = min(2*a.wait, a.bounds.Limit)
	}
	// Uploads run in parallel and fail together; they should not come back together.
	wait := a.wait/2 + rand.N(a.wait)
	if asked > 0 {
		wait = asked
	}
	if a.made >= a.bounds.Tries {
		return &gaveUp{cause: cause, tries: a.made, lasted: time.Since(a.began)}
	}
	if a.spent+wait > a.bounds.Limit {
		return &gaveUp{cause: cause, tries: a.made, lasted: time.Since(a.began), asked: asked, limit: a.bounds.Limit}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		a.spent += wait
		return nil
	}
}

// retrying tries requests again that fail by the network or by a status that passes.
type retrying struct {
	inner  http.RoundTripper
	bounds Bounds
}

func (t *retrying) RoundTrip(in *http.Request) (*http.Response, error) {
	ctx := in.Context()
	tries := newAttempts(t.bounds)
	for req := in; ; {
		began := time.Now()
		resp, err := t.inner.RoundTrip(req)
		asked, cause := transient(ctx, resp, err)
		switch {
		case err == nil && cause == nil:
			resp.Body = &download{ReadCloser: resp.Body, ctx: ctx}
			return resp, nil
		case cause == nil:
			return nil, err
		case !repeatable(in):
			return nil, &interrupted{cause: cause, asked: asked}
		}
		if err := tries.next(ctx, cause, asked, time.Since(began)); err != nil {
			return nil, err
		}
		req = in.Clone(ctx)
		if in.GetBody != nil {
			if req.Body, err = in.GetBody(); err != nil {
				return nil, fmt.Errorf("reading the request's body again: %w", err)
			}
		}
	}
}

// repeatable reports whether in can simply be sent again. The two requests that belong to an upload session, PATCH with a
// blob and PUT without a body, cannot: where the session stands after a failure only the registry knows.
func repeatable(in *http.Request) bool {
	hasBody := in.Body != nil && in.Body != http.NoBody
	switch in.Method {
	case http.MethodPatch:
		return false
	case http.MethodPut:
		return hasBody && in.GetBody != nil
	default:
		return !hasBody || in.GetBody != nil
	}
}

// transient returns what went wrong if that may pass, and the wait that the registry asks for. It closes the body of a
// response that it turns into an error.
func transient(ctx context.Context, resp *http.Response, err error) (asked time.Duration, cause error) {
	if err != nil {
		if ctx.Err() != nil || permanent(err) {
			return 0, nil
		}
		return 0, err
	}
	if s := resp.StatusCode; s != http.StatusRequestTimeout && s != http.StatusTooManyRequests && s < 500 {
		return 0, nil
	}
	defer resp.Body.Close()
	return retryAfter(resp.Header.Get("Retry-After"), time.Now()), transport.CheckError(resp)
}

// permanent knows the network errors that no wait mends.
func permanent(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		dns         *net.DNSError
		redirect    *redirectError
	)
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &redirect) || errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.As(err, &dns) && dns.IsNotFound
}

// retryAfter reads the header of that name, whose value is seconds or a date (RFC 9110, section 10.2.3). It is zero
// where that asks for nothing.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

// download is the body of a response. A connection that breaks while it is read interrupts the transfer.
type download struct {
	io.ReadCloser
	ctx context.Context
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if moved := meterOf(d.ctx); moved != nil && n > 0 { // the layer's own context, that of its manifest, has another meter or none
		moved(n)
	}
	if err != nil && err != io.EOF && err != errTooLong && d.ctx.Err() == nil {
		err = &interrupted{cause: err}
	}
	return n, err
}
