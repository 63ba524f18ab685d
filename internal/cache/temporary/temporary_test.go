package temporary_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache/temporary"
)

// owner names the variable that makes the test binary a process which makes directories and files, prints one of them, and stays.
const owner = "TEMPORARY_TEST_OUTPUT"

func TestMain(m *testing.M) {
	if output := os.Getenv(owner); output != "" {
		dir, err := temporary.NewDir()
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir.Path, "a", "b"), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir.Path, "a", "b", "secret"), nil, 0o600)
		}
		if err == nil {
			_, err = temporary.NewPart(output)
		}
		fmt.Println(dir.Path, err)
		select {}
	}
	os.Exit(m.Run())
}

// process starts a process that makes a directory in temp and a file in output. Reading its output waits until it has.
func process(t *testing.T, temp, output string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), owner+"="+output, "TMPDIR="+temp, "TMP="+temp)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "<nil>")
	return cmd
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestWhatAKilledProcessLeftIsRemoved(t *testing.T) {
	temp, output := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	living := process(t, temp, output)
	defer func() { _ = living.Wait() }()
	defer func() { _ = living.Process.Kill() }()
	its := append(names(t, temp), names(t, output)...)
	require.Len(t, its, 2)
	killed := process(t, temp, output)
	require.NoError(t, killed.Process.Kill())
	_ = killed.Wait()
	require.Len(t, append(names(t, temp), names(t, output)...), 4)

	// What looks alike and is not ours stays.
	elsewhere := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "lock"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "precious"), nil, 0o600))
	others := []string{"slipway-12", "slipway-logins-1", "slipway-7", "slipway-"}
	require.NoError(t, os.MkdirAll(filepath.Join(temp, "slipway-12", "no-lock-file"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(temp, "slipway-logins-1", "lock"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(temp, "slipway-7"), nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(temp, "slipway-"), 0o755))
	if os.Symlink(elsewhere, filepath.Join(temp, "slipway-99")) == nil {
		others = append(others, "slipway-99")
	}
	if os.Getuid() == 0 {
		require.NoError(t, os.Mkdir(filepath.Join(temp, "slipway-98"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(temp, "slipway-98", "lock"), nil, 0o600))
		require.NoError(t, os.Chown(filepath.Join(temp, "slipway-98"), 4321, 4321))
		others = append(others, "slipway-98")
	}
	require.NoError(t, os.Mkdir(filepath.Join(temp, "slipway-5"), 0o700), "a process was killed before it had a lock file")

	dir, err := temporary.NewDir()
	require.NoError(t, err)
	require.NoError(t, temporary.Probe(output))
	assert.ElementsMatch(t, append(others, filepath.Base(dir.Path), its[0]), names(t, temp))
	assert.Equal(t, its[1:], names(t, output))
	assert.FileExists(t, filepath.Join(elsewhere, "precious"))
	assert.FileExists(t, filepath.Join(elsewhere, "lock"))
	require.NoError(t, dir.Remove())
	assert.NoDirExists(t, dir.Path)
}

func TestDir(t *testing.T) {
	dir, err := temporary.NewDir()
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		info, err := os.Stat(dir.Path)
		require.NoError(t, err)
		assert.Equal(t, os.ModeDir|0o700, info.Mode())
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir.Path, "a", "b"), 0o755))
	require.NoError(t, dir.Remove())
	assert.NoDirExists(t, dir.Path)
	require.NoError(t, dir.Remove(), "it is gone")

	gone, err := temporary.NewDir()
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(gone.Path))
	require.NoError(t, gone.Remove(), "somebody else cleaned up")
}

func TestPart(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(name, []byte("old"), 0o600))
	discarded, err := temporary.NewPart(dir)
	require.NoError(t, err)
	require.NoError(t, discarded.Discard())
	part, err := temporary.NewPart(dir)
	require.NoError(t, err)
	_, err = part.WriteString("new")
	require.NoError(t, err)
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, "old", string(content))
	require.NoError(t, part.Commit(name))
	content, err = os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, "new", string(content))
	if runtime.GOOS != "windows" {
		info, err := os.Stat(name)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o644), info.Mode())
	}
	assert.Equal(t, []string{"file"}, names(t, dir))

	failed, err := temporary.NewPart(dir)
	require.NoError(t, err)
	require.Error(t, failed.Commit(filepath.Join(dir, "absent", "file")))
	assert.Equal(t, []string{"file"}, names(t, dir))
	require.Error(t, temporary.Probe(filepath.Join(dir, "absent")))
}
