package slipway

import (
	"io/fs"
	"slices"
	"time"

	"github.com/slipway-ci/slipway/internal/attest/vex"
)

// readVEX reads what the modules of a plan suppress.
func readVEX(tree fs.FS, p *Plan) ([]VEXStatement, error) {
	var all []VEXStatement
	for _, part := range p.Parts() {
		name, text, err := vex.Read(tree, part.Source.Dir)
		if err != nil {
			return nil, err
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
