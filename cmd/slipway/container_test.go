package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// runImage builds the module in the directory source on scratch, and runs the image for amd64. It returns what that printed.
func runImage(t *testing.T, source string, flags ...string) (out string, status int) {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "image.tar")
	args := append([]string{"build", "--runtime", "scratch", "--platform", "linux/amd64", "--output", archive}, flags...)
	must(t, slipwayCommand(t, []string{sharedCache}, append(args, source)...))
	cmd := container(t, unpack(t, archive, "amd64"))
	said, _ := cmd.CombinedOutput()
	return string(said), cmd.ProcessState.ExitCode()
}

// A program writes where the settings say, and nowhere else.
func TestWritable(t *testing.T) {
	source := writeModule(t, "writer", `package main

import (
	"fmt"
	"os"
)

func main() {
	for _, dir := range []string{"/data", "/tmp", "/app", "/etc", "/"} {
		fmt.Println(dir, os.WriteFile(dir+"/file", []byte("x"), 0o644) == nil)
	}
	fmt.Println("program", os.Remove("/app/writer") == nil)
}
`)
	out, status := runImage(t, source, "--writable", "/data")
	assert.Equal(t, "/data true\n/tmp true\n/app false\n/etc false\n/ false\nprogram false\n", out)
	assert.Zero(t, status)
}

// A program on scratch has a home, and is found by its name.
func TestHomeAndPath(t *testing.T) {
	source := writeModule(t, "homely", `package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
)

func main() {
	home := os.Getenv("HOME")
	me, err := user.Current()
	fmt.Println(home, err, me.HomeDir == home, os.WriteFile(home+"/file", []byte("x"), 0o644))
	fmt.Println(exec.LookPath("homely"))
}
`)
	out, status := runImage(t, source)
	assert.Equal(t, "/home/app <nil> true <nil>\n/app/homely <nil>\n", out)
	assert.Zero(t, status)
}

// A program has its capabilities as a user who has none.
func TestFileCapabilities(t *testing.T) {
	getcap := testtool.Need(t, "getcap", "libcap2-bin")
	source := writeModule(t, "bind", `package main

import (
	"fmt"
	"os"
	"strings"
)

func main() {
	status, err := os.ReadFile("/proc/self/status")
	_, effective, _ := strings.Cut(string(status), "CapEff:\t")
	line, _, _ := strings.Cut(effective, "\n")
	fmt.Println(os.Getuid(), line, err)
}
`)
	archive := filepath.Join(t.TempDir(), "image.tar")
	must(t, slipwayCommand(t, []string{sharedCache}, "build", "--runtime", "scratch", "--platform", "linux/amd64", "--capability", "net_bind_service", "--output", archive, source))
	bundle := unpack(t, archive, "amd64")
	has, err := exec.Command(getcap, filepath.Join(bundle, "rootfs", "app", "bind")).Output()
	require.NoError(t, err)
	assert.Contains(t, string(has), "cap_net_bind_service=ep")
	cmd := container(t, bundle)
	changeBundle(t, bundle, func(config map[string]any) {
		process := config["process"].(map[string]any)
		process["noNewPrivileges"] = false
		process["capabilities"] = map[string]any{"bounding": []string{"CAP_NET_BIND_SERVICE"}}
	})
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, string(said))
	assert.Equal(t, "1000 0000000000000400 <nil>\n", string(said))
}

// A program on scratch knows the time in Berlin if its time zones are compiled in.
func TestTZData(t *testing.T) {
	source := writeModule(t, "clock", `package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(time.Unix(0, 0).In(berlin))
}
`)
	out, status := runImage(t, source)
	assert.Contains(t, out, "unknown time zone Europe/Berlin")
	assert.Equal(t, 1, status)
	out, status = runImage(t, source, "--tzdata")
	assert.Equal(t, "1970-01-01 01:00:00 +0100 CET\n", out)
	assert.Zero(t, status)
}

// A program with C in it runs on scratch.
func TestCgoStatic(t *testing.T) {
	testtool.Need(t, "musl-gcc", "musl-tools")
	source := writeModule(t, "answer", `package main

/*
#include <stdio.h>

static void answer(void) { puts("from C"); fflush(stdout); }
*/
import "C"

func main() { C.answer() }
`)
	out, status := runImage(t, source, "--cgo", "static")
	assert.Equal(t, "from C\n", out)
	assert.Zero(t, status)
}
