package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway/internal/doctor"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/progress"
)

func (a *app) doctorCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor [flags]",
		Short: "Report what of this machine works, and what to do about the rest",
		Long: `Report what of this machine works for building and publishing images, and what to do about the rest:
Go and its toolchains, engines, registry logins and where they come from, caches, C compilers, proxies.
No network and no credential helper is asked, and no secret is printed. The exit status is 1 if something
that is needed does not work.`,
		Example: `  slipway doctor
  slipway doctor --json | jq '.[] | select(.state == "broken")'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fault.Faults{{Field: "argument", Value: args[0], Problem: "the doctor needs none", Hint: "leave it out"}}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return a.doctor(c.Context()) },
	}
	a.flags(c)
	return c
}

func (a *app) doctor(ctx context.Context) error {
	findings := doctor.Examine(ctx, a.environ)
	if err := a.environment; err != nil {
		findings = append([]doctor.Finding{{Name: "settings", State: doctor.Broken, Text: err.Error()}}, findings...)
	}
	var err error
	if a.JSON {
		err = a.printJSON(findings)
	} else {
		_, err = io.WriteString(a.stdout, doctorText(findings))
	}
	if err == nil && !doctor.Works(findings) {
		err = errors.New("examining this machine: something that is needed does not work")
	}
	return err
}

func doctorText(findings []doctor.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%-7s %-10s  %s\n", f.State, f.Name, f.Text)
		if f.Hint != "" {
			fmt.Fprintf(&b, "%-7s %-10s  > %s\n", "", "", f.Hint)
		}
	}
	return progress.Clean(b.String())
}
