//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// lab is what all trials have in common.
type lab struct {
	ctx     context.Context
	dir     string
	slipway string
	source  string
	goEnv   []string

	mu    sync.Mutex
	wants map[string]*want // by the stamp
}

// want is the digest that an image has to have, and how long its build takes.
type want struct {
	once   sync.Once
	digest string
	took   time.Duration
	err    error
}

// program is one that takes the command a moment to compile, and has a variable to stamp.
const program = `package main

import "fmt"

var stamp = "none"

func main() { fmt.Println(stamp) }
`

func newLab(ctx context.Context) (*lab, error) {
	dir, err := os.MkdirTemp("", "campaign-")
	if err != nil {
		return nil, err
	}
	l := &lab{ctx: ctx, dir: dir, slipway: filepath.Join(dir, "slipway"), source: filepath.Join(dir, "source"), wants: map[string]*want{}}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", l.slipway, "github.com/slipway-ci/slipway/cmd/slipway").CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("building the command: %w: %s", err, out), l.close())
	}
	version, err1 := exec.CommandContext(ctx, "go", "env", "GOVERSION").Output()
	names := []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB"}
	values, err2 := exec.CommandContext(ctx, "go", append([]string{"env"}, names...)...).Output()
	if err := errors.Join(err1, err2); err != nil {
		return nil, errors.Join(err, l.close())
	}
	for i, value := range strings.Split(strings.TrimSuffix(string(values), "\n"), "\n") {
		l.goEnv = append(l.goEnv, names[i]+"="+value)
	}
	module := "module example.com/campaign\n\ngo " + strings.TrimPrefix(strings.TrimSpace(string(version)), "go") + "\n"
	return l, errors.Join(os.Mkdir(l.source, 0o755),
		os.WriteFile(filepath.Join(l.source, "go.mod"), []byte(module), 0o644),
		os.WriteFile(filepath.Join(l.source, "main.go"), []byte(program), 0o644))
}

func (l *lab) close() error { return os.RemoveAll(l.dir) }

// trial is a run of a kind, with directories that nobody else has.
type trial struct {
	*lab
	*rand.Rand
	room            string
	cache, out, tmp string
	stamp           string
	env             []string // what is added to the environment
}

func (l *lab) trial(k kind, number int, random *rand.Rand) verdict {
	room := filepath.Join(l.dir, fmt.Sprint(k.name, "-", number))
	t := &trial{
		lab: l, Rand: random, room: room,
		cache: filepath.Join(room, "cache"), out: filepath.Join(room, "out"), tmp: filepath.Join(room, "tmp"),
		stamp: fmt.Sprint("stamp", random.IntN(4)),
	}
	for _, dir := range []string{t.cache, t.out, t.tmp, filepath.Join(room, "home")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return isWrong("%v", err)
		}
	}
	v := k.run(t)
	if err := os.RemoveAll(room); err != nil && v.outcome != wrong {
		return isWrong("removing what the trial made: %v", err)
	}
	return v
}

// timeLimit is how long a run of the command may take that ends at all.
const timeLimit = 4 * time.Minute

// result is what a run of the command gave.
type result struct {
	digest         string
	stdout, stderr string
	err            error
	maxMemory      int64 // in bytes
}

// command is a run of the command in the trial's directories.
func (t *trial) command(args ...string) *exec.Cmd {
	cmd := exec.Command(t.slipway, args...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(t.room, "home"), "XDG_CACHE_HOME=" + t.cache, "TMPDIR=" + t.tmp,
		"DOCKER_CONFIG=" + filepath.Join(t.room, "home"), "SLIPWAY_PROGRESS=plain", "SLIPWAY_RUNTIME=scratch", "SLIPWAY_PLATFORMS=linux/amd64",
	}, append(t.goEnv, t.env...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that the campaign's Ctrl-C is not its own
	return cmd
}

// build are the arguments of a build of a stamp.
func (t *trial) build(stamp, output string, more ...string) []string {
	return append(append([]string{"build", "--json", "--stamp", "main.stamp=" + stamp, "--output", output}, more...), t.source)
}

func (t *trial) run(args ...string) result { return t.finish(start(t.command(args...)), timeLimit) }

// running is a run of the command that goes on.
type running struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
	ended          chan error
}

func start(cmd *exec.Cmd) *running {
	r := &running{Cmd: cmd, ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &r.stdout, &r.stderr, 5*time.Second
	if err := cmd.Start(); err != nil {
		r.ended <- err
		return r
	}
	go func() { r.ended <- cmd.Wait() }()
	return r
}

var errEndless = errors.New("it does not end")

func (t *trial) finish(r *running, limit time.Duration) result {
	var err error
	select {
	case err = <-r.ended:
	case <-t.ctx.Done():
		_ = r.Process.Signal(syscall.SIGKILL)
		err = <-r.ended
	case <-time.After(limit):
		_ = r.Process.Signal(syscall.SIGKILL)
		<-r.ended
		err = errEndless
	}
	got := result{stdout: r.stdout.String(), stderr: r.stderr.String(), err: err}
	var printed struct{ Digest string }
	if json.Unmarshal(r.stdout.Bytes(), &printed) == nil {
		got.digest = printed.Digest
	}
	if r.ProcessState != nil {
		if usage, ok := r.ProcessState.SysUsage().(*syscall.Rusage); ok {
			got.maxMemory = usage.Maxrss << 10
		}
	}
	return got
}

// last is the last line of what was printed, which says what went wrong.
func (r result) last() string {
	lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
	return fmt.Sprintf("%v: %s", r.err, lines[len(lines)-1])
}

// crashed reports whether the command ended in another way than by an error.
func (r result) crashed() bool {
	exit := (*exec.ExitError)(nil)
	return r.err != nil && (!errors.As(r.err, &exit) || exit.ExitCode() != 1 && exit.ExitCode() != 2) || strings.Contains(r.stderr, "goroutine ")
}

// moment is a random one in a run, or shortly after it.
func (t *trial) moment() time.Duration {
	share := t.Float64() * 1.3
	w := t.undisturbed(t.stamp)
	return time.Duration(share * float64(w.took))
}

// want is the digest of the image with a stamp.
func (t *trial) want(stamp string) (string, error) {
	w := t.undisturbed(stamp)
	return w.digest, w.err
}

// undisturbed is what a run gives to which nothing happens.
func (t *trial) undisturbed(stamp string) *want {
	t.mu.Lock()
	w := t.wants[stamp]
	if w == nil {
		w = &want{}
		t.wants[stamp] = w
	}
	t.mu.Unlock()
	w.once.Do(func() {
		dir := filepath.Join(t.dir, "want-"+stamp)
		alone := &trial{lab: t.lab, room: dir, cache: filepath.Join(dir, "cache"), tmp: filepath.Join(dir, "tmp")}
		if w.err = os.MkdirAll(alone.tmp, 0o755); w.err != nil {
			return
		}
		began := time.Now()
		got := alone.run(alone.build(stamp, filepath.Join(dir, "x.tar"))...)
		w.digest, w.took = got.digest, time.Since(began)
		if got.err != nil {
			w.err = fmt.Errorf("a build to which nothing happened: %s", got.last())
		}
	})
	return w
}

// judge says what a run is that gave an image of the stamp, or an error that is right.
func (t *trial) judge(got result, stamp string) verdict {
	want, err := t.want(stamp)
	switch {
	case err != nil:
		return isWrong("%v", err)
	case got.err == errEndless || got.crashed():
		return isWrong("%s", got.last())
	case got.err != nil:
		return verdict{refused, got.last()}
	case got.digest != want:
		return isWrong("the digest is %s and not %s", got.digest, want)
	}
	return verdict{right, ""}
}

// afterwards builds once more, with nothing in the way: that has to be right, and nothing else may be left.
func (t *trial) afterwards(before verdict) verdict {
	if before.outcome == wrong {
		return before
	}
	output := filepath.Join(t.out, "x.tar")
	if v := t.judge(t.run(t.build(t.stamp, output)...), t.stamp); v.outcome != right {
		return isWrong("a run with nothing in the way: %s: %s", v.outcome, v.why)
	}
	for dir, allowed := range map[string]string{t.tmp: "", t.out: "x.tar"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return isWrong("%v", err)
		}
		for _, e := range entries {
			if e.Name() != allowed {
				return isWrong("left behind: %s", filepath.Join(dir, e.Name()))
			}
		}
	}
	return before
}
