package moduletest

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checked is a repository with the modules that the command's own tests check, and their database of vulnerabilities.
func checked(t *testing.T) string {
	t.Helper()
	all := &txtar.Archive{}
	for _, name := range []string{"script/check.txtar", "slow/vulncheck.txtar"} {
		archive, err := txtar.ParseFile("../../../cmd/slipway/testdata/" + name)
		require.NoError(t, err)
		for _, file := range archive.Files {
			at := slices.IndexFunc(all.Files, func(other txtar.File) bool { return other.Name == file.Name })
			if at < 0 {
				all.Files = append(all.Files, file)
				continue
			}
			require.Equal(t, string(all.Files[at].Data), string(file.Data), "%s is in both scripts", file.Name)
		}
	}
	dir := t.TempDir()
	require.NoError(t, txtar.Write(all, dir))
	require.NoError(t, exec.Command("git", "init", "-q", dir).Run())
	return dir
}

// What the tests on an engine check is there.
func TestCheckedModules(t *testing.T) {
	dir := checked(t)
	for _, module := range []string{"good", "bad", "tampered", "racy", "reached", "other"} {
		assert.FileExists(t, filepath.Join(dir, module, "go.mod"))
	}
	for _, name := range []string{"good.vex", "expired.vex", "vulndb/index/db.json"} {
		assert.FileExists(t, filepath.Join(dir, name))
	}
}
