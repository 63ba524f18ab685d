package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	sdk "dagger.io/dagger"

	"github.com/slipway-ci/slipway/ci/internal/dagger"
	engine "github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/source"
)

// Here two ends of the Dagger SDK meet: a module's functions have types that are generated for it, and internal/build/dagger has
// those of the public SDK. Both talk to the same session, where an object is its ID.

// public is the public SDK's end of an object.
func public[T sdk.Loadable[T]](ctx context.Context, client *sdk.Client, object interface {
	ID(context.Context) (dagger.ID, error)
},
) (T, error) {
	id, err := object.ID(ctx)
	return sdk.Ref[T](client, sdk.ID(id)), err
}

// own is the module's end of an object.
func own[T dagger.Loadable[T]](ctx context.Context, object interface {
	ID(context.Context) (sdk.ID, error)
},
) (T, error) {
	id, err := object.ID(ctx)
	return dagger.Ref[T](dag, dagger.ID(id)), err
}

// image is an image that is to be built, with the settings of slipway.yaml and of the constructor.
type image struct {
	config.Image
	plan *plan.Plan
}

// resolver decides what building images means.
type resolver func(ctx context.Context, source fs.FS, configs []plan.Config) ([]*plan.Plan, []error)

// images decides what building those images means that choose finds in slipway.yaml; the file is nil where there is none.
// It reads Go files and go.mod and their like, and what the settings name.
func (m *Slipway) images(ctx context.Context, choose func(*config.Project) ([]config.Image, error), resolve resolver) (all []image, err error) {
	var over config.Image
	if err := json.Unmarshal([]byte(m.Settings), &over.Config); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "source-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	include := append(slices.Clone(plan.Reads), config.File)
	read := func(files []string) error {
		_, err := m.Source.Filter(dagger.DirectoryFilterOpts{Include: files}).Export(ctx, dir)
		return err
	}
	if err := read(append(include, over.FilePatterns()...)); err != nil {
		return nil, err
	}
	tree, err := source.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	file, err := config.Read(tree)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(file)
	if err != nil {
		return nil, err
	}
	given := func(key string) bool { return !config.Lookup(key).In(&over).IsZero() }
	var configs []plan.Config
	var more []string
	for _, one := range chosen {
		one = one.Over(over, given)
		one.VulnDB = over.VulnDB // no image has one of its own
		all = append(all, image{Image: one})
		configs = append(configs, one.Config)
		more = append(more, one.FilePatterns()...)
	}
	if len(more) > len(over.FilePatterns()) {
		if err := read(more); err != nil {
			return nil, err
		}
	}
	plans, errs := resolve(ctx, tree, configs)
	for i := range all {
		all[i].plan = plans[i]
		errs[i] = all[i].Located(errs[i])
	}
	return all, errors.Join(errs...)
}

// choose finds the image that this is about.
func (m *Slipway) choose(file *config.Project) ([]config.Image, error) {
	var over plan.Config
	if err := json.Unmarshal([]byte(m.Settings), &over); err != nil {
		return nil, err
	}
	fault := func(problem, hint string) ([]config.Image, error) {
		return nil, plan.Faults{{Field: "image", Value: m.Chosen, Problem: problem, Hint: hint}}
	}
	switch {
	case file == nil && m.Chosen != "":
		return fault("there is no "+config.File+" in the source", "list the images there")
	case file == nil:
		return []config.Image{{}}, nil
	case m.Chosen == "" && len(over.Packages) > 0:
		return []config.Image{file.Defaults}, nil
	case m.Chosen == "" && len(file.Images) > 1:
		return fault("several in "+config.File+": "+strings.Join(file.Names(), ", "), "choose one, as in: image --name "+file.Images[0].Name+" build")
	}
	for _, one := range file.Images {
		if m.Chosen == "" || one.Name == m.Chosen {
			return []config.Image{one}, nil
		}
	}
	return fault("not in "+config.File, "choose from "+strings.Join(file.Names(), ", "))
}

// image is the image that this is about.
func (m *Slipway) image(ctx context.Context) (image, error) {
	all, err := m.images(ctx, m.choose, plan.ResolveAll)
	if err != nil {
		return image{}, err
	}
	return all[0], nil
}

// netrc is the file of logins, with the token's first, for the first of a host counts. Nil for none.
func (m *Slipway) netrc(ctx context.Context) (*dagger.Secret, error) {
	if m.GitToken == nil {
		return m.Netrc, nil
	}
	token, err := m.GitToken.Plaintext(ctx)
	if err != nil {
		return nil, err
	}
	if m.GitHost == "" || strings.ContainsAny(m.GitHost, "/@ \t\r\n") {
		return nil, plan.Faults{{Field: "git-host", Value: m.GitHost, Problem: "not the name of a server", Hint: "write it like git.example.com"}}
	}
	token = strings.TrimSpace(token)
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return nil, plan.Faults{{Field: "git-token", Problem: "holds no token", Hint: "it must be one word, and nothing else"}}
	}
	text := goenv.Login{Host: m.GitHost, User: goenv.TokenUser, Password: token}.Netrc()
	if m.Netrc != nil {
		rest, err := m.Netrc.Plaintext(ctx)
		if err != nil {
			return nil, err
		}
		text += rest
	}
	return dag.SetSecret("slipway-netrc", text), nil
}

// connect returns what describes builds of plans on this session's engine.
func (m *Slipway) connect(ctx context.Context) (func(*plan.Plan) *engine.Build, error) {
	client, err := sdk.Connect(ctx)
	if err != nil {
		return nil, err
	}
	from, err := public[*sdk.Directory](ctx, client, m.Source)
	if err != nil {
		return nil, err
	}
	private := engine.Private{}
	if m.Goprivate != "" {
		private.Env = map[string]string{"GOPRIVATE": m.Goprivate}
	}
	if m.Goproxy != nil {
		if private.Proxy, err = public[*sdk.Secret](ctx, client, m.Goproxy); err != nil {
			return nil, err
		}
	}
	netrc, err := m.netrc(ctx)
	if err != nil {
		return nil, err
	}
	if netrc != nil {
		if private.Netrc, err = public[*sdk.Secret](ctx, client, netrc); err != nil {
			return nil, err
		}
	}
	if m.SSH != nil {
		if private.SSH, err = public[*sdk.Socket](ctx, client, m.SSH); err != nil {
			return nil, err
		}
	}
	var directory func(string) *sdk.Directory
	if m.VulnDB != nil {
		db, err := public[*sdk.Directory](ctx, client, m.VulnDB)
		if err != nil {
			return nil, err
		}
		directory = func(string) *sdk.Directory { return db }
	}
	return func(p *plan.Plan) *engine.Build {
		return engine.New(client, from, p, private).WithDirectory(directory)
	}, nil
}
