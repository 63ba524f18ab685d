package doctor_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/slipway-ci/slipway/internal/doctor"
)

// find returns what was found of a name.
func find(findings []doctor.Finding, name string) (all []doctor.Finding) {
	for _, f := range findings {
		if f.Name == name {
			all = append(all, f)
		}
	}
	return all
}

// alone is a machine with nothing on it but a home.
func alone(t *testing.T) (bin string, environ []string) {
	t.Helper()
	bin, home := t.TempDir(), t.TempDir()
	for name, value := range map[string]string{
		"PATH": bin, "HOME": home, "USERPROFILE": home, "LOCALAPPDATA": home, "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "XDG_RUNTIME_DIR": home,
		"DOCKER_CONFIG": "", "DOCKER_AUTH_CONFIG": "", "REGISTRY_AUTH_FILE": "", "SSL_CERT_FILE": "", "SSL_CERT_DIR": "",
	} {
		t.Setenv(name, value)
	}
	return bin, os.Environ()
}

func TestNothingIsThere(t *testing.T) {
	bin, environ := alone(t)
	found := doctor.Examine(t.Context(), environ)
	assert.False(t, doctor.Works(found))
	assert.Equal(t, []doctor.Finding{{
		Name: "go", State: doctor.Broken, Text: "there is no go command on the PATH",
		Hint: "install Go from https://go.dev/dl, or the dagger command for --engine dagger",
	}}, find(found, "go"))
	for _, name := range []string{"dagger", "runtime", "git", "login"} {
		for _, f := range find(found, name) {
			assert.Equal(t, doctor.Absent, f.State, name)
			assert.NotEmpty(t, f.Hint, name)
		}
		assert.Len(t, find(found, name), 1, name)
	}
	assert.Len(t, find(found, "C compiler"), 4)

	if runtime.GOOS == "windows" {
		return
	}
	program := []byte("#!/bin/sh\nexit 3\n")
	assert.NoError(t, os.WriteFile(filepath.Join(bin, "dagger"), program, 0o755))
	found = doctor.Examine(t.Context(), environ)
	assert.True(t, doctor.Works(found), "an engine does without Go: %v", found)
	assert.NoError(t, os.WriteFile(filepath.Join(bin, "go"), program, 0o755))
	found = doctor.Examine(t.Context(), environ)
	assert.False(t, doctor.Works(found), "a Go command that does not work")
	assert.Contains(t, find(found, "go")[0].Text, "exit status 3")
}

func TestBrokenThings(t *testing.T) {
	_, environ := alone(t)
	home := os.Getenv("HOME")
	assert.NoError(t, os.MkdirAll(filepath.Join(home, ".docker"), 0o755))
	assert.NoError(t, os.WriteFile(filepath.Join(home, ".docker", "config.json"), []byte(`{"auths": "s3cret"}`), 0o600))
	found := doctor.Examine(t.Context(), append(environ, "SSL_CERT_FILE="+filepath.Join(home, "missing.pem")))
	assert.Contains(t, find(found, "login")[0].Text, "config.json cannot be read")
	assert.NotContains(t, find(found, "login")[0].Text, "s3cret")
	assert.Equal(t, doctor.Broken, find(found, "login")[0].State)
	assert.Equal(t, doctor.Broken, find(found, "network")[0].State)
}
