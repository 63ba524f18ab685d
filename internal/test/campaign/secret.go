//go:build unix

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// secrets gives a publication logins, tokens and passwords, and searches for them in everything that it prints, writes, uploads and starts.
// Half of the runs are interrupted. Programs that it starts may have no secret in their arguments or environment.
func secrets(t *trial) verdict {
	secret := func(name string) string { return fmt.Sprintf("%s-%016x", name, t.Uint64()) }
	token, netrc, password, key := secret("token"), secret("netrc"), secret("registry"), secret("key")
	login := base64.StdEncoding.EncodeToString([]byte("me:" + password))
	texts := []string{token, netrc, password, key, login}

	var mu sync.Mutex
	var uploaded bytes.Buffer
	s := serve(func(w http.ResponseWriter, r *http.Request, sound http.Handler) {
		body, err := io.ReadAll(r.Body)
		mu.Lock()
		fmt.Fprintln(&uploaded, r.Method, r.URL, err)
		uploaded.Write(body)
		mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		sound.ServeHTTP(w, r)
	})
	defer s.close()
	host := strings.TrimPrefix(s.URL, "http://")
	config, err1 := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": login}}})
	home := filepath.Join(t.room, "home")
	err2 := os.WriteFile(filepath.Join(home, "config.json"), config, 0o600)
	err3 := os.WriteFile(filepath.Join(home, "netrc"), []byte("machine git.example.org login me password "+netrc+"\n"), 0o600)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return isWrong("%v", err)
		}
	}
	t.env = []string{"TOKEN=" + token, "COSIGN_PASSWORD=" + key}
	args := append(t.publish(t.stamp, s), "--git-token", "git.example.com=env:TOKEN", "--netrc", filepath.Join(home, "netrc"))
	if t.IntN(3) == 0 { // a run that fails
		args = append(args, "--ldflags=-nosuchflag")
	}
	moment := t.moment()
	interrupted := t.IntN(2) == 0

	r := start(t.command(args...))
	for began, open := time.Now(), true; open; {
		select {
		case err := <-r.ended:
			r.ended <- err
			open = false
		case <-time.After(5 * time.Millisecond):
			if found := exposed(r.Process.Pid, texts); found != "" {
				_ = r.Process.Signal(syscall.SIGKILL)
				t.finish(r, timeLimit)
				return isWrong("a program that it started has a secret: %s", found)
			}
			if time.Since(began) > moment && interrupted {
				interrupted = false
				_ = r.Process.Signal(syscall.SIGTERM)
			}
			if time.Since(began) > timeLimit {
				open = false
			}
		}
	}
	got := t.finish(r, time.Second)
	mu.Lock()
	places := map[string]string{"what was printed": got.stdout + got.stderr, "what was uploaded": uploaded.String()}
	mu.Unlock()
	for place, content := range places {
		for _, text := range texts {
			if strings.Contains(content, text) {
				return isWrong("%s is in %s", text, place)
			}
		}
	}
	for _, dir := range []string{t.cache, t.out, t.tmp} {
		if found := t.search(dir, texts); found != "" {
			return isWrong("a secret is in %s", found)
		}
	}
	t.env = nil
	if r.ProcessState.ExitCode() == -1 { // ended by the signal, which came before it was listened for
		return t.afterwards(verdict{refused, got.last()})
	}
	v := t.judge(got, t.stamp)
	return t.afterwards(v)
}

// exposed names a descendant of a process that has one of the texts in its arguments or environment.
func exposed(of int, texts []string) string {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	itself, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", of))
	parents := map[int]int{}
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		stat, _ := os.ReadFile(filepath.Join(dir, "stat")) // none of a process that has ended
		if _, rest, ok := strings.Cut(string(stat), ") "); ok {
			if fields := strings.Fields(rest); len(fields) > 1 {
				parents[pid], _ = strconv.Atoi(fields[1])
			}
		}
	}
	for pid := range parents {
		above := parents[pid]
		for above > 1 && above != of {
			above = parents[above]
		}
		if above != of {
			continue
		}
		// Between its start and its program a process is still the command itself.
		command, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if command == itself {
			continue
		}
		for _, file := range []string{"cmdline", "environ"} {
			content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
			for _, text := range texts {
				if bytes.Contains(content, []byte(text)) {
					return fmt.Sprintf("%s of %s", file, command)
				}
			}
		}
	}
	return ""
}

// search names a file below dir that has one of the texts in it.
func (t *trial) search(dir string, texts []string) (found string) {
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(name)
		for _, text := range texts {
			if bytes.Contains(content, []byte(text)) {
				found = name
			}
		}
		return err
	})
	if err != nil {
		return err.Error()
	}
	return found
}
