package goenv

import (
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// user are the variables by which any program finds others, its user's directories and a place for temporary files.
var user = []string{
	"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TMP", "TEMP", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR",
	// Windows finds its system libraries and the user's directories by these.
	"SystemRoot", "SystemDrive", "USERPROFILE", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "APPDATA", "ProgramData", "PATHEXT", "ComSpec",
}

// Child is the environment of a child process that needs no more of environ than what finds programs and the user's directories, and
// the variables that names lists: a name that ends in an asterisk stands for every name that begins like it. Secrets stay behind. PATH is
// without relative directories, which would make a program of the source one of the user's.
func Child(environ []string, names ...string) []string {
	var env []string
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !named(user, name) && !named(names, name) {
			continue
		}
		if named([]string{"PATH"}, name) {
			value = AbsolutePath(value)
		}
		env = append(env, name+"="+value)
	}
	return env
}

// named reports whether the list has the name of a variable, which Windows knows in any case.
func named(list []string, name string) bool {
	if runtime.GOOS == "windows" {
		name = strings.ToUpper(name)
	}
	return slices.ContainsFunc(list, func(known string) bool {
		if runtime.GOOS == "windows" {
			known = strings.ToUpper(known)
		}
		prefix, all := strings.CutSuffix(known, "*")
		return known == name || all && strings.HasPrefix(name, prefix)
	})
}

// AbsolutePath is a PATH without directories that depend on the working directory. An empty one does, too.
func AbsolutePath(list string) string {
	dirs := slices.DeleteFunc(filepath.SplitList(list), func(dir string) bool { return !filepath.IsAbs(dir) })
	return strings.Join(dirs, string(filepath.ListSeparator))
}
