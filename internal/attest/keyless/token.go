package keyless

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Variables that tokens come from. Sources:
// https://docs.github.com/en/actions/reference/security/oidc and https://docs.gitlab.com/ci/yaml/signing_examples/
const (
	RequestURL   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	RequestToken = "ACTIONS_ID_TOKEN_REQUEST_TOKEN" //nolint:gosec // the name of a variable
	GitLabToken  = "SIGSTORE_ID_TOKEN"              //nolint:gosec // the name of a variable
)

// audience is for whom a token is: certificate authorities of Sigstore take no other.
const audience = "sigstore"

const tokenLimit = 1 << 20 // bytes

// ErrNoToken is the error where a job has no identity.
var ErrNoToken = errors.New("the job has no OIDC token")

// Tokens says where the tokens of this job come from: GitHub makes one at each request, GitLab's is in a variable. The error is
// [ErrNoToken] if there is neither.
func Tokens(variable func(string) string) (func(context.Context) (string, error), error) {
	if token := variable(GitLabToken); token != "" {
		return func(context.Context) (string, error) { return token, nil }, nil
	}
	address, secret := variable(RequestURL), variable(RequestToken)
	if address == "" || secret == "" {
		return nil, ErrNoToken
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New(RequestURL + " is no URL")
	}
	query := u.Query()
	query.Set("audience", audience)
	u.RawQuery = query.Encode()
	return func(ctx context.Context) (string, error) { return request(ctx, u.String(), secret) }, nil
}

// request asks GitHub for a token. No error has anything of the answer.
func request(ctx context.Context, address, secret string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	response, err := (&http.Client{Timeout: timeout}).Do(r)
	if err != nil {
		return "", fmt.Errorf("asking GitHub for the job's OIDC token: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("asking GitHub for the job's OIDC token: the server answered %s", response.Status)
	}
	var answer struct{ Value string }
	if err := json.NewDecoder(io.LimitReader(response.Body, tokenLimit)).Decode(&answer); err != nil || answer.Value == "" {
		return "", errors.New("asking GitHub for the job's OIDC token: the answer has none")
	}
	return answer.Value, nil
}
