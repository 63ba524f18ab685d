package gocommand

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// fullPath is a file that a program could not write.
var fullPath = regexp.MustCompile(`(/\S+|[A-Za-z]:\\\S+): no space left on device`)

// FullDisk is what mends that the disk of a file is full: the setting that has the file's directory elsewhere. It is empty
// for a file that no setting is known to have there.
func FullDisk(file string) string {
	cache, _ := os.UserCacheDir() // "" where there is none, which holds no file
	goCache := os.Getenv("GOCACHE")
	if goCache == "" && cache != "" {
		goCache = filepath.Join(cache, "go-build")
	}
	own := ""
	if cache != "" {
		own = filepath.Join(cache, "slipway")
	}
	cacheSetting := "XDG_CACHE_HOME"
	switch runtime.GOOS {
	case "darwin":
		cacheSetting = "HOME"
	case "windows":
		cacheSetting = "LocalAppData"
	}
	// The temporary directory comes last: others are in it, in tests and in CI.
	for _, d := range []struct{ directory, what, setting string }{
		{own, "Slipway's cache", cacheSetting},
		{goCache, "the Go build cache", "GOCACHE"},
		{os.Getenv("GOMODCACHE"), "the module cache", "GOMODCACHE"},
		{os.TempDir(), "temporary files", "TMPDIR"},
	} {
		if d.directory != "" && strings.HasPrefix(file, filepath.Clean(d.directory)+string(filepath.Separator)) {
			return fmt.Sprintf("The disk of %s, %s, is full: free some, or set %s to a directory on another.", d.what, d.directory, d.setting)
		}
	}
	return ""
}
