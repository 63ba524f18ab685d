// Command bench times Slipway against ko, BuildKit and the Go command alone, and writes what it saw into RESULTS.md.
//
//	cd bench && go run .
//
// It builds Slipway and ko from source, starts a registry, and pushes a stand-in for the base image there, so it needs
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
	if len(os.Args) == 2 && os.Args[1] == serveCommand {
		serve()
		return
	}
	runs := flag.Int("n", 7, "counted rounds of each case, after one that is not counted")
	only := flag.String("run", "", "regular expression: only cases whose name, as http-server/edit, it matches")
	tools := flag.String("tools", "", "regular expression: besides Slipway only tools whose name, as go build, it matches")
	slow := flag.Bool("slow", false, "put a network of 100 MB a second and 20 ms between the tools and the registry")
	out := flag.String("out", "RESULTS.md", "file to write; what it says of other cases stays")
	flag.Parse()
	chosen, err := regexp.Compile(*only)
	if err != nil {
		log.Fatal(err)
	}
	against, err := regexp.Compile(*tools)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := bench(ctx, *runs, chosen, against, *slow, *out); err != nil {
		log.Fatal(err)
	}
}

func bench(ctx context.Context, runs int, chosen, against *regexp.Regexp, slow bool, out string) (err error) {
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
	stop, err := l.startRegistry(ctx)
	if err != nil {
		return fmt.Errorf("starting the registry: %w", err)
	}
	defer func() { err = errors.Join(err, stop()) }()
	if l.network, err = newNetwork(l.registry, slow); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.network.close()) }()
	l.registry = l.network.listener.Addr().String()
	if err := l.pushBase(); err != nil {
		return fmt.Errorf("pushing the stand-in for the base: %w", err)
	}
	projects, err := l.projects(ctx)
	if err != nil {
		return err
	}
	old, err := os.ReadFile(out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var names []string
	for _, p := range projects {
		for _, k := range p.kinds {
			names = append(names, p.name+"/"+k.name)
			if k.fresh {
				names = append(names, p.name+"/"+k.name+slowly)
			}
		}
	}
	var all []*result
	var text string
	save := func(more ...*result) (err error) {
		if text, err = l.report(ctx, names, append(all, more...), string(old)); err != nil {
			return err
		}
		return os.WriteFile(out, []byte(text), 0o644)
	}
	for _, p := range projects {
		var fresh []kind
		for _, k := range p.kinds {
			if k.fresh && slow {
				k.name += slowly
			}
			if !chosen.MatchString(p.name+"/"+k.name) || slow && !k.fresh {
				continue
			}
			if k.fresh {
				fresh = append(fresh, k)
				continue
			}
			if p.container {
				if err := l.render(ctx, p); err != nil {
					return err
				}
			}
			r, err := l.measure(ctx, p, k, against, runs, save)
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		if len(fresh) > 0 {
			results, err := l.measureFresh(ctx, p, fresh, against, runs, save)
			if err != nil {
				return err
			}
			all = append(all, results...)
		}
	}
	if len(all) == 0 {
		return errors.New("no case has a name that -run matches")
	}
	_, err = os.Stdout.WriteString(text)
	return err
}

// serveCommand is the hidden command that is the registry. It has everything in its memory, and the kernel takes the memory of a process
// that starts another one for the other's, so that it has to be another process.
const serveCommand = "serve-registry"

// serve says where the registry is, and ends with its standard input.
func serve() {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	fmt.Println(strings.TrimPrefix(server.URL, "http://"))
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func (l *lab) startRegistry(ctx context.Context) (stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, serveCommand)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() error { return errors.Join(in.Close(), cmd.Wait()) }
	if _, err := fmt.Fscanln(out, &l.registry); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

// removeAll removes a directory in which the Go command has made files that cannot be written.
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
	dir       string
	registry  string // as HOST:PORT
	network   *network
	environ   []string
	goVersion string // of all tools, as 1.26.8
	modules   string // the caller's module cache
	edits     int    // so far; no two edits are the same
}

// goEnv makes the environment of all runs: the caller's, without what would make runs on two machines differ. Modules come
// from the caller's cache, and Go is the one on the PATH, whichever a go.mod names. Compiled packages go into one cache for all
// tools: what they share, they share in practice too.
func (l *lab) goEnv(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "env", "GOMODCACHE", "GOVERSION")
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local")
	output, err := cmd.Output()
	if err != nil {
		return err
	}
	modules, version, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
	l.goVersion, l.modules = strings.TrimPrefix(version, "go"), modules
	home := filepath.Join(l.dir, "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	l.environ = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(home, "cache"), "TMPDIR=" + os.TempDir(),
		"GOMODCACHE=" + modules, "GOCACHE=" + filepath.Join(l.dir, "gocache"), "GOTOOLCHAIN=local", "GOFLAGS=", "GOENV=off",
	}
	for _, name := range []string{"GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE"} {
		if value, ok := os.LookupEnv(name); ok {
			l.environ = append(l.environ, name+"="+value)
		}
	}
	return nil
}

// cold is the directory of what a cold run has, which is removed after it.
func (l *lab) cold() string { return filepath.Join(l.dir, "cold") }

// measure runs a case: one round that is not counted, so that every tool has its caches, and then the others. After each of them it
// saves the result, so that a run that is stopped has left what it saw.
func (l *lab) measure(ctx context.Context, p *project, k kind, against *regexp.Regexp, rounds int, save func(...*result) error) (*result, error) {
	r := newResult(p, k, peers(p, k, against))
	for round := range rounds + 1 {
		for _, peer := range order(r.peers, round) {
			var cold string
			if k.cold {
				if round == 0 {
					continue // nothing is warmed up
				}
				cold = l.cold()
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
		if r.rounds = round; round == 0 {
			continue
		}
		if err := errors.Join(l.sizes(ctx, r), save(r)); err != nil {
			return nil, err
		}
	}
	if k.cold {
		return r, nil // hundreds, and the same of all: those of the compiler
	}
	for _, peer := range r.peers {
		if err := l.countProcesses(ctx, r, peer, ""); err != nil {
			return nil, err
		}
	}
	return r, save(r)
}

// sizes measures the images of a case.
func (l *lab) sizes(ctx context.Context, r *result) error {
	for _, peer := range r.peers {
		size, err := l.imageSize(ctx, peer, r.project)
		if err != nil {
			return fmt.Errorf("measuring the image of %s: %w", peer.name, err)
		}
		r.sizes[peer.name] = size
	}
	return nil
}

// countProcesses counts those of another run of a tool.
func (l *lab) countProcesses(ctx context.Context, r *result, peer peer, cold string) error {
	file := filepath.Join(l.dir, "count")
	if err := os.RemoveAll(file); err != nil {
		return err
	}
	if _, err := l.once(ctx, r.project, r.kind, peer, cold, file); err != nil {
		return err
	}
	n, err := readCount(file)
	r.processes[peer.name] = n
	return err
}

// once makes the case's edit and runs a tool. cold is a directory for the caches of this run, Slipway's too; empty for those that all share.
// Processes are counted into the file count; empty for no counting, which takes time.
func (l *lab) once(ctx context.Context, p *project, k kind, peer peer, cold, count string) (run, error) {
	if k.edit != "" {
		l.edits++
		if err := writeEdit(filepath.Join(p.dir, k.edit), l.edits, k.imports); err != nil {
			return run{}, err
		}
	}
	environ := slices.Concat(l.environ, peer.environ(l, p))
	if cold != "" {
		environ = append(environ, "GOCACHE="+filepath.Join(cold, "go"), "XDG_CACHE_HOME="+filepath.Join(cold, "cache"))
	}
	if k.fresh { // modules come from the caller's cache as from a proxy nearby
		environ = append(environ, "HOME="+cold, "GOMODCACHE="+filepath.Join(cold, "mod"), "GOPROXY="+l.proxy())
	}
	total := run{}
	before := l.network.moved.Load()
	var tarball int64
	if peer.name == koTarball {
		tarball = size(l.tarball(p))
	}
	for _, args := range peer.commands(l, p) {
		one := execute(ctx, p.dir, args, environ, count)
		total.add(one)
		if ctx.Err() != nil {
			return run{}, ctx.Err()
		}
	}
	total.moved = l.network.moved.Load() - before
	if k.fresh && peer.name == ko && total.fault == "" { // for the cases that follow, and not timed
		total.fault = execute(ctx, p.dir, l.saveTarball(p), environ, "").fault
	}
	if peer.name == koTarball { // which does not come from the registry
		for _, bytes := range []int64{tarball, size(l.tarball(p))} {
			total.moved += bytes
			total.wall += l.network.transfer(bytes)
		}
	}
	if cold != "" {
		if err := removeAll(cold); err != nil {
			return run{}, err
		}
	}
	return total, nil
}

// size is that of a file in bytes; 0 if there is none.
func size(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
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
