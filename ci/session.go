package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	sdk "dagger.io/dagger"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/ci/internal/dagger"
	engine "github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/plan"
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

// request returns the request with the settings of the constructor. It fetches only the files of the source that are read. The caller
// completes it, and calls done when the files are no longer read.
func (m *Slipway) request(ctx context.Context) (_ *slipway.Request, done func() error, err error) {
	r := &slipway.Request{Engine: engine.Capabilities(m.environ()), Directory: m.Directory}
	if err := json.Unmarshal([]byte(m.Settings), &r.Settings.Config); err != nil {
		return nil, nil, err
	}
	r.Settings.Cache = m.Cache
	if len(r.Settings.Platforms) == 0 {
		for _, base := range m.Bases {
			platform, err := base.Platform(ctx)
			if err != nil {
				return nil, nil, err
			}
			r.Settings.Platforms = append(r.Settings.Platforms, string(platform))
		}
	}
	if m.Chosen != "" {
		r.Names = []string{m.Chosen}
	}
	dir, err := temporary.NewDir()
	if err != nil {
		return nil, nil, err
	}
	r.Dir = filepath.Join(dir.Path, "source") // the directory itself has its own lock file
	if err := os.Mkdir(r.Dir, 0o755); err != nil {
		return nil, nil, errors.Join(err, dir.Remove())
	}
	r.Fetch = func(ctx context.Context, patterns []string) error {
		_, err := m.Source.Filter(dagger.DirectoryFilterOpts{Include: patterns}).Export(ctx, r.Dir)
		return err
	}
	return r, dir.Remove, nil
}

// image plans the chosen image.
func (m *Slipway) image(ctx context.Context) (_ *slipway.Image, err error) {
	return m.imageOn(ctx, engine.Capabilities)
}

// imageOn plans it for an engine with these capabilities.
func (m *Slipway) imageOn(ctx context.Context, capabilities func(environ map[string]string) plan.Capabilities) (_ *slipway.Image, err error) {
	r, done, err := m.request(ctx)
	if err != nil {
		return nil, err
	}
	r.Engine = capabilities(m.environ())
	defer func() { err = errors.Join(err, done()) }()
	images, err := r.Plan(ctx)
	if err != nil {
		return nil, err
	}
	return images[0], nil
}

// environ has the variables of the Go command that find private modules and are no secrets.
func (m *Slipway) environ() map[string]string {
	if m.Goprivate == "" {
		return nil
	}
	return map[string]string{"GOPRIVATE": m.Goprivate}
}

// netrc is the file of logins; nil for none. The token's login is its first, since the first of a host counts.
func (m *Slipway) netrc(ctx context.Context) (*dagger.Secret, error) {
	if m.GitToken == nil {
		return m.Netrc, nil
	}
	token, err := m.GitToken.Plaintext(ctx)
	if err != nil {
		return nil, err
	}
	if m.GitHost == "" || strings.ContainsAny(m.GitHost, "/@ \t\r\n") {
		return nil, fault.Faults{{Field: "git-host", Value: m.GitHost, Problem: "not the name of a server", Hint: "write it like git.example.com"}}
	}
	token = strings.TrimSpace(token)
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return nil, fault.Faults{{Field: "git-token", Problem: "holds no token", Hint: "it must be one word, and nothing else"}}
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

// connect returns a function that describes the build of a plan on this session's engine.
func (m *Slipway) connect(ctx context.Context) (func(*plan.Plan) *engine.Build, error) {
	client, err := sdk.Connect(ctx)
	if err != nil {
		return nil, err
	}
	from, err := public[*sdk.Directory](ctx, client, m.Source)
	if err != nil {
		return nil, err
	}
	private := engine.Private{Env: m.environ()}
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
	volumes := map[string]*sdk.CacheVolume{}
	for env, volume := range map[string]*dagger.CacheVolume{"GOMODCACHE": m.ModuleCache, "GOCACHE": m.BuildCache} {
		if volume == nil {
			continue
		}
		if volumes[env], err = public[*sdk.CacheVolume](ctx, client, volume); err != nil {
			return nil, err
		}
	}
	return func(p *plan.Plan) *engine.Build {
		return engine.New(client, from, p, private).WithDirectory(directory).WithVolumes(volumes)
	}, nil
}
