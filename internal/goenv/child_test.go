package goenv_test

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/slipway-ci/slipway/internal/goenv"
)

func TestChild(t *testing.T) {
	root := "/"
	if runtime.GOOS == "windows" {
		root = `C:\`
	}
	list := func(dirs ...string) string { return strings.Join(dirs, string(filepath.ListSeparator)) }
	path := list(".", root+"bin", "", "tools/bin", root+"usr", "..")
	environ := []string{
		"PATH=" + path, "HOME=/h", "COSIGN_PASSWORD=p", "GITHUB_TOKEN=t", "SLIPWAY_GIT_TOKENS=x", "DOCKER_HOST=ssh://d", "DOCKER=no", "LD_PRELOAD=evil.so",
	}
	assert.Equal(t, []string{"PATH=" + list(root+"bin", root+"usr"), "HOME=/h", "DOCKER_HOST=ssh://d"}, goenv.Child(environ, "DOCKER_*"))
	assert.Equal(t, map[string]string{"PATH": list(root+"bin", root+"usr"), "HOME": "/h"}, goenv.Caller(append(environ, "GOENV=off")))
}
