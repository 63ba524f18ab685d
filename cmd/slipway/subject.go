package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/progress"
)

// subject is an image that was named to be read: one that is to be built, or one that was built before.
type subject struct {
	// dir has the source, and names are those of its images; empty for an image that was built before.
	dir   string
	names []string
	// ref is a reference, or oci:DIR, or oci-archive:FILE.
	ref string
}

// subjectOf takes what was named for what it is: an image of slipway.yaml and a directory with Go in it are built, and everything else has
// an image in it. problem says what it is if it is nothing of that.
func (a *app) subjectOf(named, problem string) (subject, error) {
	project, err := readProject(".")
	if err != nil {
		return subject{}, err
	}
	if project != nil && slices.ContainsFunc(project.Images, func(i config.Image) bool { return i.Name == named }) {
		return subject{dir: ".", names: []string{named}}, nil
	}
	info, err := os.Stat(named)
	switch {
	case err == nil && info.IsDir() && isLayout(named):
		return subject{ref: "oci:" + named}, nil
	case err == nil && info.IsDir():
		return subject{dir: named}, nil
	case err == nil:
		return subject{ref: "oci-archive:" + named}, nil
	}
	_, err = name.ParseReference(named)
	ofFile := strings.HasPrefix(named, "oci:") || strings.HasPrefix(named, "oci-archive:")
	if !ofFile && (err != nil || strings.HasSuffix(named, ".tar") || strings.HasPrefix(named, ".")) {
		return subject{}, fault.Join(a.environment, fault.Faults{{Field: "image", Value: named, Problem: problem, Hint: "name one of them"}})
	}
	return subject{ref: named}, nil
}

// builtFor builds the image of a source for a sink that reads it.
func (a *app) builtFor(ctx context.Context, is subject, to slipway.Sink) (result *slipway.Result, err error) {
	err = a.workThen(ctx, is.dir, is.names, to, nil, func(display *progress.Display, results []*slipway.Result) error {
		result = results[0]
		return errors.Join(slipway.Failures(results), display.Close())
	})
	return result, err
}
