package host

import (
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// passed are the caller's variables that reach the Go command: what finds modules, what authenticates, what the network
// needs, and where tools and caches are. All others are left out, so that nobody's shell changes a build.
var passed = []string{
	"GOPROXY", "GOPRIVATE", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOVCS", "GOAUTH", "NETRC",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR",
	"GOMODCACHE", "GOCACHE", "GOPATH",
	"PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR",
	// Windows finds its system libraries and the user's folders by these.
	"SystemRoot", "SystemDrive", "USERPROFILE", "LOCALAPPDATA", "APPDATA", "PATHEXT", "ComSpec",
}

// passedPrefix are git's variables: the Go command fetches private modules with it.
const passedPrefix = "GIT_"

// goEnvFile are the settings that users keep with go env -w. Only what finds modules is taken from there; the plan turns
// the rest off.
var goEnvFile = passed[:slices.Index(passed, "NETRC")]

// callerEnv is the part of environ that reaches the Go command, with what go env -w stored where environ does not say.
func callerEnv(environ []string) map[string]string {
	env := map[string]string{}
	var goenv string
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if slices.Contains(passed, name) || strings.HasPrefix(name, passedPrefix) || runtime.GOOS == "windows" && containsFold(passed, name) {
			env[name] = value
		}
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
	stored, _ := os.ReadFile(goenv)
	for line := range strings.Lines(string(stored)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if _, set := env[name]; ok && !set && (slices.Contains(goEnvFile, name) || name == "GOMODCACHE" || name == "GOCACHE" || name == "GOPATH") {
			env[name] = value
		}
	}
	return env
}

func containsFold(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// join writes variables as a command's environment; later maps win. An empty value is set, too: it hides a default.
func join(envs ...map[string]string) []string {
	all := map[string]string{}
	for _, env := range envs {
		maps.Copy(all, env)
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, name+"="+all[name])
	}
	return list
}
