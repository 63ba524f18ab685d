package main

import (
	"os"
	"strings"

	"github.com/slipway-ci/slipway/internal/goenv"
)

// inherit takes out of this process's environment what the programs that it starts, and those that libraries start, such as credential
// helpers, must not inherit: the settings, the password of a key, and relative directories of the PATH, in which a source could have
// programs. environ is what it was.
func inherit(environ []string) error {
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if name == signPassword || strings.HasPrefix(name, "SLIPWAY_") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	return os.Setenv("PATH", goenv.AbsolutePath(os.Getenv("PATH")))
}

// signPassword is the variable with the password of the key that signs.
const signPassword = "COSIGN_PASSWORD"
