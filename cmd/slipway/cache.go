package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway/internal/build/slot"
	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/fault"
)

func (a *app) cacheCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cache [flags] ls|prune [BRANCH...]",
		Short: "List or remove what is cached",
		Long: `ls prints the size of this machine's cache, and with --cache the images in the cache that machines
share. prune removes from that the images of branches, such as those that are merged; without --cache,
it brings this machine's cache down to its limit, as every build does.`,
		Example: `  slipway cache ls
  slipway cache ls --cache ghcr.io/me/api/cache
  slipway cache prune --cache ghcr.io/me/api/cache feature/login`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] != "ls" && args[0] != "prune" {
				return one("action", nil, "give ls or prune")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			shared, err := a.openShared()
			if err := fault.Join(a.environment, err, pruneArgs(args, shared != nil)); err != nil {
				return err
			}
			if args[0] == "prune" {
				return a.prune(c.Context(), shared, args[1:])
			}
			return a.listCache(c.Context(), shared)
		},
	}
	a.flags(c)
	return c
}

func pruneArgs(args []string, shared bool) error {
	branches := len(args) > 1
	switch {
	case args[0] == "ls" && branches:
		return fault.Faults{{Field: "branch", Value: args[1], Problem: "ls lists all of them", Hint: "leave it out"}}
	case args[0] == "prune" && branches != shared:
		return fault.Faults{{Field: "branch", Problem: "branches are those of a cache that machines share", Hint: "give --cache and branches, or neither"}}
	}
	return nil
}

// openShared opens the cache that --cache names; nil for none.
func (a *app) openShared() (slot.Repository, error) {
	if a.image.Cache == "" {
		return nil, nil
	}
	client, err := a.registry(nil)
	if err != nil {
		return nil, err
	}
	return slot.Open(a.image.Cache, client)
}

// kindTexts name the kinds of entries.
var kindTexts = map[slot.Kind]string{slot.Result: "image", slot.Packages: "compiled packages", slot.Modules: "modules"}

func (a *app) listCache(ctx context.Context, shared slot.Repository) error {
	local, err := cache.OpenUser()
	if err != nil {
		return err
	}
	used, limit, err := local.Usage()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(a.stdout, "this machine: %s of %s\n", console.Size(used), console.Size(limit)); err != nil || shared == nil {
		return err
	}
	entries, err := slot.Entries(ctx, shared)
	if err != nil {
		return fmt.Errorf("reading the cache %s: %w", a.image.Cache, err)
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, e := range entries {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.Image, e.Platform, e.Branch, kindTexts[e.Kind], console.Size(e.Size))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = io.WriteString(a.stdout, a.image.Cache+":\n"+text.String())
	return err
}

func (a *app) prune(ctx context.Context, shared slot.Repository, branches []string) error {
	if shared == nil {
		_, err := cache.OpenUser() // which trims it
		return err
	}
	entries, err := slot.Entries(ctx, shared)
	if err != nil {
		return fmt.Errorf("reading the cache %s: %w", a.image.Cache, err)
	}
	var failures []error
	for _, e := range entries {
		if !slices.Contains(branches, e.Branch) {
			continue
		}
		if err := shared.Delete(ctx, e.Name()); err != nil {
			failures = append(failures, fmt.Errorf("removing the %s of %s for %s of the branch %s: %w", kindTexts[e.Kind], e.Image, e.Platform, e.Branch, err))
			continue
		}
		if _, err := fmt.Fprintf(a.stdout, "removed the %s of %s for %s of the branch %s\n", kindTexts[e.Kind], e.Image, e.Platform, e.Branch); err != nil {
			return err
		}
	}
	return errors.Join(failures...)
}
