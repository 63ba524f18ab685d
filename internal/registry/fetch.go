package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Fetch has read read what is at an address outside registries, such as an archive of packages, from the first mirror of its host that has it,
// else from there, and calls it again as long as that breaks midway, within the client's bounds. No login is sent. The error is
// fs.ErrNotExist if there is nothing.
func (c *Client) Fetch(ctx context.Context, address string, read func(io.Reader) error) error {
	addresses, err := c.mirrors.addresses(address)
	if err != nil {
		return err
	}
	var failures []error
	for _, address := range addresses {
		err := c.Retry(ctx, func() error { return c.fetch(ctx, address, read) })
		if err == nil {
			return nil
		}
		// The address itself is asked last, yet its answer is the one to read first.
		failures = append([]error{fmt.Errorf("fetching %s: %w", address, err)}, failures...)
		if ctx.Err() != nil {
			break
		}
	}
	if len(failures) == 1 {
		return failures[0]
	}
	return errors.Join(failures...)
}

func (c *Client) fetch(ctx context.Context, address string, read func(io.Reader) error) (err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", userAgent)
	response, err := (&http.Client{Transport: c.transport}).Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // which does not repeat the address
		}
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusGone {
		return fmt.Errorf("there is nothing: %w", fs.ErrNotExist)
	}
	if err := transport.CheckError(response, http.StatusOK); err != nil {
		return err
	}
	return read(response.Body)
}

// addresses are where the content of an address is looked for, in this order; the address itself is the last.
func (m mirrors) addresses(address string) ([]string, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, mirror := range m[parsed.Host] {
		at := *parsed
		at.Scheme, at.Host, at.Path = mirror.registry.Scheme(), mirror.registry.RegistryStr(), path.Join("/", mirror.prefix, parsed.Path)
		all = append(all, at.String())
	}
	return append(all, address), nil
}
