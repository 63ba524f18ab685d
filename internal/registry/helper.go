package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/docker/cli/cli/config/types"
	helpers "github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/slipway-ci/slipway/internal/child"
)

// identityToken is the user name by which a helper says that the secret is an identity token.
// Source: https://docs.docker.com/reference/cli/docker/login/#credential-helper-protocol
const identityToken = "<token>"

// askHelper asks a credential helper for a login, empty if it has none. It ends when ctx is done.
func askHelper(ctx context.Context, helper, server string) (types.AuthConfig, error) {
	program := func(args ...string) helpers.Program {
		return &helperProgram{ctx: ctx, args: append([]string{helper}, args...)}
	}
	found, err := helpers.Get(program, server)
	switch {
	case ctx.Err() != nil:
		return types.AuthConfig{}, ctx.Err()
	case credentials.IsErrCredentialsNotFound(err):
		return types.AuthConfig{}, nil
	case err != nil:
		return types.AuthConfig{}, err
	case found.Username == identityToken:
		return types.AuthConfig{IdentityToken: found.Secret}, nil
	}
	return types.AuthConfig{Username: found.Username, Password: found.Secret}, nil
}

// helperProgram is a run of a helper.
type helperProgram struct {
	ctx   context.Context
	args  []string
	stdin io.Reader
}

func (p *helperProgram) Input(in io.Reader) { p.stdin = in }

func (p *helperProgram) Output() ([]byte, error) {
	var out, problems bytes.Buffer
	err := child.Command{Args: p.args, Env: os.Environ(), Stdin: p.stdin, Stdout: &out, Stderr: &problems}.Run(p.ctx)
	if err == nil {
		return out.Bytes(), nil
	}
	if text := strings.TrimSpace(problems.String()); text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	if bytes.Contains(out.Bytes(), []byte("{")) { // a login, which the error of [helpers.Get] would have in it
		return nil, err
	}
	return out.Bytes(), err
}
