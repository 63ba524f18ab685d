package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
)

// slowly is in the names of cases of new machines on a slow network.
const slowly = ", slow network"

// measureFresh runs the cases of new machines of a project. Tools that have nothing from before take the same time in each of them, so they
// run once in a round, with the source that the last case left, and are in all results. Two of them leave what the cases take: Slipway's
// cache in the registry, and the tarball.
func (l *lab) measureFresh(ctx context.Context, p *project, kinds []kind, against *regexp.Regexp, rounds int, save func(...*result) error) ([]*result, error) {
	if err := l.download(ctx, p, kinds); err != nil {
		return nil, err
	}
	all := peers(p, kinds[0], against)
	var warm, cold []peer
	for _, peer := range all {
		if peer.name == slipway || peer.name == koTarball {
			warm = append(warm, peer)
		} else {
			cold = append(cold, peer)
		}
	}
	var results []*result
	for _, k := range kinds {
		results = append(results, newResult(p, k, all))
	}
	one := func(k kind, peer peer, round int, results ...*result) error {
		got, err := l.once(ctx, p, k, peer, l.cold(), "")
		if err != nil {
			return err
		}
		log.Printf("%s/%s, round %d of %d, %s: %s", p.name, k.name, round, rounds, peer.name, got)
		for _, r := range results {
			r.runs[peer.name] = append(r.runs[peer.name], got)
		}
		return nil
	}
	unchanged := kinds[0]
	unchanged.edit = ""
	for round := 1; round <= rounds; round++ {
		for _, peer := range order(cold, round) {
			if err := one(unchanged, peer, round, results...); err != nil {
				return nil, err
			}
		}
		for i, k := range kinds {
			undo, err := l.depend(ctx, p, k)
			if err != nil {
				return nil, err
			}
			for _, peer := range order(warm, round) {
				if err := one(k, peer, round, results[i]); err != nil {
					return nil, err
				}
			}
			if err := errors.Join(l.sizes(ctx, results[i]), undo()); err != nil {
				return nil, err
			}
			if results[i].rounds = round; round == rounds && k.edit == "" { // which starts next to nothing
				if err := l.countProcesses(ctx, results[i], warm[0], l.cold()); err != nil {
					return nil, err
				}
			}
		}
		if err := save(results...); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// download fills the caller's module cache with what the runs take from it.
func (l *lab) download(ctx context.Context, p *project, kinds []kind) error {
	downloads := [][]string{{"mod", "download"}}
	for _, k := range kinds {
		if k.dependency != "" {
			downloads = append(downloads, []string{"mod", "download", k.dependency})
		}
	}
	for _, args := range downloads {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = p.dir, l.environ
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("downloading the modules of %s: %w\n%s", p.name, err, output)
		}
	}
	return nil
}

// order is that of a round: every second one is the other way round.
func order(peers []peer, round int) []peer {
	peers = slices.Clone(peers)
	if round%2 == 1 {
		slices.Reverse(peers)
	}
	return peers
}

// depend has a project require the module that a case begins to use. What it returns puts back what was there before.
func (l *lab) depend(ctx context.Context, p *project, k kind) (undo func() error, err error) {
	if k.dependency == "" {
		return func() error { return nil }, nil
	}
	before := map[string][]byte{}
	for _, name := range []string{"go.mod", "go.sum", k.edit} {
		name = filepath.Join(p.dir, name)
		if before[name], err = os.ReadFile(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	if err := writeEdit(filepath.Join(p.dir, k.edit), l.edits, k.imports); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "get", k.dependency)
	cmd.Dir, cmd.Env = p.dir, append(l.environ, "GOPROXY="+l.proxy(), "GONOSUMDB=*")
	if output, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("adding a dependency: %w\n%s", err, output)
	}
	return func() error {
		var errs []error
		for name, content := range before {
			if content == nil {
				errs = append(errs, os.Remove(name))
			} else {
				errs = append(errs, os.WriteFile(name, content, 0o644))
			}
		}
		return errors.Join(errs...)
	}, nil
}

// proxy is the caller's module cache, as one nearby.
func (l *lab) proxy() string { return "file://" + filepath.ToSlash(l.modules) + "/cache/download" }
