package dagger

import (
	"context"

	"dagger.io/dagger"

	"github.com/slipway-ci/slipway/internal/plan"
)

// prebuilt is a part of the source with what the plan's prebuild makes, in place of what the source has of it. The command gets all of
// the source, and nothing that finds or fetches private modules.
func (b *Build) prebuilt(source *dagger.Directory) *dagger.Directory {
	p := b.plan.Prebuild
	if p == nil {
		return source
	}
	without := dagger.DirectoryFilterOpts{Exclude: p.Outputs}
	ctr := b.client.Container().From(p.Image).With(b.trusting)
	for _, c := range p.Caches {
		ctr = ctr.WithMountedCache(c.Path, b.client.CacheVolume(c.Name))
	}
	made := ctr.WithDirectory(sourceDir, b.source.Filter(without)).WithWorkdir(sourceDir).WithExec(p.Command).
		Directory(sourceDir).Filter(dagger.DirectoryFilterOpts{Include: p.Outputs})
	// The image of the prebuild need not have a shell.
	checked := b.client.Container().From(b.plan.Builder).WithDirectory(sourceDir, made).WithWorkdir(sourceDir).WithExec(haveOutputs(p)).
		Directory(sourceDir)
	return source.Filter(without).WithDirectory(".", checked)
}

// Prebuild runs the plan's prebuild.
func (b *Build) Prebuild(ctx context.Context) error {
	_, err := b.prebuilt(b.client.Directory()).Sync(ctx)
	return b.explain("running the prebuild", err)
}

// haveOutputs is a command that fails unless the prebuild has made what it should have.
func haveOutputs(p *plan.Prebuild) []string {
	script := `for f; do test -e "$f" || { echo "$f was not made: name in prebuild-outputs what the command makes" >&2; exit 1; }; done`
	return append(inShell(script), append([]string{"sh"}, p.Outputs...)...)
}
