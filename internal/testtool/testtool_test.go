package testtool_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/testtool"
)

// outcome records how a test would end.
type outcome struct {
	testing.TB
	skipped, failed bool
}

func (o *outcome) Skipf(string, ...any)  { o.skipped = true }
func (o *outcome) Fatalf(string, ...any) { o.failed = true }
func (o *outcome) Helper()               {}

func TestNeed(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "some-tool"), []byte("#!/bin/sh\n"), 0o755))
	t.Setenv("PATH", dir)
	assert.Equal(t, filepath.Join(dir, "some-tool"), testtool.Need(t, "some-tool", "some-package"))

	t.Setenv(testtool.Require, "")
	absent := &outcome{TB: t}
	testtool.Need(absent, "no-such-tool", "no-such-package")
	assert.True(t, absent.skipped && !absent.failed)

	t.Setenv(testtool.Require, "1")
	required := &outcome{TB: t}
	testtool.Need(required, "no-such-tool", "no-such-package")
	assert.True(t, required.failed)
}

// Programs for administrators, such as runc, are found by those who do not have their folder on the PATH.
func TestNeedLooksInSbin(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	const sbin = "/usr/sbin"
	entries, err := os.ReadDir(sbin)
	require.NoError(t, err)
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(sbin, e.Name())); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 == 0o111 {
			assert.Equal(t, e.Name(), filepath.Base(testtool.Need(t, e.Name(), "any")))
			return
		}
	}
	testtool.Skip(t, "a program in "+sbin)
}
