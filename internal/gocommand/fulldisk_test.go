package gocommand_test

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/gocommand"
)

func TestFullDiskNamesItsOwnSetting(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the variables that this test sets are those of Linux")
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(tmp, "cache"))
	t.Setenv("GOCACHE", filepath.Join(tmp, "go"))
	t.Setenv("GOMODCACHE", filepath.Join(tmp, "mod"))
	for file, setting := range map[string]string{
		"cache/slipway/programs/1/api": "XDG_CACHE_HOME",
		"go/trim.txt":                  "GOCACHE",
		"mod/cache/download/x":         "GOMODCACHE",
		"go-build1/b001/exe/a.out":     "TMPDIR",
	} {
		output := "copying " + tmp + "/a to b: write " + filepath.Join(tmp, file) + ": no space left on device\n"
		err := gocommand.NewError("compiling", output, "", errors.New("exit status 1"))
		require.Contains(t, err.Hint, "set "+setting+" to", file)
	}
	err := gocommand.NewError("compiling", "link: mapping output file failed: no space left on device", "", errors.New("exit status 1"))
	require.Contains(t, err.Hint, "TMPDIR and GOCACHE")
	require.Empty(t, gocommand.FullDisk("/elsewhere/x"))
}

func TestMissingCompilerOfCXX(t *testing.T) {
	for output, want := range map[string]string{
		"example.com/cc: exec: \"x86_64-linux-musl-g++\": executable file not found in $PATH":                 "no compiler x86_64-linux-musl-g++",
		"# example.com/cc\ncgo: exec: \"aarch64-linux-gnu-g++\": executable file not found in %PATH%":         "no compiler aarch64-linux-gnu-g++",
		"main.go:3: running \"protoc-gen-c++\": exec: \"protoc-gen-c++\": executable file not found in $PATH": "go generate needs the program protoc-gen-c++",
	} {
		require.Contains(t, gocommand.NewError("compiling", output, "", errors.New("exit status 1")).Hint, want)
	}
}
