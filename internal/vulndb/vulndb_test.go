package vulndb_test

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/vulndb"
)

// database writes a database, and returns its URL.
func database(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"index/modules.json": `[
			{"path": "stdlib", "vulns": [{"id": "GO-1"}, {"id": "GO-2"}]},
			{"path": "example.com/lib", "vulns": [{"id": "GO-3"}, {"id": "GO-4"}, {"id": "GO-5"}]},
			{"path": "example.com/bad", "vulns": [{"id": "../../secret"}]}, {"path": "example.com/gone", "vulns": [{"id": "GO-6"}]}]`,
		"ID/GO-1.json": `{"id": "GO-1", "aliases": ["CVE-1"], "summary": "URLs", "affected": [{"package": {"name": "stdlib"},
			"ranges": [{"events": [{"introduced": "0"}, {"fixed": "1.25.9"}, {"introduced": "1.26.0-0"}, {"fixed": "1.26.2"}]}],
			"ecosystem_specific": {"imports": [{"path": "net/url"}]}}]}`,
		"ID/GO-2.json": `{"id": "GO-2", "affected": [{"package": {"name": "stdlib"}, "ranges": [{"events": [{"introduced": "0"}]}],
			"ecosystem_specific": {"imports": [{"path": "os", "goos": ["windows"]}]}}]}`,
		"ID/GO-3.json": `{"id": "GO-3", "affected": [{"package": {"name": "example.com/lib"}, "ranges": [{"events": [{"introduced": "1.0.0"}, {"fixed": "1.2.0"}]}]}]}`,
		"ID/GO-4.json": `{"id": "GO-4", "withdrawn": "2026-01-01T00:00:00Z", "affected": [{"package": {"name": "example.com/lib"}, "ranges": [{"events": [{"introduced": "0"}]}]}]}`,
		"ID/GO-5.json": `{"id": "GO-5", "affected": [{"package": {"name": "example.com/other"}, "ranges": [{"events": [{"introduced": "0"}]}]}]}`,
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	slashed := filepath.ToSlash(dir)
	if slashed[0] != '/' {
		slashed = "/" + slashed
	}
	return "file://" + slashed
}

func TestOf(t *testing.T) {
	db := vulndb.Open(database(t), nil)
	for name, test := range map[string]struct {
		module vulndb.Module
		want   string // identifier and fixed version
	}{
		"before the first fix":       {vulndb.Module{Path: vulndb.Std, Version: "go1.24", Packages: []string{"net/url"}}, "GO-1 1.25.9"},
		"fixed":                      {vulndb.Module{Path: vulndb.Std, Version: "go1.25.9", Packages: []string{"net/url"}}, ""},
		"introduced again":           {vulndb.Module{Path: vulndb.Std, Version: "go1.26rc1 X:fieldtrack", Packages: []string{"net/url"}}, "GO-1 1.26.2"},
		"fixed again":                {vulndb.Module{Path: vulndb.Std, Version: "go1.26.2", Packages: []string{"net/url"}}, ""},
		"without the package":        {vulndb.Module{Path: vulndb.Std, Version: "go1.24.0", Packages: []string{"net"}}, ""},
		"of another system":          {vulndb.Module{Path: vulndb.Std, Version: "go1.24.0", GOOS: "linux", Packages: []string{"os"}}, ""},
		"of this system":             {vulndb.Module{Path: vulndb.Std, Version: "go1.24.0", GOOS: "windows", Packages: []string{"os"}}, "GO-2 "},
		"a development version":      {vulndb.Module{Path: vulndb.Std, Version: "devel go1.27-abc", Packages: []string{"net/url"}}, ""},
		"a module":                   {vulndb.Module{Path: "example.com/lib", Version: "v1.1.9"}, "GO-3 1.2.0"},
		"a version before":           {vulndb.Module{Path: "example.com/lib", Version: "v0.9.0"}, ""},
		"a version of the source":    {vulndb.Module{Path: "example.com/lib", Version: "(devel)"}, ""},
		"a module that is not in it": {vulndb.Module{Path: "example.com/none", Version: "v1.0.0"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := db.Of(t.Context(), test.module)
			require.NoError(t, err)
			got := ""
			for _, v := range found {
				got += v.ID + " " + v.Fixed
			}
			assert.Equal(t, test.want, got)
		})
	}
}

func TestBrokenDatabase(t *testing.T) {
	db := vulndb.Open(database(t), nil)
	_, err := db.Of(t.Context(), vulndb.Module{Path: "example.com/bad", Version: "v1.0.0"})
	require.ErrorContains(t, err, `"../../secret" is no identifier`)
	_, err = db.Of(t.Context(), vulndb.Module{Path: "example.com/gone", Version: "v1.0.0"})
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = vulndb.Open("file://"+filepath.ToSlash(t.TempDir()), nil).Of(t.Context(), vulndb.Module{Path: "example.com/lib", Version: "v1.0.0"})
	require.ErrorContains(t, err, "it has no index/modules.json")
}

// What is at a web address is read by whoever knows proxies and certificates, and once.
func TestFetch(t *testing.T) {
	var asked []string
	db := vulndb.Open("https://vuln.example.com/", func(_ context.Context, address string, read func(io.Reader) error) error {
		asked = append(asked, address)
		pipe, w := io.Pipe()
		go func() {
			_, err := io.WriteString(w, `[{"path": "example.com/lib", "vulns": []}]`)
			_ = w.CloseWithError(err)
		}()
		return read(pipe)
	})
	for range 2 {
		found, err := db.Of(t.Context(), vulndb.Module{Path: "example.com/lib", Version: "v1.1.0"})
		require.NoError(t, err)
		require.Empty(t, found)
	}
	assert.Equal(t, []string{"https://vuln.example.com/index/modules.json"}, asked)
}
