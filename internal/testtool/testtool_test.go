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
