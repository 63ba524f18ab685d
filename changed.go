package slipway

import (
	"context"
	"errors"
	"fmt"

	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/changed"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/gitcommand"
	"github.com/slipway-ci/slipway/internal/plan"
)

// ChangedSince returns the images that could differ from those of the same request at a revision of git, and notes why each is in or
// out. Settings that are not of slipway.yaml count as unchanged. An error that is [Faults] says what is wrong with the revision or the
// repository.
func (b *Builder) ChangedSince(ctx context.Context, revision string, images []*Image) (in []*Image, err error) {
	if len(images) == 0 {
		return nil, nil
	}
	r := images[0].request
	before, err := r.fileAt(ctx, revision)
	if err != nil {
		return nil, err
	}
	all := make([]changed.Image, len(images))
	for i, image := range images {
		all[i] = changed.Image{
			Name: image.Plan.Name, Plan: image.Plan, Config: image.Settings.Config, Read: r.CACerts, Settings: r.otherSettings(before, image.Settings),
		}
	}
	lister := host.New(nil, b.Environ)
	list := func(ctx context.Context, plan *Plan, c plan.Compile, args ...string) ([]byte, error) {
		return lister.List(ctx, r.Dir, plan, c, args...)
	}
	verdicts, err := changed.Since(ctx, r.Dir, revision, all, list)
	if err != nil {
		return nil, err
	}
	for i, v := range verdicts {
		word := "out"
		if v.In {
			word = "in"
			in = append(in, images[i])
		}
		b.reporter().Note(fmt.Sprintf("%s is %s: %s", v.Name, word, v.Reason))
	}
	return in, nil
}

// fileAt reads slipway.yaml as of the revision; nil if it was not there, or not valid. changed.Since reports what is wrong with the
// repository or the revision.
func (r *Request) fileAt(ctx context.Context, revision string) (_ *config.Project, err error) {
	repository, err := gitcommand.Open(ctx, r.Dir)
	if err != nil {
		return nil, ctx.Err()
	}
	defer func() { err = errors.Join(err, repository.Close()) }()
	text, err := repository.Run(ctx, "cat-file", "blob", "--end-of-options", revision+":./"+config.File)
	if err != nil {
		return nil, ctx.Err()
	}
	before, err := config.Parse([]byte(text))
	if err != nil {
		return nil, nil //nolint:nilerr // such a file counts as absent
	}
	return before, nil
}

// otherSettings says how the settings of an image have changed; empty if they have not.
func (r *Request) otherSettings(before *config.Project, now Settings) string {
	switch {
	case now.Revision != "":
		return "it names the commit, by its revision"
	case plan.NeedsGit(now.Templates()...):
		return "a template in it names the commit"
	case r.given("source-date-epoch"):
		return "SOURCE_DATE_EPOCH may have been another"
	case !now.Listed():
		return ""
	case before == nil:
		return config.File + " was not there, or not right"
	}
	then, found := before.Find(now.Name)
	if !found {
		return "it is new in " + config.File
	}
	over := r.settings()
	over.CACerts = now.CACerts
	if !then.Over(over, r.given).Same(now) {
		return "its settings in " + config.File + " changed"
	}
	return ""
}
