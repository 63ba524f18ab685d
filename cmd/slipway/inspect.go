package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/progress"
)

func (a *app) inspectCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "inspect [flags] REFERENCE|ARCHIVE",
		Short: "Show what is known of an image",
		Long: `Show what is known of an image in a registry, an OCI archive or a layout directory, whoever built it:
platforms, base and its age, programs with their versions of Go and modules, settings, user, ports,
what is attached, and how to run and verify it. Nothing is verified but digests.`,
		Example: `  slipway inspect ghcr.io/me/api:v1.2.3
  slipway inspect --json dist/api.tar | jq '.platforms[0].programs[0].modules'`,
		Args: exactlyOne("image", "give one, such as ghcr.io/me/api:v1.2.3 or dist/api.tar"),
		RunE: func(c *cobra.Command, args []string) error { return a.inspect(c.Context(), args[0]) },
	}
	a.flags(c)
	return c
}

func (a *app) inspect(ctx context.Context, named string) error {
	reader, err := a.reader(ctx)
	if err != nil {
		return err
	}
	defer reader.Close()
	report, err := reader.Inspect(ctx, named)
	if err != nil {
		return fmt.Errorf("inspecting %s: %w", named, err)
	}
	if a.JSON {
		return a.printJSON(report)
	}
	_, err = io.WriteString(a.stdout, inspectText(report, time.Now()))
	return err
}

// modulesShown is how many modules of a program are listed.
const modulesShown = 8

// inspectText is a report on one screen. What platforms have in common is there once.
func inspectText(r *slipway.Inspection, now time.Time) string {
	var b strings.Builder
	last := ""
	line := func(key, format string, args ...any) {
		if value := strings.TrimRight(fmt.Sprintf(format, args...), " "); value != "" {
			if key == last {
				key = ""
			} else {
				last = key
			}
			fmt.Fprintf(&b, "  %-11s %s\n", key, progress.Clean(value))
		}
	}
	fmt.Fprintln(&b, progress.Clean(r.Name), r.Digest)
	for _, p := range r.Platforms {
		line("platform", "%s %s, %s", p.Platform, p.Digest, console.Size(p.Size))
	}
	seen := map[string]bool{}
	each := func(key string, texts func(*inspected) []string) {
		for _, p := range r.Platforms {
			for _, text := range texts(p) {
				if !seen[key+text] {
					seen[key+text] = true
					line(key, "%s", text)
				}
			}
		}
	}
	each("base", func(p *inspected) []string { return []string{baseText(p, now)} })
	each("program", programTexts)
	each("user", func(p *inspected) []string { return []string{p.User} })
	each("runs", func(p *inspected) []string { return []string{console.Words(slices.Concat(p.Entrypoint, p.Args))} })
	each("in", func(p *inspected) []string { return []string{p.WorkingDir} })
	each("ports", func(p *inspected) []string { return []string{strings.Join(p.Ports, ", ")} })
	each("volumes", func(p *inspected) []string { return []string{strings.Join(p.Volumes, ", ")} })
	each("env", func(p *inspected) []string { return p.Env })
	each("stops by", func(p *inspected) []string { return []string{p.StopSignal} })
	each("health", func(p *inspected) []string { return []string{console.Words(p.Healthcheck)} })
	each("labels", func(p *inspected) []string { return pairs(p.Labels) })
	if r.Build != nil {
		line("built by", "%s %s, says what is attached", r.Build.Builder, r.Build.Version)
		for _, s := range r.Build.Sources {
			if commit := s.Digest["gitCommit"]; commit != "" {
				line("from", "%s %s", s.URI, commit)
			}
		}
		line("run", "%s", r.Build.Run)
		line("settings", "%s", settingsText(r.Build.Settings))
	}
	counts := map[string]int{}
	for _, at := range r.Attached {
		counts[at.Kind]++
	}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		line("attached", "%s (%d)", kind, counts[kind])
	}
	if len(r.Tags) > 0 {
		line("attached", "tags of cosign (%d)", len(r.Tags))
	}
	for _, s := range r.Signers {
		line("signed by", "%s (issuer %s), says a certificate", s.Identity, s.Issuer)
	}
	line("to run", "%s", r.Run)
	line("to verify", "%s", r.Verify)
	return b.String()
}

// inspected is what is known of one platform.
type inspected = slipway.InspectedPlatform

func baseText(p *inspected, now time.Time) string {
	if p.Base == nil {
		return ""
	}
	text := strings.TrimPrefix(p.Base.Name+"@"+p.Base.Digest, "@")
	if created := p.Base.Created; created != nil {
		text += fmt.Sprintf(", made on %s, %d days ago", created.UTC().Format(time.DateOnly), int(now.Sub(*created).Hours()/24))
	}
	return strings.TrimSuffix(text, "@")
}

func programTexts(p *inspected) (texts []string) {
	for _, one := range p.Programs {
		texts = append(texts, fmt.Sprintf("%s: %s of %s, with %s", one.Path, one.Package, one.Module, one.Go))
		for _, m := range one.Modules[:min(modulesShown, len(one.Modules))] {
			texts = append(texts, "  "+m)
		}
		if more := len(one.Modules) - modulesShown; more > 0 {
			texts = append(texts, fmt.Sprintf("  and %d modules more", more))
		}
	}
	return texts
}

func pairs(values map[string]string) (all []string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		all = append(all, key+"="+values[key])
	}
	return all
}

// settingsText lists the settings of a provenance.
func settingsText(parameters map[string]any) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(parameters)) {
		if nested, ok := parameters[key].(map[string]any); ok {
			for _, name := range slices.Sorted(maps.Keys(nested)) {
				all = append(all, fmt.Sprintf("%s=%v", name, nested[name]))
			}
			continue
		}
		all = append(all, fmt.Sprintf("%s=%v", key, parameters[key]))
	}
	return strings.Join(all, ", ")
}
