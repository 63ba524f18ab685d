package slipway

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/secret"
	"github.com/slipway-ci/slipway/internal/source"
)

// variables returns an environment, a list of KEY=VALUE, as a map, without variables that are secrets by their names: images must not
// have them.
func variables(environ []string) map[string]string {
	all := map[string]string{}
	for _, kv := range environ {
		if name, value, _ := strings.Cut(kv, "="); !secret.IsVariable(name) {
			all[name] = value
		}
	}
	return all
}

// readCACerts reads certificates of files.
func readCACerts(files []string) (string, error) {
	var all strings.Builder
	var faults Faults
	for _, name := range files {
		text, err := source.ReadFile(name)
		certs := ""
		if err == nil {
			certs, err = plan.ParseCACerts(string(text))
		}
		if path := (*fs.PathError)(nil); errors.As(err, &path) {
			err = fmt.Errorf("%w: name a file with certificates in PEM", path.Err)
		}
		if err != nil {
			faults.Add("ca-cert", name, err.Error(), "")
		}
		all.WriteString(certs)
	}
	return all.String(), faults.Err()
}
