package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"

	sdk "dagger.io/dagger"

	"github.com/slipway-ci/slipway/ci/internal/dagger"
	engine "github.com/slipway-ci/slipway/engine/dagger"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/pipeline"
)

// Here two ends of the Dagger SDK meet: a module's functions have types that are generated for it, and engine/dagger has
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

// config are the settings.
func (m *Slipway) config() (config pipeline.Config, err error) {
	err = json.Unmarshal([]byte(m.Settings), &config)
	return config, err
}

// plan decides what building means. It reads Go files and go.mod and their like, and what the settings name.
func (m *Slipway) plan(ctx context.Context) (plan *pipeline.Plan, err error) {
	config, err := m.config()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "source-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	include := slices.Clone(pipeline.Reads)
	for _, file := range config.Files {
		name, _, _ := strings.Cut(file, ":")
		include = append(include, name)
	}
	if _, err := m.Source.Filter(dagger.DirectoryFilterOpts{Include: include}).Export(ctx, dir); err != nil {
		return nil, err
	}
	return pipeline.Resolve(ctx, os.DirFS(dir), config)
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
		return nil, pipeline.Faults{{Field: "git-host", Value: m.GitHost, Problem: "not the name of a server", Remedy: "write it like git.example.com"}}
	}
	token = strings.TrimSpace(token)
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return nil, pipeline.Faults{{Field: "git-token", Problem: "holds no token", Remedy: "it must be one word, and nothing else"}}
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

// open is the build of the plan, on this session's engine.
func (m *Slipway) open(ctx context.Context) (*engine.Build, *pipeline.Plan, error) {
	plan, err := m.plan(ctx)
	if err != nil {
		return nil, nil, err
	}
	client, err := sdk.Connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	source, err := public[*sdk.Directory](ctx, client, m.Source)
	if err != nil {
		return nil, nil, err
	}
	private := engine.Private{}
	if m.Goprivate != "" {
		private.Env = map[string]string{"GOPRIVATE": m.Goprivate}
	}
	if m.Goproxy != nil {
		if private.Proxy, err = public[*sdk.Secret](ctx, client, m.Goproxy); err != nil {
			return nil, nil, err
		}
	}
	netrc, err := m.netrc(ctx)
	if err != nil {
		return nil, nil, err
	}
	if netrc != nil {
		if private.Netrc, err = public[*sdk.Secret](ctx, client, netrc); err != nil {
			return nil, nil, err
		}
	}
	if m.SSH != nil {
		if private.SSH, err = public[*sdk.Socket](ctx, client, m.SSH); err != nil {
			return nil, nil, err
		}
	}
	build := engine.New(client, source, plan, private)
	if m.VulnDB != nil {
		folder, err := public[*sdk.Directory](ctx, client, m.VulnDB)
		if err != nil {
			return nil, nil, err
		}
		build = build.WithFolder(func(string) *sdk.Directory { return folder })
	}
	return build, plan, nil
}
