package registry

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// userAgent is how the program names itself to registries; go-containerregistry appends its own name and version.
const userAgent = "slipway"

// Options are the settings of a [Client]. The zero value means no mirrors and the default bounds.
type Options struct {
	// Mirrors are asked for images of a registry first, each as HOST=MIRROR[/PREFIX], such as
	// "docker.io=mirror.gcr.io" or "docker.io=http://cache.internal:5000/hub". Several mirrors of one host are asked in
	// the given order, and the host itself last.
	Mirrors []string
	// Credentials are asked for logins, in this order, before the files of docker and podman.
	Credentials []Credentials
	// Roots are root certificates, in PEM, that are trusted besides the system's.
	Roots string
	// Services are the addresses, HOST:PORT, of registries that speak HTTP without TLS, by the hosts that references call them.
	Services map[string]string
	// Bounds say how often and how long a registry is tried; a field that is zero has its default.
	Bounds Bounds
	// OnSecret is called with each password and token that the client uses, so that the caller can keep it out of what it
	// prints; nil for nobody. It may be called from many goroutines.
	OnSecret func(string)
}

// Client talks to registries. It may be used from many goroutines.
type Client struct {
	idle      func()
	transport http.RoundTripper
	once      http.RoundTripper // asks a registry without trying again
	keychain  *keychain
	secrets   *secrets
	mirrors   mirrors
	bounds    Bounds
	puller    *remote.Puller
	sessions  sync.Map // of *session, by the name of the repository that is read
}

// New returns a client. Its error joins one error for every mirror and all credentials that cannot be read.
func New(o Options) (*Client, error) {
	mirrors, err := parseMirrors(o.Mirrors)
	given, credentialsErr := parseCredentials(o.Credentials)
	if err := errors.Join(err, credentialsErr); err != nil {
		return nil, err
	}
	bounds := o.Bounds.orDefaults()
	base := newTransport(bounds.Silence)
	if o.Roots != "" {
		if base.TLSClientConfig, err = trusting(o.Roots); err != nil {
			return nil, err
		}
	}
	known := &secrets{used: o.OnSecret}
	reached := newServices(base, o.Services)
	c := &Client{
		idle:      reached.closeIdleConnections,
		transport: transportOver(reached, bounds, known),
		once:      reached,
		keychain:  &keychain{secrets: known, given: given},
		secrets:   known,
		mirrors:   mirrors,
		bounds:    bounds,
	}
	if c.puller, err = remote.NewPuller(c.RemoteOptions()...); err != nil {
		return nil, err
	}
	return c, nil
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.idle() }

// RemoteOptions make functions of go-containerregistry's package remote use this client's transport and credentials.
// Whole uploads and downloads that broke midway are to be begun again through [Client.Retry].
func (c *Client) RemoteOptions() []remote.Option {
	return []remote.Option{
		remote.WithTransport(c.transport),
		remote.WithAuthFromKeychain(c.keychain),
		remote.WithUserAgent(userAgent),
		remote.WithRetryPredicate(func(error) bool { return false }),
		remote.WithRetryStatusCodes(),
	}
}

// Get fetches the manifest that ref names, from the first mirror that has it, else from its own registry. Content that
// does not match a digest reference is refused. The error is one of [Client.Explain] for each place that was asked.
func (c *Client) Get(ctx context.Context, ref name.Reference) (*remote.Descriptor, error) {
	var failures []error
	for _, candidate := range c.mirrors.candidates(ref) {
		desc, err := c.get(ctx, candidate)
		if err == nil {
			return desc, nil
		}
		// The registry itself is asked last, yet its answer is the one to read first.
		failures = append([]error{c.Explain(candidate, err)}, failures...)
		if ctx.Err() != nil {
			break
		}
	}
	if len(failures) == 1 {
		return nil, failures[0]
	}
	return nil, errors.Join(failures...)
}

// Download has read read the bytes of a layer that [Client.Get] fetched, as they are in the registry, and calls it again as long as they break
// midway or are not what the layer's digest says, within the client's bounds. The end of ctx ends it, whatever context the layer has.
func (c *Client) Download(ctx context.Context, layer v1.Layer, read func(io.Reader) error) error {
	return c.Retry(ctx, func() error {
		body, err := layer.Compressed()
		if err != nil {
			return err
		}
		content := &download{ReadCloser: body, ctx: ctx}
		stop := context.AfterFunc(ctx, func() { body.Close() })
		err = read(content)
		if stop() {
			err = errors.Join(err, body.Close())
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	})
}

// GetUpstream is [Client.Get] past all mirrors, for what is to be changed in the registry.
func (c *Client) GetUpstream(ctx context.Context, ref name.Reference) (*remote.Descriptor, error) {
	desc, err := c.get(ctx, ref)
	return desc, c.Explain(ref, err)
}

func (c *Client) get(ctx context.Context, ref name.Reference) (desc *remote.Descriptor, err error) {
	err = c.Retry(ctx, func() error {
		desc, err = c.puller.Get(ctx, ref)
		return err
	})
	if err != nil {
		return nil, err
	}
	// go-containerregistry believes the digest header of a signed schema 1 manifest, and so of whatever calls itself one.
	digest, ok := ref.(name.Digest)
	algorithm := "sha256"
	var want v1.Hash
	if ok {
		if want, err = v1.NewHash(digest.DigestStr()); err != nil {
			return nil, err
		}
		algorithm = want.Algorithm
	}
	hasher, err := v1.Hasher(algorithm)
	if err != nil {
		return nil, err
	}
	hasher.Write(desc.Manifest)
	desc.Digest = v1.Hash{Algorithm: algorithm, Hex: hex.EncodeToString(hasher.Sum(nil))}
	if ok && desc.Digest != want {
		return nil, fmt.Errorf("the content (%s, %s) does not have that digest", desc.MediaType, desc.Digest)
	}
	if desc.MediaType, err = mediaTypeOf(desc.Manifest); err != nil {
		return nil, err
	}
	return desc, nil
}

// mediaTypeOf is what a manifest is by its content: whoever serves it may call it anything.
func mediaTypeOf(content []byte) (types.MediaType, error) {
	var m struct {
		MediaType types.MediaType  `json:"mediaType"`
		Manifests *json.RawMessage `json:"manifests"`
		Config    *json.RawMessage `json:"config"`
		Layers    *json.RawMessage `json:"layers"`
	}
	if err := json.Unmarshal(content, &m); err != nil {
		return "", errors.New("the content is no manifest: it is not JSON")
	}
	isIndex, isImage := m.Manifests != nil, m.Config != nil || m.Layers != nil
	switch {
	case isIndex && !isImage && m.MediaType == types.DockerManifestList, isImage && !isIndex && m.MediaType == types.DockerManifestSchema2:
		return m.MediaType, nil
	case isIndex && !isImage && (m.MediaType == "" || m.MediaType == types.OCIImageIndex):
		return types.OCIImageIndex, nil
	case isImage && !isIndex && (m.MediaType == "" || m.MediaType == types.OCIManifestSchema1):
		return types.OCIManifestSchema1, nil
	default:
		return "", fmt.Errorf("the content is neither the manifest of an image nor an index (its media type says %q)", m.MediaType)
	}
}

// HTTP returns an HTTP client for requests about one repository that is logged in for a scope: [transport.PullScope], or
// [transport.PushScope] to push to it and to pull from it.
func (c *Client) HTTP(ctx context.Context, repository name.Repository, scope string) (*http.Client, error) {
	auth, err := authn.Resolve(ctx, c.keychain, repository)
	if err != nil {
		return nil, err
	}
	t, err := transport.NewWithContext(
		ctx, repository.Registry, auth, transport.NewUserAgent(c.transport, userAgent), []string{repository.Scope(scope)})
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: t}, nil
}
