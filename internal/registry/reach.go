package registry

import (
	"context"
	"errors"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Reach asks the registry of a repository for any answer at all, once. Its error is why there is none, such as a host that is not there or
// one that does not speak TLS.
func (c *Client) Reach(ctx context.Context, repository string) error {
	repo, err := name.NewRepository(repository)
	if err != nil {
		return err
	}
	_, err = transport.Ping(ctx, repo.Registry, c.once)
	if answer := (*transport.Error)(nil); errors.As(err, &answer) {
		return nil
	}
	return c.Explain(repo.Tag("latest"), err)
}

// Login is the user and the password by which a repository is pushed to; both are empty without a login, and for one that is a token of
// another kind.
func (c *Client) Login(ctx context.Context, repository string) (user, password string, err error) {
	repo, err := name.NewRepository(repository)
	if err != nil {
		return "", "", err
	}
	found, err := authn.Resolve(ctx, c.keychain, repo)
	if err != nil {
		return "", "", err
	}
	login, err := authn.Authorization(ctx, found)
	if err != nil || login.Username == "" || login.Password == "" {
		return "", "", err
	}
	return login.Username, login.Password, nil
}
