package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/source"
)

// nameArgs separates names of images from the source's directory. A bare word is a directory unless slipway.yaml, in the directory that is
// named beside it or else in the current one, has an image of that name.
func nameArgs(args []string) (names []string, dir string, err error) {
	var dirs, words []string
	for _, arg := range args {
		if arg == "." || arg == ".." || strings.ContainsAny(arg, `/\`) {
			dirs = append(dirs, arg)
		} else {
			words = append(words, arg)
		}
	}
	if len(dirs) == 0 {
		p, err := readProject(".")
		if err != nil {
			return nil, "", err
		}
		isName := func(word string) bool {
			return p != nil && slices.ContainsFunc(p.Images, func(i config.Image) bool { return i.Name == word })
		}
		if len(words) == 1 && !isName(words[0]) {
			return nil, words[0], nil
		}
		if p == nil && len(words) > 1 {
			return nil, "", one("directory", words, "name one; several images are built by their names in "+config.File)
		}
		return words, ".", nil
	}
	if len(dirs) > 1 {
		return nil, "", one("directory", dirs, "name one")
	}
	return words, dirs[0], nil
}

// readProject reads the slipway.yaml of dir; nil if there is none.
func readProject(dir string) (_ *config.Project, err error) {
	tree, err := source.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	return config.Read(tree)
}

// given reports whether a setting of [config.Image], by its key, was given by a flag or a variable.
func (a *app) given(key string) bool {
	variable := config.Lookup(key).Variable
	for _, flag := range a.flagsOf[variable] {
		if flag.Changed {
			return true
		}
	}
	return a.variable(variable) != ""
}

// plans decides what to build in dir: the images of these names, all of them, or the only one that there is; and where they go.
func (a *app) plans(ctx context.Context, dir string, names []string, to slipway.Sink) ([]*slipway.Image, error) {
	if a.environment != nil {
		return nil, a.environment
	}
	images, err := a.newRequest(dir, names, to).Plan(ctx)
	return images, orDirectory(err)
}

// newRequest is what flags and variables ask for, of the source in dir.
func (a *app) newRequest(dir string, names []string, to slipway.Sink) *slipway.Request {
	return &slipway.Request{
		Dir: dir, To: to, Names: names, All: a.All, Settings: a.image,
		Given: a.given, Engine: a.capabilities(), CACerts: a.caCertFiles, Environ: a.environ, Output: a.Output, Report: a.Report,
	}
}

// orDirectory is err, in which a fault with the name of an image says how to name a directory instead.
func orDirectory(err error) error {
	faults := slices.Clone(fault.As(err))
	for i, f := range faults {
		if f.Field == "image" && f.Value != "" {
			faults[i].Hint += ", or name a directory like ./" + f.Value
			return faults
		}
	}
	return err
}
