package slipway

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/slipway-ci/slipway/internal/attest/vex"
	"github.com/slipway-ci/slipway/internal/source"
)

// readVEX reads what the modules of a plan suppress.
func readVEX(tree fs.FS, p *Plan) ([]VEXStatement, error) {
	var all []VEXStatement
	for _, part := range p.Parts() {
		name := path.Join(part.Source.Dir, vex.File)
		text, err := fs.ReadFile(tree, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			problem, hint := source.Describe(err)
			return nil, Faults{{Field: name, Problem: problem, Hint: hint}}
		}
		statements, err := vex.ParseSuppressions(name, string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, statements...)
	}
	return all, nil
}

// valid are the statements that hold today. It warns of the others.
func (w *work) valid(all []VEXStatement) []VEXStatement {
	return slices.DeleteFunc(slices.Clone(all), func(s VEXStatement) bool {
		expired := s.Expired(time.Now())
		if expired {
			w.warnOnce(s.Vulnerability.Name + ": the suppression has expired on " + s.Expires + ", and is not attached: check it again")
		}
		return expired
	})
}
