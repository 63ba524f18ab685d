package testtool_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/testtool"
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

// A test that takes minutes runs where it is asked for, and is never left out where everything must run.
func TestNeedTime(t *testing.T) {
	for _, test := range []struct {
		slow, require   string
		skipped, failed bool
	}{
		{slow: "1"},
		{slow: "1", require: "1"},
		{skipped: true},
		{require: "1", failed: true},
	} {
		t.Setenv(testtool.SlowTests, test.slow)
		t.Setenv(testtool.Require, test.require)
		o := &outcome{TB: t}
		testtool.NeedTime(o, "it compiles much")
		assert.Equal(t, test.failed, o.failed, test)
		assert.Equal(t, test.skipped, o.skipped && !o.failed, test)
		assert.Equal(t, map[bool]int{false: 2, true: 3}[test.slow != ""], testtool.Trials(2, 3))
	}
}

// Programs for administrators, such as runc, are found by those who do not have their directory on the PATH.
func TestNeedLooksInSbin(t *testing.T) {
	programs, err := filepath.Glob("/usr/sbin/*")
	require.NoError(t, err)
	if len(programs) == 0 {
		testtool.Skip(t, "a program in /usr/sbin")
	}
	t.Setenv("PATH", t.TempDir())
	t.Setenv(testtool.Require, "1") // a skip would pass for success
	for _, program := range programs {
		if info, err := os.Stat(program); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 == 0o111 {
			name := filepath.Base(program)
			assert.Equal(t, name, filepath.Base(testtool.Need(t, name, "any")))
			return
		}
	}
}
