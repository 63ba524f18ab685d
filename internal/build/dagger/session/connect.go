package session

import (
	"context"
	"errors"
	"fmt"

	sdk "dagger.io/dagger"
	"golang.org/x/mod/semver"

	"github.com/slipway-ci/slipway/internal/build/dagger"
)

// oldest is the first version of Dagger that finds objects by the field node, as the SDK does. Source: v0.21.1 in
// https://github.com/dagger/dagger/blob/v0.21.8/CHANGELOG.md
const oldest = "v0.21.1"

// Connect joins the Dagger session at hand, or begins one by the dagger command. The caller closes the client.
func Connect(ctx context.Context) (*sdk.Client, error) {
	client, err := sdk.Connect(ctx)
	if err == nil {
		if err = fits(ctx, client); err == nil {
			return client, nil
		}
		if lost := dagger.Lost(err); lost != nil {
			err = lost
		}
		err = errors.Join(err, client.Close())
	}
	return nil, fmt.Errorf("connecting to a Dagger engine: %w: run slipway by dagger run, check that an engine of Dagger %s or newer can be reached, or use --engine host", err, oldest)
}

// fits asks the engine for its version. One that is no version, such as a developer's, passes.
func fits(ctx context.Context, client *sdk.Client) error {
	version, err := client.Version(ctx)
	switch {
	case err != nil:
		return err
	case semver.IsValid(version) && semver.Compare(version, oldest) < 0:
		return fmt.Errorf("the engine is Dagger %s, whose API does not fit", version)
	}
	return nil
}
