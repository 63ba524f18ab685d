package dagger_test

import (
	"encoding/base64"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/daggertest"
)

// What no builder writes is an error, and not a base with other files.
func TestDamagedListing(t *testing.T) {
	read := func(string) (string, error) { return "", nil }
	const root = "41ed 0 0 4096\x00/base\x00\x00"
	for _, text := range []string{
		"x", "\x00", "41ed 0 0 4096\x00/base\x00", root + "x", root + "x\x00", root + "81a4 0 0\x00/base/a\x00\x00", root + "wx 0 0 1\x00/base/a\x00\x00",
		root + "81a4 -1 0 1\x00/base/a\x00\x00", root + "81a4 0 4294967296 1\x00/base/a\x00\x00", root + "81a4 0 0 1\x00/bas\x00\x00",
		root + "81a4 0 0 1\x00/base/missing/a\x00\x00", root + "81a4 0 0 1\x00/base/a/../b\x00\x00", root + "81a4 0 0 1\x00/base/\x00\x00",
		root + "81a4 0 0 1\x00/basement\x00\x00", root + "81a4 0 0 1\x00/base/a\x00\x00" + "81a4 0 0 1\x00/base/a/b\x00\x00",
		root + "a1ff 0 0 1\x00/base/l\x00/\n\x00" + "81a4 0 0 1\x00/base/l/b\x00\x00",
	} {
		_, err := dagger.ParseListing(base64.StdEncoding.EncodeToString([]byte(text)), read)
		require.Error(t, err, "%q", text)
	}
	_, err := dagger.ParseListing("not Base64", read)
	require.ErrorContains(t, err, "damaged")
	_, err = dagger.ParseListing("", read)
	require.Error(t, err, "not even the root directory")
}

// Whatever a listing says, its files can be found and placed, or there is an error.
func FuzzParseListing(f *testing.F) {
	f.Add("41ed 0 0 4096\x00/base\x00\x0041ed 0 0 4096\x00/base/etc\x00\x0081a4 0 0 3\x00/base/etc/passwd\x00\x00", "/etc/passwd")
	f.Add("41ed 0 0 4096\x00/base\x00\x00a1ff 0 0 1\x00/base/l\x00../..//x/./l\n\x00", "/l/a")
	f.Add("41ed 0 0 4096\x00/base\x00\x0011b6 1 2 0\x00/base/pipe\x00\x0043ff 0 0 1\x00/base/\xff\n\x00\x00", "/\xff\n/pipe")
	f.Fuzz(func(t *testing.T, text, name string) {
		found, err := dagger.ParseListing(base64.StdEncoding.EncodeToString([]byte(text)), func(string) (string, error) { return "", nil })
		if err != nil {
			return
		}
		there, err := found.Stat(name)
		if err == nil {
			again, err := found.Stat(there.Path)
			require.NoError(t, err)
			assert.Equal(t, there.Path, again.Path, "no link is left in a path")
			assert.False(t, there.Mode.Type() == fs.ModeSymlink)
			_, _ = found.ReadFile(t.Context(), name)
		}
		placed, err := found.Place([]oci.File{{Path: name, Mode: 0o644}})
		if err == nil {
			last := placed[len(placed)-1]
			assert.True(t, strings.HasPrefix(last.Path, "/") && last.Mode == 0o644)
		}
	})
}

// What cannot be placed is an error of the module's container, too.
func TestContainerRefusesWhatCannotBe(t *testing.T) {
	dir := program(t)
	require.NoError(t, os.Mkdir(dir+"/web", 0o755))
	require.NoError(t, os.WriteFile(dir+"/web/a", nil, 0o644))
	base := listing("41ed 0 0 4096", "/base", "", "41ed 0 0 4096", "/base/etc", "", "81a0 7 7 30", "/base/etc/passwd", "",
		"41ed 0 0 4096", "/base/etc/group", "", "a1ff 0 0 4", "/base/loop", "loop\n", "a1ff 0 0 4", "/base/same", "etc\n")
	daggertest.Start(t, func(c daggertest.Chain) (any, error) {
		if listed(c) {
			return base, nil
		}
		return "root:x:0:0:root:/root:/bin/sh\n", nil
	})
	client := connect(t)
	for want, config := range map[string]plan.Config{
		"making the layer files: placing /etc/passwd/x in the image: /etc/passwd is not a directory":           {Files: []string{"config.yaml:/etc/passwd/x"}},
		"making the layer files: placing the directory /etc/passwd in the image: there is a file in its place": {Files: []string{"web:/etc/passwd"}},
		"making the layer runtime: finding /etc/group in an image: it is not a regular file":                   {Runtime: "alpine"},
		"making the layer files: placing /loop/x in the image: too many symbolic links":                        {Files: []string{"config.yaml:/loop/x"}},
		"making the layer files: /etc/x and /same/x of one layer are the same file in the image":               {Files: []string{"config.yaml:/etc/x", "config.yaml:/same/x"}},
	} {
		config.Base = "registry.example/base:1"
		_, err := dagger.Container(dagger.New(client, client.Host().Directory(dir), resolve(t, dir, config), dagger.Private{}), t.Context(), plan.Compile{})
		assert.ErrorContains(t, err, want)
	}
}
