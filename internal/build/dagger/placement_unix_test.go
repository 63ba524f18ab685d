//go:build unix

package dagger_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	sdk "dagger.io/dagger"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build"
	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/build/host"
	"github.com/slipway-ci/slipway/internal/oci"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/daggertest"
	"github.com/slipway-ci/slipway/internal/test/enginetest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// builders are what may run scripts in a builder: the environment's PATH for each.
func builders(t *testing.T) map[string]string {
	t.Helper()
	busybox, tools := testtool.Need(t, "busybox", "busybox-static"), t.TempDir()
	for _, name := range []string{"sh", "find", "stat", "readlink", "base64", "mkdir", "chown", "chmod"} {
		require.NoError(t, os.Symlink(busybox, filepath.Join(tools, name)))
	}
	return map[string]string{"GNU": os.Getenv("PATH"), "BusyBox": tools}
}

// inBuilder runs a command whose script has these directories elsewhere: at is where the root directory is.
func inBuilder(t *testing.T, tools, at string, command []string) {
	t.Helper()
	command = slices.Clone(command)
	for _, dir := range []string{"/base", "/listing", "/skeleton"} {
		command[2] = strings.ReplaceAll(command[2], dir, at+dir)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(strings.Split(tools, ":")[0], command[0]), command[1:]...)
	if sh, err := exec.LookPath("sh"); err == nil && tools == os.Getenv("PATH") {
		cmd.Path = sh
	}
	cmd.Env = []string{"PATH=" + tools}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Empty(t, string(out))
}

// list is the listing of the base at root/base, as the builder writes it.
func list(t *testing.T, tools, root string) string {
	t.Helper()
	inBuilder(t, tools, root, []string{"sh", "-c", dagger.List})
	encoded, err := os.ReadFile(filepath.Join(root, "listing.base64"))
	require.NoError(t, err)
	text, err := base64.StdEncoding.DecodeString(string(encoded))
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(string(text), "\x00"+root+"/base", "\x00/base")))
}

// The listing of a base has its files as they are, whatever they are called and wherever links lead.
func TestListing(t *testing.T) {
	for name, tools := range builders(t) {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			base := filepath.Join(root, "base")
			odd := []string{"new\nline", "two\n", "tab\t", "sp ace ", "-rf", "quo'te\"s", "$(HOME) `x` \\n %s", "\xff\xfe", "*", ".wh.x", "ü"}
			for _, name := range odd {
				require.NoError(t, os.MkdirAll(filepath.Join(base, name, name), 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(base, name, "file"), []byte(name), 0o640))
			}
			for n := range 300 {
				require.NoError(t, os.WriteFile(filepath.Join(base, "*", strings.Repeat("long", 50)+fmt.Sprint(n)), nil, 0o600))
			}
			require.NoError(t, syscall.Mkfifo(filepath.Join(base, "pipe"), 0o600))
			require.NoError(t, os.Chmod(filepath.Join(base, "*"), fs.ModeSticky|0o777))
			require.NoError(t, os.Chmod(filepath.Join(base, "-rf"), fs.ModeSetgid|0o711))
			links := map[string]string{ // and where they lead
				"abs": "/*", "up": "../../../../ü", "chain": "up/ü", "to new\nline": "new\nline", "*/to two": "../two\n", "raw": "\xff\xfe/", "loop": "loop",
				"in": "abs/../-rf/.", "ring": "ring/x", "dangling": "nowhere", "of file": "*/file/x",
			}
			for name, target := range links {
				require.NoError(t, os.Symlink(target, filepath.Join(base, name)))
			}
			found, err := dagger.ParseListing(list(t, tools, root), func(name string) (string, error) {
				content, err := os.ReadFile(base + name)
				return string(content), err
			})
			require.NoError(t, err)
			files := 0
			require.NoError(t, filepath.WalkDir(base, func(name string, e fs.DirEntry, err error) error {
				require.NoError(t, err)
				want, err := e.Info()
				require.NoError(t, err)
				if name == base || want.Mode().Type() == fs.ModeSymlink {
					return nil
				}
				files++
				got, err := found.Stat(strings.TrimPrefix(name, base))
				require.NoError(t, err, "%q", name)
				assert.Equal(t, want.Mode(), got.Mode, "%q", name)
				owner := want.Sys().(*syscall.Stat_t)
				assert.Equal(t, []int{int(owner.Uid), int(owner.Gid)}, []int{got.UID, got.GID})
				if want.Mode().IsRegular() {
					assert.Equal(t, want.Size(), got.Size)
				}
				return nil
			}))
			assert.Equal(t, 300+3*len(odd)+1, files)
			for name, want := range map[string]string{
				"/abs": "/*", "/up": "/ü", "/chain": "/ü/ü", "/to new\nline": "/new\nline", "/*/to two/file": "/two\n/file", "/raw/file": "/\xff\xfe/file", "/in": "/-rf",
			} {
				got, err := found.Stat(name)
				require.NoError(t, err, name)
				assert.Equal(t, want, got.Path, name)
			}
			content, err := found.ReadFile(t.Context(), "/to new\nline/file")
			require.NoError(t, err)
			assert.Equal(t, "new\nline", string(content))
			for _, name := range []string{"/dangling", "/of file", "/pipe/x", "/nothing"} {
				_, err := found.Stat(name)
				assert.ErrorIs(t, err, fs.ErrNotExist, name)
			}
			for _, name := range []string{"/loop", "/ring"} {
				_, err := found.Stat(name)
				assert.ErrorContains(t, err, "too many symbolic links", name)
			}
		})
	}
}

// What the listing of a base leads to is what the layers of the base lead to: the container of a recorded session has the files of the
// host engine's image. The builder's commands run here, and the engine's own calls are carried out.
func TestRecordedContainerPlacesTheSame(t *testing.T) {
	testtool.NeedRoot(t, "files of others")
	bases := &oci.Bases{}
	placement := enginetest.PlacementBase(t)
	own := enginetest.Authority(t)
	hard := enginetest.WriteBase(t, []enginetest.Entry{
		enginetest.Regular("usr/etc/passwd", 0o600, 3, "root:x:0:0::/:\nuser:x:5:5::/:"), enginetest.Link("etc", "../../usr/etc"),
		enginetest.Regular("usr/etc/group", 0o4640, 3, "root:x:0:\nother:x:1000:\n"),
		enginetest.Link("usr/etc/ssl/certs/ca-certificates.crt", "/certs/loop/../bundle.pem"), enginetest.Directory("certs/loop", 0o1700, 4),
		enginetest.Regular("certs/bundle.pem", 0o640, 7, strings.TrimSpace(own)), enginetest.Link("usr/etc/ssl/cert.pem", "certs/ca-certificates.crt"),
	})
	for name, test := range map[string]struct {
		base   string
		config plan.Config
	}{
		"files":    {placement, plan.Config{Files: enginetest.PlacementFiles}},
		"links":    {placement, plan.Config{Files: []string{"web:/up/share", `web/{{if eq .Arch "amd64"}}a{{end}}:/tmp/a`}, Links: enginetest.PlacementLinks}},
		"writable": {placement, plan.Config{Writable: []string{"/var/run/state", "/home/nonroot/cache", "/owned", "/chain/state"}}},
		"seeded": {placement, plan.Config{
			Files: []string{"web:/var/run/state/web", "web/a:/owned/x/y:0600"}, Links: []string{"/owned/link=/tmp"},
			Writable: []string{"/var/run/state:0:02775", "/owned", "/home/nonroot:0:0775"},
		}},
		"alpine": {placement, plan.Config{Runtime: "alpine", Files: []string{"seed.txt:/tmp/a/b"}}},
		"hard":   {hard, plan.Config{Runtime: "alpine", CACerts: enginetest.Authority(t), Files: []string{"seed.txt:/etc/ssl/x", "seed.txt:/certs/loop"}}},
		"there":  {hard, plan.Config{CACerts: own}},
	} {
		dir := program(t)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/app\n\ngo 1.26.8\n"), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "seed.txt"), []byte("seed\n"), 0o644))
		require.NoError(t, os.Mkdir(filepath.Join(dir, "web"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "web", "a"), []byte("a\n"), 0o644))
		require.NoError(t, os.Symlink("a", filepath.Join(dir, "web", "same")))
		test.config.Base, test.config.Platforms = "oci:"+test.base, []string{"linux/amd64"}
		plan := resolve(t, dir, test.config)
		built, err := build.BuildOne(t.Context(), host.New(bases, os.Environ()), dir, plan, build.Discard)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, built.Close()) })
		want := enginetest.Files(t, built.Images[0])
		layout, err := bases.Resolve(t.Context(), test.config.Base)
		require.NoError(t, err)
		base, err := layout.Image(v1.Platform{OS: "linux", Architecture: "amd64"})
		require.NoError(t, err)
		for tool, tools := range builders(t) {
			t.Run(name+" "+tool, func(t *testing.T) {
				root := t.TempDir()
				unpack(t, enginetest.Files(t, base), filepath.Join(root, "base"))
				recorded := daggertest.Start(t, func(c daggertest.Chain) (any, error) {
					switch last := c[len(c)-1].Name; {
					case listed(c):
						return list(t, tools, root), nil
					case last == "contents":
						content, err := os.ReadFile(filepath.Join(root, "base", c[len(c)-2].Args["path"].(string)))
						return string(content), err
					default:
						return "ok", nil
					}
				})
				client, err := sdk.Connect(t.Context())
				require.NoError(t, err)
				defer func() { require.NoError(t, client.Close()) }()
				ctr, err := dagger.Container(dagger.New(client, client.Host().Directory(dir), plan, dagger.Private{}), t.Context(), plan.Compile[0])
				require.NoError(t, err)
				_, err = ctr.Sync(t.Context())
				require.NoError(t, err)
				asked := recorded.Asked()
				have := enginetest.Files(t, base)
				for _, layer := range asked[len(asked)-1].Named("withDirectory") {
					maps.Copy(have, carryOut(t, tools, dir, t.TempDir(), layer.Args["source"].(daggertest.Chain)))
				}
				for name, f := range want {
					if name == "/app/app" {
						f.Content = "the program app"
					}
					if name != "/" {
						assert.Equal(t, described(f), described(have[name]), "%q", name)
					}
					delete(have, name)
				}
				delete(have, "/")
				assert.Empty(t, have)
			})
		}
	}
}

// described is a file without the other names that it has.
func described(f enginetest.File) string {
	if f.Mode.IsRegular() {
		f.Link = ""
	}
	return f.Owned() + " " + f.Link + " " + f.Content
}

// carryOut makes of the calls for a layer what an engine makes of them. Programs are a text.
func carryOut(t *testing.T, tools, source, root string, calls daggertest.Chain) map[string]enginetest.File {
	t.Helper()
	files := map[string]enginetest.File{}
	owned := func(at string, f enginetest.File, owner string) {
		_, err := fmt.Sscanf(owner, "%d:%d", &f.UID, &f.GID)
		require.NoError(t, err)
		files[at] = f
	}
	for _, call := range calls {
		at, _ := call.Args["path"].(string)
		perm, _ := call.Args["permissions"].(int64)
		switch call.Name {
		case "withMountedDirectory":
			files = carryOut(t, tools, source, root, call.Args["source"].(daggertest.Chain))
			assert.Equal(t, "withTimestamps", call.Args["source"].(daggertest.Chain)[len(call.Args["source"].(daggertest.Chain))-1].Name)
		case "withExec":
			inBuilder(t, tools, root, execs(daggertest.Chain{call})[0])
		case "withFile":
			from := call.Args["source"].(daggertest.Chain)
			name := from[len(from)-1].Args["path"].(string)
			content, err := os.ReadFile(filepath.Join(source, name))
			if errors.Is(err, fs.ErrNotExist) {
				content, err = []byte("the program "+name), nil
			}
			require.NoError(t, err)
			owned(at, enginetest.File{Mode: plan.Mode(perm).FileMode(), Content: string(content)}, call.Args["owner"].(string))
		case "withNewFile":
			files[at] = enginetest.File{Mode: plan.Mode(perm).FileMode(), Content: call.Args["contents"].(string)}
		case "chown":
			owned(at, files[at], call.Args["owner"].(string))
		}
	}
	for name := range files {
		info, err := os.Lstat(filepath.Join(root, "skeleton", path.Dir(name)))
		if assert.NoError(t, err, name) {
			assert.True(t, info.IsDir(), "the engine would make the directory of %s", name)
		}
	}
	skeleton := filepath.Join(root, "skeleton")
	require.NoError(t, filepath.WalkDir(skeleton, func(name string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		owner := info.Sys().(*syscall.Stat_t)
		target, _ := os.Readlink(name)
		if target != "" {
			assert.Zero(t, info.ModTime().Unix(), name)
		}
		files[path.Join("/", strings.TrimPrefix(name, skeleton))] = enginetest.File{Mode: info.Mode(), UID: int(owner.Uid), GID: int(owner.Gid), Link: target}
		return nil
	}))
	return files
}

// unpack writes the files of an image below root.
func unpack(t *testing.T, files map[string]enginetest.File, root string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(root, 0o755))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, at := files[name], filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		switch {
		case f.Mode.IsDir():
			require.NoError(t, os.MkdirAll(at, 0o755))
		case f.Mode.Type() == fs.ModeSymlink:
			require.NoError(t, os.Symlink(f.Link, at))
			continue
		case f.Link != "":
			require.NoError(t, os.Link(filepath.Join(root, f.Link), at))
		default:
			require.NoError(t, os.WriteFile(at, []byte(f.Content), 0o644))
		}
		require.NoError(t, os.Chown(at, f.UID, f.GID))
		require.NoError(t, os.Chmod(at, f.Mode))
	}
}
