package registry

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// updates is how often a tag is written that others write at the same time.
const updates = 8

// errOvertaken says that a tag was not moved, since somebody else has moved it since it was read.
var errOvertaken = errors.New("others keep changing it at the same time: publish again when they are done")

// update moves a tag to what next makes of what is there, nil if that is good as it is; next also returns the digest of what it
// read. Registries cannot write a tag on the condition that nobody else has. So the tag is read again just before it is written, and
// once more after a pause, in which whoever read it before that has written, too.
func (p *Push) update(ctx context.Context, tag name.Tag, next func() (*manifest, v1.Hash, error)) error {
	var failure error
	for range updates {
		began := time.Now()
		m, was, err := next()
		if err != nil || m == nil {
			return err
		}
		if isRefusal(failure) {
			return failure
		}
		failure = p.move(ctx, tag, *m, &was)
		took := time.Since(began)
		var notStored *notStoredError
		switch {
		case errors.Is(failure, errOvertaken):
			continue
		case failure == nil, errors.As(failure, &notStored):
		case isRefusal(failure):
			failure = p.client.Explain(tag, failure)
			continue
		default:
			return p.client.Explain(tag, failure)
		}
		if err := pause(ctx, took+rand.N(took/2+1)); err != nil { // many times what others take from reading to writing
			return err
		}
		if there, err := p.leadsTo(ctx, tag, *m); err != nil || there {
			return p.client.Explain(tag, err)
		}
	}
	if failure == nil {
		failure = errOvertaken
	}
	return p.client.Explain(tag, failure)
}

// isRefusal reports whether a registry does not do what it was asked, and will not.
func isRefusal(err error) bool {
	var answered *transport.Error
	return errors.As(err, &answered) && answered.StatusCode < http.StatusInternalServerError
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
