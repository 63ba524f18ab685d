package host

import (
	"context"
	"fmt"
	"strings"

	"github.com/slipway-ci/slipway/internal/gitcommand"
)

// repository are variables by which go build reads the source's repository and runs nothing that it names. What Slipway writes into the
// source does not count as a change of it.
func (c *compiler) repository(ctx context.Context) (map[string]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.vcs != nil {
		return c.vcs, nil
	}
	r, err := gitcommand.Open(ctx, c.source)
	if err == nil {
		c.closers = append(c.closers, r.Close)
		err = r.Exclude(c.plan.Source.Outputs)
	}
	if err != nil {
		problem, hint := gitcommand.Explain(err, "leave out --buildvcs")
		return nil, fmt.Errorf("reading the commit to stamp: %s (%s)", problem, hint)
	}
	c.vcs = map[string]string{}
	for _, variable := range r.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		c.vcs[name] = value
	}
	return c.vcs, nil
}
