// Command bench times Slipway against ko and against the Go command alone, and writes what it saw into RESULTS.md.
//
//	cd bench && go run .
//
// It builds both from source, starts a registry in its own process, and pushes a stand-in for the base image there, so it needs
// no network once the modules are downloaded. Every run of a case is a round: each tool runs once, in another order than the
// round before. Each run makes its own edit, so that no tool finds what another one compiled. See the README beside it.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == countCommand {
		count(os.Args[2], os.Args[3:])
		return
	}
	runs := flag.Int("n", 7, "counted rounds of each case, after one that is not counted")
	only := flag.String("run", "", "regular expression: only cases whose name, as http-server/edit, it matches")
	out := flag.String("out", "RESULTS.md", "file to write; what was there is replaced")
	flag.Parse()
	chosen, err := regexp.Compile(*only)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := bench(ctx, *runs, chosen, *out); err != nil {
		log.Fatal(err)
	}
}

func bench(ctx context.Context, runs int, chosen *regexp.Regexp, out string) (err error) {
	dir, err := os.MkdirTemp("", "slipway-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeAll(dir)) }()
	l := &lab{dir: dir}
	if err := l.goEnv(ctx); err != nil {
		return err
	}
	for name, args := range map[string][]string{
		"slipway": {"-C", "..", "./cmd/slipway"},
		"ko":      {"github.com/google/ko"},
	} {
		args = slices.Concat([]string{"build"}, args[:len(args)-1], []string{"-o", filepath.Join(dir, name)}, args[len(args)-1:])
		if output, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, output)
		}
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	l.registry = strings.TrimPrefix(server.URL, "http://")
	if err := l.pushBase(); err != nil {
		return fmt.Errorf("pushing the stand-in for the base: %w", err)
	}
	projects, err := l.projects(ctx)
	if err != nil {
		return err
	}
	var all []*result
	for _, p := range projects {
		for _, k := range p.kinds {
			if !chosen.MatchString(p.name + "/" + k.name) {
				continue
			}
			r, err := l.measure(ctx, p, k, runs)
			if err != nil {
				return err
			}
			all = append(all, r)
			// After every case, so that a run that is stopped has left what it saw.
			text, err := l.report(ctx, all, runs)
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, []byte(text), 0o644); err != nil {
				return err
			}
		}
	}
	if len(all) == 0 {
		return errors.New("no case has a name that -run matches")
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

// removeAll removes a folder in which the Go command has made files that cannot be written.
func removeAll(dir string) error {
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = os.Chmod(name, 0o755)
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(dir))
}

// lab is what all runs share.
type lab struct {
	dir      string
	registry string // as HOST:PORT
	environ  []string
	edits    int // so far; no two edits are the same
}

// goEnv makes the environment of all runs: the caller's, without what would make runs on two machines differ. Modules come
// from the caller's cache. Compiled packages go into one cache for all tools: what they share, they share in practice too.
func (l *lab) goEnv(ctx context.Context) error {
	modules, err := exec.CommandContext(ctx, "go", "env", "GOMODCACHE").Output()
	if err != nil {
		return err
	}
	home := filepath.Join(l.dir, "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	l.environ = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(home, "cache"), "TMPDIR=" + os.TempDir(),
		"GOMODCACHE=" + strings.TrimSpace(string(modules)), "GOCACHE=" + filepath.Join(l.dir, "gocache"), "GOTOOLCHAIN=local", "GOFLAGS=", "GOENV=off",
	}
	for _, name := range []string{"GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE"} {
		if value, ok := os.LookupEnv(name); ok {
			l.environ = append(l.environ, name+"="+value)
		}
	}
	return nil
}

// measure runs a case: one round that is not counted, so that every tool has its caches, and then the others.
func (l *lab) measure(ctx context.Context, p *project, k kind, rounds int) (*result, error) {
	r := &result{project: p, kind: k, peers: peers(p), runs: map[string][]run{}, processes: map[string]int{}}
	for round := range rounds + 1 {
		order := slices.Clone(r.peers)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, peer := range order {
			var cold string
			if k.cold {
				if round == 0 {
					continue // nothing is warmed up
				}
				cold = filepath.Join(l.dir, "cold")
			}
			got, err := l.once(ctx, p, k, peer, cold, "")
			if err != nil {
				return nil, err
			}
			log.Printf("%s/%s, round %d of %d, %s: %s", p.name, k.name, round, rounds, peer.name, got)
			if round > 0 {
				r.runs[peer.name] = append(r.runs[peer.name], got)
			}
		}
	}
	if k.cold {
		return r, nil // hundreds, and the same of all: those of the compiler
	}
	for _, peer := range r.peers {
		file := filepath.Join(l.dir, "count")
		if err := os.RemoveAll(file); err != nil {
			return nil, err
		}
		if _, err := l.once(ctx, p, k, peer, "", file); err != nil {
			return nil, err
		}
		n, err := readCount(file)
		if err != nil {
			return nil, err
		}
		r.processes[peer.name] = n
	}
	return r, nil
}

// once makes the case's edit and runs a tool. cold is a folder for a Go cache of its own; empty for the one that all share.
// Processes are counted into the file count; empty for no counting, which takes time.
func (l *lab) once(ctx context.Context, p *project, k kind, peer peer, cold, count string) (run, error) {
	if k.edit != "" {
		l.edits++
		if err := writeEdit(filepath.Join(p.dir, k.edit), l.edits); err != nil {
			return run{}, err
		}
	}
	environ := slices.Concat(l.environ, peer.environ(l, p))
	if cold != "" {
		environ = append(environ, "GOCACHE="+cold)
	}
	total := run{}
	for _, args := range peer.commands(l, p) {
		one := execute(ctx, p.dir, args, environ, count)
		total.add(one)
		if ctx.Err() != nil {
			return run{}, ctx.Err()
		}
	}
	if cold != "" {
		if err := removeAll(cold); err != nil {
			return run{}, err
		}
	}
	return total, nil
}

// middle is the median.
func middle[T cmp.Ordered](values []T) T {
	var none T
	if len(values) == 0 {
		return none
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
