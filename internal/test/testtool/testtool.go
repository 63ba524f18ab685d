// Package testtool says what tests need: programs of others, to open images with tools that Slipway has not written and to
// start them, and time. On a machine without a program, or without [SlowTests], such a test is skipped, and says so. Where
// [Require] is set, as in CI, it fails.
package testtool

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Require is the variable that turns a skip for something missing into a failure. Any value does.
const Require = "REQUIRE_TEST_TOOLS"

// SlowTests is the variable that runs the tests that take minutes, most of them because they compile the standard library
// again, and every trial of those that try many things. Any value does.
const SlowTests = "RUN_SLOW_TESTS"

// Trials is how often a test tries what it makes up: few times, unless [SlowTests] is set.
func Trials(few, many int) int {
	if os.Getenv(SlowTests) == "" {
		return few
	}
	return many
}

// NeedTime skips the test unless [SlowTests] is set. What takes the time is what.
func NeedTime(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(SlowTests) == "" {
		Skip(t, SlowTests+"=1: "+what)
	}
}

// Need returns the path of a program, which Debian has in the package pkg. Without it the test is skipped.
func Need(t testing.TB, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = findInSbin(name)
	}
	if err != nil {
		Skip(t, "the program "+name+" (apt-get install "+pkg+")")
	}
	return path
}

// findInSbin finds programs for administrators, whose directories are not on everybody's PATH.
func findInSbin(name string) (string, error) {
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

// NeedRoot skips the test unless it runs as root, which it needs for what.
func NeedRoot(t testing.TB, what string) {
	t.Helper()
	if os.Getuid() != 0 {
		Skip(t, "root, for "+what)
	}
}

// Skip skips the test because something is missing, or fails it where [Require] is set.
func Skip(t testing.TB, missing string) {
	t.Helper()
	if os.Getenv(Require) != "" {
		t.Fatalf("%s is set, and this test lacks %s", Require, missing)
	}
	t.Skipf("NOT TESTED, for want of %s", strings.TrimSpace(missing))
}
