package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/changed"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/gitcommand"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/progress"
)

// changed leaves those of the jobs, and where they go, that could give something else than at the revision that --changed-since names, and tells why
// each is in or out. Flags and variables are taken to have been the same then.
func (a *app) changed(
	ctx context.Context, dir string, jobs []*job, delivers []deliver, environ []string, display *progress.Display,
) (in []*job, to []deliver, err error) {
	if a.ChangedSince == "" {
		return jobs, delivers, nil
	}
	before, err := a.settingsAt(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	images := make([]changed.Image, len(jobs))
	for i, j := range jobs {
		images[i] = changed.Image{
			Name: j.plan.Name, Plan: j.plan, Config: j.settings.Config, Read: a.caCertFiles, Settings: a.otherSettings(before, j.settings),
		}
	}
	lister := host.New(nil, environ)
	list := func(ctx context.Context, plan *plan.Plan, c plan.Compile, args ...string) ([]byte, error) {
		return lister.List(ctx, dir, plan, c, args...)
	}
	verdicts, err := changed.Since(ctx, dir, a.ChangedSince, images, list)
	if err != nil {
		return nil, nil, err
	}
	for i, v := range verdicts {
		word := "out"
		if v.In {
			word = "in"
			in, to = append(in, jobs[i]), append(to, delivers[i])
		}
		display.Note(fmt.Sprintf("%s is %s: %s", v.Name, word, v.Reason))
	}
	return in, to, nil
}

// settingsAt finds slipway.yaml as it was; nil if it was not there, or not as it should be. What is wrong with the repository or the
// revision, changed.Since reports.
func (a *app) settingsAt(ctx context.Context, dir string) (_ *config.Project, err error) {
	r, err := gitcommand.Open(ctx, dir)
	if err != nil {
		return nil, ctx.Err()
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	text, err := r.Run(ctx, "cat-file", "blob", "--end-of-options", a.ChangedSince+":./"+config.File)
	if err != nil {
		return nil, ctx.Err()
	}
	before, err := config.Parse([]byte(text))
	if err != nil {
		return nil, nil //nolint:nilerr // such a file counts as absent
	}
	return before, nil
}

// otherSettings says why the settings of an image are not what they were; empty where they are.
func (a *app) otherSettings(before *config.Project, now config.Image) string {
	switch {
	case now.Revision != "":
		return "it names the commit, by its revision"
	case plan.NeedsGit(now.Templates()...):
		return "a template in it names the commit"
	case a.given("source-date-epoch"):
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
	over := config.Image{Config: a.config, Repository: a.Repository, Tags: a.Tags}
	over.CACerts = now.CACerts
	if !then.Over(over, a.given).Same(now) {
		return "its settings in " + config.File + " changed"
	}
	return ""
}
