// Package goenv says what of a user's environment a build may see: what finds modules, what authenticates, what the network
// needs. Nothing else may change a result.
package goenv

import (
	"cmp"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/source"
)

// finding are the variables that say to the Go command where modules come from, on any machine.
var finding = []string{"GOPROXY", "GOPRIVATE", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOVCS"}

// network are those by which programs reach servers.
var network = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR",
}

// local are those that mean something on this machine alone: logins, the network, and where caches are.
var local = append([]string{
	"GOAUTH", "NETRC",
	"GOMODCACHE", "GOCACHE", "GOPATH", "SSH_AUTH_SOCK",
	"GIT_*", // the Go command fetches private modules with git
}, network...)

// stored are the settings that count when a user keeps them with go env -w; a plan turns the rest off.
var stored = append([]string{"GOAUTH", "GOMODCACHE", "GOCACHE", "GOPATH"}, finding...)

// Caller is the part of environ that reaches the Go command on this machine, with what go env -w stored where environ does
// not say.
func Caller(environ []string) map[string]string {
	env := map[string]string{}
	for _, kv := range Child(environ, slices.Concat(finding, local)...) {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	for name, value := range written(environ) {
		if _, set := env[name]; !set && slices.Contains(stored, name) {
			env[name] = value
		}
	}
	return env
}

// Tool is the part of environ that reaches a program of the source's choice: what finds programs, the user's directories and the
// network.
func Tool(environ []string) []string { return Child(environ, network...) }

// written are the settings that go env -w stored.
func written(environ []string) map[string]string {
	var goenv string
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if name == "GOENV" {
			goenv = value
		}
	}
	if goenv == "" {
		if dir, err := os.UserConfigDir(); err == nil {
			goenv = filepath.Join(dir, "go", "env")
		}
	}
	// A missing file, and "off", hold nothing.
	file, _ := os.ReadFile(goenv)
	settings := map[string]string{}
	for line := range strings.Lines(string(file)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			settings[name] = value
		}
	}
	return settings
}

// building are the variables that change what go build makes; a plan has settings in their place. GOTOOLCHAIN is not among them: images
// with Go set it, and a build says which Go it takes. Source: go help environment
var building = []string{
	"CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_ENABLED", "CGO_FFLAGS", "CGO_LDFLAGS", "GO111MODULE", "GO386", "GOAMD64", "GOARCH",
	"GOARM", "GOARM64", "GODEBUG", "GOEXPERIMENT", "GOFIPS140", "GOFLAGS", "GOMIPS", "GOMIPS64", "GOOS", "GOPPC64", "GORISCV64", "GOWASM",
	"GOWORK",
}

// Ignored are the names of variables that the caller, or go env -w, has set, that would change what go build makes, and that do not
// reach it: those that have another value in env, which it gets.
func Ignored(environ []string, env map[string]string) []string {
	set := written(environ)
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		set[name] = value
	}
	return slices.DeleteFunc(slices.Clone(building), func(name string) bool { return set[name] == "" || set[name] == env[name] })
}

// Modules is the part of [Caller] that finds modules, and means the same on another machine.
func Modules(environ []string) map[string]string {
	env := Caller(environ)
	maps.DeleteFunc(env, func(name, _ string) bool { return !slices.Contains(finding, name) })
	return env
}

// Netrc is the content of the caller's file of logins, empty if there is none.
func Netrc(environ []string) (string, error) {
	env := Caller(environ)
	name := env["NETRC"]
	if name == "" && env["HOME"] != "" {
		name = filepath.Join(env["HOME"], ".netrc")
	}
	content, err := source.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(content), err
}

// ModuleCache is the directory of the caller's module cache, as the Go command finds it; empty where there is none to find.
// Source: https://go.dev/ref/mod#module-cache
func ModuleCache(environ []string) string {
	env := Caller(environ)
	if env["GOMODCACHE"] != "" {
		return env["GOMODCACHE"]
	}
	if paths := filepath.SplitList(env["GOPATH"]); len(paths) > 0 && paths[0] != "" {
		return filepath.Join(paths[0], "pkg", "mod")
	}
	home := env["HOME"]
	if runtime.GOOS == "windows" {
		home = env["USERPROFILE"]
	}
	if home == "" {
		return ""
	}
	return filepath.Join(home, "go", "pkg", "mod")
}

// BuildCache is the directory of the caller's cache of compiled packages, as the Go command finds it; empty where there is none to find.
// Source: go help cache, os.UserCacheDir
func BuildCache(environ []string) string {
	env := Caller(environ)
	if env["GOCACHE"] != "" {
		return env["GOCACHE"]
	}
	home := func(name string, below ...string) string {
		if env[name] == "" {
			return ""
		}
		return filepath.Join(append([]string{env[name]}, append(below, "go-build")...)...)
	}
	switch runtime.GOOS {
	case "windows":
		return home("LOCALAPPDATA")
	case "darwin":
		return home("HOME", "Library", "Caches")
	default:
		return cmp.Or(home("XDG_CACHE_HOME"), home("HOME", ".cache"))
	}
}
