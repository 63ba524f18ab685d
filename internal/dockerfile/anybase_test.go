package dockerfile_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/dockerfile"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/planfile"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// The script fails on the bases that the assembler refuses for what they call the user.
func TestScriptFailsWhereTheUsersNameIsTaken(t *testing.T) {
	testtool.Need(t, "sh", "dash")
	testtool.Need(t, "awk", "mawk")
	p := planfile.Named(t, "user-name").Plan(t)
	p.Image.Layers = p.Image.Layers[:1]
	i := slices.IndexFunc(p.Image.Layers[0].Files, func(f plan.File) bool { return f.Required })
	text, err := dockerfile.Render(p)
	require.NoError(t, err)
	_, script, _ := strings.Cut(text, "<<\"EOF\"\n")
	script, _, _ = strings.Cut(script, "\nEOF\n")
	for passwd, taken := range map[string]bool{
		"":                              false,
		"root:x:0:0::/:\n":              false,
		"git:x:1000:5::/srv:\n":         false,
		"git:x:105:5::/srv:\n":          true,
		"a:x:1:1::/:\nnode:x:1000:5::/": true,
		"gi:x:100:5::/:\nshort\n":       false,
	} {
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "base", "etc"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "base", "etc", "passwd"), []byte(passwd), 0o644))
		here := strings.NewReplacer("/base", dir+"/base", "/rootfs", dir+"/rootfs").Replace(script)
		out, err := exec.CommandContext(t.Context(), "sh", "-c", here).CombinedOutput()
		assert.Equal(t, taken, p.Image.Layers[0].Files[i].Taken(passwd) != "", passwd)
		assert.Equal(t, taken, err != nil, "%q: %s", passwd, out)
		if taken {
			assert.Contains(t, string(out), "the base has the line")
		}
	}
}
