package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// action is what a test needs of action.yml.
type action struct {
	Runs struct {
		Steps []struct {
			ID, Run string
		}
	}
}

func readAction(t *testing.T) action {
	t.Helper()
	text, err := os.ReadFile("../../action.yml")
	require.NoError(t, err)
	var a action
	require.NoError(t, yaml.Unmarshal(text, &a))
	return a
}

func TestActionsScripts(t *testing.T) {
	shellcheck := testtool.Need(t, "shellcheck", "shellcheck")
	checked := 0
	for _, step := range readAction(t).Runs.Steps {
		if step.Run == "" {
			continue
		}
		checked++
		assert.NotContains(t, step.Run, "${{", "an input is pasted into a script")
		cmd := exec.Command(shellcheck, "--shell=bash", "-")
		cmd.Stdin = strings.NewReader(step.Run)
		out, err := cmd.CombinedOutput()
		assert.NoError(t, err, "%s", out)
	}
	assert.Equal(t, 4, checked)
}

// The step that builds gives the outputs that action.yml promises, for one image and for several.
func TestActionsOutputs(t *testing.T) {
	testtool.Need(t, "jq", "jq")
	bash := testtool.Need(t, "bash", "bash")
	own, err := exec.LookPath("slipway")
	require.NoError(t, err)
	script := ""
	for _, step := range readAction(t).Runs.Steps {
		if step.ID == "slipway" {
			script = step.Run
		}
	}
	require.NotEmpty(t, script)
	registry := registrytest.Start(t)
	pushBases(t, registry.Host)
	temp, path := t.TempDir(), filepath.Join(t.TempDir(), "path")
	require.NoError(t, os.MkdirAll(filepath.Join(temp, "slipway"), 0o755))
	require.NoError(t, os.Symlink(own, filepath.Join(temp, "slipway", "slipway")))

	run := func(env ...string) (outputs map[string]string, said string, err error) {
		file := filepath.Join(t.TempDir(), "outputs")
		cmd := slipwayCommand(t, append([]string{
			sharedCache, "SLIPWAY_MIRRORS=gcr.io=" + registry.Host + ",docker.io=" + registry.Host,
			"RUNNER_TEMP=" + temp, "GITHUB_OUTPUT=" + file, "GITHUB_PATH=" + path, "COMMAND=build", "SOURCE=shop", "IMAGES=",
		}, env...))
		cmd.Path, cmd.Args, cmd.Err = bash, []string{bash, "-eo", "pipefail", "-c", script}, nil
		cmd.Dir = filepath.Dir(copyExample(t, "shop"))
		out, err := cmd.CombinedOutput()
		text, _ := os.ReadFile(file)
		outputs = map[string]string{}
		// As GitHub reads them: NAME=VALUE, or NAME<<END, lines, and END.
		for rest := string(text); rest != ""; {
			line, after, _ := strings.Cut(rest, "\n")
			key, end, block := strings.Cut(line, "<<")
			if block {
				outputs[key], rest, _ = strings.Cut(after, "\n"+end+"\n")
			} else {
				name, value, _ := strings.Cut(line, "=")
				outputs[name], rest = value, after
			}
		}
		return outputs, string(out), err
	}

	outputs, said, err := run("IMAGES=all")
	require.NoError(t, err, said)
	assert.Equal(t, "dist/all.tar dist/api.tar dist/report.tar", outputs["archive"])
	var images []slipway.Result
	require.NoError(t, json.Unmarshal([]byte(outputs["images"]), &images))
	require.Len(t, images, 3)
	assert.Equal(t, strings.Join([]string{images[0].Digest, images[1].Digest, images[2].Digest}, " "), outputs["digest"])
	assert.Empty(t, outputs["reference"])

	outputs, said, err = run("IMAGES=api report", "COMMAND=publish", "SLIPWAY_REPOSITORY="+registry.Host+"/shop/{{.Name}}", "SLIPWAY_TAGS=v1")
	require.NoError(t, err, said)
	assert.Regexp(t, `^127\.0\.0\.1:\d+/shop/api@sha256:[0-9a-f]{64} 127\.0\.0\.1:\d+/shop/report@sha256:[0-9a-f]{64}$`, outputs["reference"])
	assert.Empty(t, outputs["archive"])

	outputs, said, err = run("SLIPWAY_PACKAGES=./cmd/api", "SLIPWAY_RUNTIME=scratch")
	require.NoError(t, err, said)
	assert.Equal(t, "dist/api.tar", outputs["archive"])
	assert.Regexp(t, `^sha256:[0-9a-f]{64}$`, outputs["digest"])

	// A value of several lines is one output, and no other.
	outputs, said, err = run("SLIPWAY_PACKAGES=./cmd/api", "SLIPWAY_RUNTIME=scratch", "SLIPWAY_OUTPUT=dist/a\ndigest=evil\nimages<<x\n.tar")
	require.NoError(t, err, said)
	assert.Equal(t, "dist/a\ndigest=evil\nimages<<x\n.tar", outputs["archive"])
	assert.Regexp(t, `^sha256:[0-9a-f]{64}$`, outputs["digest"])
	assert.Len(t, outputs, 4)

	_, said, err = run("COMMAND=destroy")
	require.Error(t, err)
	assert.Contains(t, said, "none of build, publish and none")

	require.NoError(t, os.Remove(path))
	outputs, said, err = run("COMMAND=none", "SOURCE=nowhere")
	require.NoError(t, err, said)
	assert.Empty(t, outputs)
	onPath, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(temp, "slipway")+"\n", string(onPath))
}

// The step that installs Slipway leaves compiling to a later step only where there is no released program: what has another digest, or
// cannot be downloaded, ends the job.
func TestActionsInstall(t *testing.T) {
	bash := testtool.Need(t, "bash", "bash")
	script := ""
	for _, step := range readAction(t).Runs.Steps {
		if step.ID == "install" {
			script = step.Run
		}
	}
	require.NotEmpty(t, script)
	for status, want := range map[string]string{
		"0": "go=1.99.3\nreleased=true\n",
		"1": "fails",
		"2": "fails",
		"3": "go=1.99.3\n",
	} {
		t.Run(status, func(t *testing.T) {
			action, temp := t.TempDir(), t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(action, "go.mod"), []byte("module m\n\ngo 1.99.0\n\ntoolchain go1.99.3\n"), 0o644))
			require.NoError(t, os.WriteFile(filepath.Join(action, "install.sh"),
				[]byte("[ \"$*\" = \"--this-source "+temp+"/slipway\" ] || exit 9\nexit "+status+"\n"), 0o644))
			cmd := exec.Command(bash, "-eo", "pipefail", "-c", script)
			cmd.Env = append(os.Environ(), "GITHUB_ACTION_PATH="+action, "RUNNER_TEMP="+temp, "GITHUB_OUTPUT="+filepath.Join(temp, "outputs"))
			out, err := cmd.CombinedOutput()
			if want == "fails" {
				var exit *exec.ExitError
				require.ErrorAs(t, err, &exit, "%s", out)
				assert.Equal(t, status, strconv.Itoa(exit.ExitCode()))
				return
			}
			require.NoError(t, err, "%s", out)
			got, err := os.ReadFile(filepath.Join(temp, "outputs"))
			require.NoError(t, err)
			assert.Equal(t, want, string(got))
		})
	}
}
