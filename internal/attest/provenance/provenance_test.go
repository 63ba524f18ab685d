package provenance_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest/provenance"
	"github.com/slipway-ci/slipway/internal/distro"
	"github.com/slipway-ci/slipway/internal/plan"
)

const hash = "0123456789abcdef0123456789abcdef01234567"

func planOf(t *testing.T, config plan.Config) *plan.Plan {
	t.Helper()
	p, err := plan.Resolve(t.Context(), fstest.MapFS{
		"go.mod":  {Data: []byte("module example.com/hello\n\ngo 1.26.8\n")},
		"main.go": {Data: []byte("package main\n\nfunc main() {}\n")},
	}, config)
	require.NoError(t, err)
	return p
}

func predicateJSON(t *testing.T, b provenance.Build, base provenance.Image) map[string]any {
	t.Helper()
	predicate, err := b.Predicate(base)
	require.NoError(t, err)
	raw, err := json.Marshal(predicate)
	require.NoError(t, err)
	var v map[string]any
	require.NoError(t, json.Unmarshal(raw, &v))
	return v
}

func TestPredicate(t *testing.T) {
	config := plan.Config{Runtime: "alpine", Stamps: []string{"main.version=v1"}, TZData: true}
	config.Facts = plan.Facts{Git: plan.Git{Commit: hash, ShortCommit: hash[:7], Tag: "v1"}, Env: map[string]string{"COSIGN_PASSWORD": "SECRET"}}
	got := predicateJSON(t, provenance.Build{
		Plan: planOf(t, config), Config: config, Engine: "host", Version: "v1.2.3",
		Source:  provenance.Source{Repository: "https://example.com/r", Revision: hash},
		CI:      provenance.ReadCI([]string{"GITLAB_CI=true", "CI_JOB_URL=https://gitlab.example/j/1"}),
		Started: time.Unix(1, 5).In(time.FixedZone("x", 3600)), Finished: time.Unix(2, 0),
	}, provenance.Image{Name: "docker.io/library/alpine:3.24.2", Digest: "sha256:" + strings.Repeat("a", 64)})
	definition := got["buildDefinition"].(map[string]any)
	assert.Equal(t, map[string]any{"commit": hash, "shortCommit": hash[:7], "tag": "v1", "date": "", "timestamp": ""}, got["buildDefinition"].(map[string]any)["internalParameters"].(map[string]any)["git"])
	assert.Equal(t, map[string]any{"SLIPWAY_RUNTIME": "alpine", "SLIPWAY_STAMPS": []any{"main.version=v1"}, "SLIPWAY_TZDATA": true}, definition["externalParameters"])
	assert.Equal(t, []any{
		map[string]any{"name": "source", "uri": "git+https://example.com/r", "digest": map[string]any{"gitCommit": hash}},
		map[string]any{"name": "base", "uri": "oci://docker.io/library/alpine:3.24.2", "digest": map[string]any{"sha256": strings.Repeat("a", 64)}},
	}, definition["resolvedDependencies"])
	internal := definition["internalParameters"].(map[string]any)
	assert.Equal(t, "1.26.8", internal["go"])
	assert.Equal(t, map[string]any{"name": "gitlab-ci"}, internal["ci"])
	assert.Equal(t, map[string]any{
		"builder":  map[string]any{"id": "https://github.com/slipway-ci/slipway/engine/host", "version": map[string]any{"slipway": "v1.2.3"}},
		"metadata": map[string]any{"invocationId": "https://gitlab.example/j/1", "startedOn": "1970-01-01T00:00:01Z", "finishedOn": "1970-01-01T00:00:02Z"},
	}, got["runDetails"])
}

// What the toolchain was told is a parameter of the build, and part of the plan that was built.
func TestGoSettings(t *testing.T) {
	planDigest := func(config plan.Config) (parameters, digest any) {
		definition := predicateJSON(t, provenance.Build{Plan: planOf(t, config), Config: config}, provenance.Image{})["buildDefinition"].(map[string]any)
		return definition["externalParameters"], definition["internalParameters"].(map[string]any)["plan"]
	}
	_, plain := planDigest(plan.Config{})
	for want, config := range map[string]plan.Config{
		`{"SLIPWAY_FIPS":"true"}`:               {FIPS: "true"},
		`{"SLIPWAY_GO_EXPERIMENTS":["jsonv2"]}`: {GoExperiments: []string{"jsonv2"}},
	} {
		parameters, digest := planDigest(config)
		text, err := json.Marshal(parameters)
		require.NoError(t, err)
		assert.JSONEq(t, want, string(text))
		assert.NotEqual(t, plain, digest, want)
	}
}

// A statement is for everybody: no login is in it that a setting has.
func TestNoLogins(t *testing.T) {
	config := plan.Config{VulnDB: "https://u:PW@vuln.example/db", Env: []string{"DB=postgres://u:PW@db/x", "LEVEL=info"}}
	got := predicateJSON(t, provenance.Build{Plan: planOf(t, plan.Config{}), Config: config, Engine: "host"}, provenance.Image{})
	assert.Equal(t, map[string]any{
		"SLIPWAY_VULNDB": "https://REDACTED@vuln.example/db", "SLIPWAY_ENV": []any{"DB=postgres://REDACTED@db/x", "LEVEL=info"},
	}, got["buildDefinition"].(map[string]any)["externalParameters"])
	assert.Equal(t, "DB=postgres://u:PW@db/x", config.Env[0])
}

// Runs of the same build are told apart by nothing but their times and addresses.
func TestIdentity(t *testing.T) {
	identity := func(change func(*provenance.Build)) string {
		b := provenance.Build{Plan: planOf(t, plan.Config{}), Engine: "host", CI: provenance.CI{Name: "x", Run: "https://ci.example/1"}, Started: time.Unix(1, 0), Finished: time.Unix(2, 0)}
		change(&b)
		predicate, err := b.Predicate(provenance.Image{})
		require.NoError(t, err)
		text, err := json.Marshal(predicate)
		require.NoError(t, err)
		return provenance.Identity(text)
	}
	assert.Empty(t, provenance.Identity([]byte("no JSON")))
	first := identity(func(*provenance.Build) {})
	assert.Regexp(t, `^[0-9a-f]{64}$`, first)
	assert.Equal(t, first, identity(func(b *provenance.Build) {
		b.Started, b.Finished, b.CI.Run = time.Unix(5, 0), time.Time{}, "https://ci.example/2"
	}))
	assert.Equal(t, first, identity(func(b *provenance.Build) {
		b.Plan.Notes = append(b.Plan.Notes, plan.Note{About: "base", Text: "it has ended since"})
	}), "what is noted for people changes with tables of dates, and not the build")
	for _, change := range []func(*provenance.Build){
		func(b *provenance.Build) { b.Plan.Image.User = "1" },
		func(b *provenance.Build) { b.Source.Revision = "0123456789abcdef0123456789abcdef01234567" },
		func(b *provenance.Build) { b.Engine = "dagger" },
		func(b *provenance.Build) { b.Version = "v2" },
		func(b *provenance.Build) { b.CI.Ref = "refs/heads/main" },
		func(b *provenance.Build) { b.Config.TZData = true },
	} {
		assert.NotEqual(t, first, identity(change))
	}
}

// Who knows the commit alone, as the Dagger module does, may name the repository by a label.
func TestRepositoryLabel(t *testing.T) {
	source := func(known provenance.Source, label string) any {
		p := planOf(t, plan.Config{Labels: []string{"org.opencontainers.image.source=" + label}})
		definition := predicateJSON(t, provenance.Build{Plan: p, Source: known}, provenance.Image{})["buildDefinition"].(map[string]any)
		dependencies, _ := definition["resolvedDependencies"].([]any)
		if len(dependencies) == 0 {
			return nil
		}
		return dependencies[0].(map[string]any)["uri"]
	}
	known := provenance.Source{Revision: hash}
	assert.Equal(t, "git+https://example.com/r", source(known, "https://me:token@example.com/r"))
	assert.Nil(t, source(known, "here"), "no URL")
	assert.Nil(t, source(provenance.Source{}, "https://example.com/r"), "no commit")
	known.Repository = "https://example.com/known"
	assert.Equal(t, "git+https://example.com/known", source(known, "https://example.com/r"))
}

// What is not known is left out.
func TestNothingIsInvented(t *testing.T) {
	got := predicateJSON(t, provenance.Build{Plan: planOf(t, plan.Config{}), Engine: "host"}, provenance.Image{})
	assert.NotContains(t, got["buildDefinition"], "resolvedDependencies")
	assert.NotContains(t, got["buildDefinition"].(map[string]any)["internalParameters"], "ci")
	assert.Equal(t, map[string]any{"builder": map[string]any{"id": "https://github.com/slipway-ci/slipway/engine/host"}}, got["runDetails"])
}

// Files of the network are dependencies, each once, those of all platforms.
func TestDownloads(t *testing.T) {
	a, b := plan.Download{URL: "https://example.com/a", Size: 1, Digest: "sha256:" + strings.Repeat("a", 64)}, plan.Download{URL: "https://example.com/b", Size: 1, Digest: "sha256:" + strings.Repeat("b", 64)}
	p := planOf(t, plan.Config{})
	p.Image.Layers = append(p.Image.Layers, plan.Layer{Files: []plan.File{
		{Path: "/a", Download: &plan.Download{URL: "https://example.com/{{.Arch}}"}, Downloads: map[string]plan.Download{"linux/amd64": b, "linux/arm64": a}},
		{Path: "/b", Download: &b},
	}})
	got := predicateJSON(t, provenance.Build{Plan: p, Engine: "host"}, provenance.Image{})
	assert.Equal(t, []any{
		map[string]any{"name": "file", "uri": a.URL, "digest": map[string]any{"sha256": strings.Repeat("a", 64)}},
		map[string]any{"name": "file", "uri": b.URL, "digest": map[string]any{"sha256": strings.Repeat("b", 64)}},
	}, got["buildDefinition"].(map[string]any)["resolvedDependencies"])
}

// The digest of the plan tells one plan from another.
func TestPlanDigest(t *testing.T) {
	digest := func(c plan.Config) any {
		got := predicateJSON(t, provenance.Build{Plan: planOf(t, c), Engine: "host"}, provenance.Image{})
		return got["buildDefinition"].(map[string]any)["internalParameters"].(map[string]any)["plan"]
	}
	assert.Equal(t, digest(plan.Config{}), digest(plan.Config{}))
	assert.NotEqual(t, digest(plan.Config{}), digest(plan.Config{Runtime: "scratch"}))
}

// Packages of all platforms are named, each once, and so is the image of a prebuild where one was used.
func TestPackagesAndPrebuild(t *testing.T) {
	config := plan.Config{Runtime: "debian", Prebuild: []string{"make"}, PrebuildImage: "node:24.4.1@sha256:" + strings.Repeat("e", 64), PrebuildOutputs: []string{"web"}, RunPrebuild: true}
	b := provenance.Build{Plan: planOf(t, config), Config: config, Packages: []distro.Package{
		{Name: "libc6", Version: "2.41-12", Path: "debian/pool/main/g/glibc/libc6_2.41-12_arm64.deb", SHA256: "c"},
		{Name: "tzdata", Version: "1:2026a+x", Path: "debian/pool/main/t/tzdata/tzdata_2026a+x_all.deb", SHA256: "d"},
		{Name: "libc6", Version: "2.41-12", Path: "debian/pool/main/g/glibc/libc6_2.41-12_amd64.deb", SHA256: "a"},
		{Name: "tzdata", Version: "1:2026a+x", Path: "debian/pool/main/t/tzdata/tzdata_2026a+x_all.deb", SHA256: "d"},
	}}
	resolved := func() any {
		return predicateJSON(t, b, provenance.Image{})["buildDefinition"].(map[string]any)["resolvedDependencies"]
	}
	packages := []any{
		map[string]any{"name": "package", "uri": "pkg:deb/debian/libc6@2.41-12?arch=amd64", "digest": map[string]any{"sha256": "a"}},
		map[string]any{"name": "package", "uri": "pkg:deb/debian/libc6@2.41-12?arch=arm64", "digest": map[string]any{"sha256": "c"}},
		map[string]any{"name": "package", "uri": "pkg:deb/debian/tzdata@1:2026a%2Bx?arch=all", "digest": map[string]any{"sha256": "d"}},
	}
	assert.Equal(t, packages, resolved())
	b.BuilderImages = []provenance.Image{{Name: "golang"}, {Name: "golang"}} // of two modules with one version of Go
	prebuild := map[string]any{"name": "prebuild", "uri": "oci://docker.io/library/node:24.4.1", "digest": map[string]any{"sha256": strings.Repeat("e", 64)}}
	assert.Equal(t, append([]any{map[string]any{"name": "builder", "uri": "oci://golang"}, prebuild}, packages...), resolved())

	b.BuilderImages = []provenance.Image{{Name: "golang:1.25"}, {Name: "golang:1.26"}}
	assert.Equal(t, []any{map[string]any{"name": "builder", "uri": "oci://golang:1.25"}, map[string]any{"name": "builder", "uri": "oci://golang:1.26"}}, resolved().([]any)[:2])

	config = plan.Config{Runtime: "alpine", RuntimePackages: []string{"curl"}}
	b = provenance.Build{Plan: planOf(t, config), Config: config, Packages: []distro.Package{
		{Name: "curl", Version: "8.17.0-r1", Path: "dl-cdn.alpinelinux.org/alpine/v3.24/main/x86_64/curl-8.17.0-r1.apk", SHA256: "f"},
	}}
	assert.Equal(t, []any{map[string]any{"name": "package", "uri": "pkg:apk/alpine/curl@8.17.0-r1?arch=x86_64", "digest": map[string]any{"sha256": "f"}}}, resolved())
}

func TestReadSource(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("git is one of the two programs that Slipway's tests take for granted")
	}
	dir := t.TempDir()
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir))
	read := func(dir string) provenance.Source {
		t.Helper()
		source, err := provenance.ReadSource(t.Context(), dir, func(name string) bool { return name == "dist/own.tar" })
		require.NoError(t, err)
		return source
	}
	assert.Empty(t, read(dir), "no repository")
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=n", "-c", "user.email=e@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	assert.Empty(t, read(dir), "no commit")
	file := filepath.Join(dir, "sub", "f")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte("1"), 0o644))
	git("add", ".")
	git("commit", "-qm", "c")
	head := git("rev-parse", "HEAD")
	assert.Equal(t, provenance.Source{Revision: head, Directory: "sub"}, read(filepath.Dir(file)))

	for remote, want := range map[string]string{
		"https://user:s3cret@example.com/o/r.git?token=x": "https://example.com/o/r.git",
		"git@example.com:o/r.git":                         "ssh://example.com/o/r.git",
		"ssh://git@example.com:22/o/r.git":                "ssh://example.com:22/o/r.git",
		"/a/directory":                                    "",
		"../beside":                                       "",
	} {
		git("config", "remote.origin.url", remote)
		assert.Equal(t, provenance.Source{Repository: want, Revision: head}, read(dir), remote)
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dist"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dist", "own.tar"), nil, 0o644))
	assert.False(t, read(dir).Modified, "what Slipway wrote")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o644))
	assert.True(t, read(dir).Modified, "a new file")
	assert.False(t, read(filepath.Dir(file)).Modified, "beside the source")
	require.NoError(t, os.WriteFile(file, []byte("2"), 0o644))
	assert.True(t, read(filepath.Dir(file)).Modified, "a changed file")

	require.NoError(t, os.WriteFile(filepath.Join(dir, ".git", "config"), []byte("not a configuration"), 0o644))
	_, err := provenance.ReadSource(t.Context(), dir, nil)
	assert.ErrorContains(t, err, "reading the git repository of ")
}

// A modified tree is not the commit, and what CI says of that commit does not stand in for it.
func TestModifiedSource(t *testing.T) {
	got := predicateJSON(t, provenance.Build{
		Plan: planOf(t, plan.Config{}), Engine: "host", Source: provenance.Source{Revision: hash, Modified: true},
		CI: provenance.ReadCI([]string{"CIRCLECI=true", "CIRCLE_SHA1=" + hash, "CIRCLE_REPOSITORY_URL=git@example.com:o/r.git"}),
	}, provenance.Image{})
	assert.Equal(t, []any{map[string]any{
		"name": "source", "uri": "git+ssh://example.com/o/r.git", "annotations": map[string]any{"commit": hash, "modified": true},
	}}, got["buildDefinition"].(map[string]any)["resolvedDependencies"])
}

func TestReadCI(t *testing.T) {
	for name, test := range map[string]struct {
		environ []string
		want    provenance.CI
	}{
		"none": {[]string{"CI=true", "GITHUB_SHA=" + hash}, provenance.CI{}},
		"github": {
			[]string{
				"GITHUB_ACTIONS=true", "GITHUB_SERVER_URL=https://github.com", "GITHUB_REPOSITORY=o/r", "GITHUB_SHA=" + hash, "GITHUB_REF=refs/tags/v1",
				"GITHUB_RUN_ID=7", "GITHUB_RUN_ATTEMPT=2", "GITHUB_EVENT_NAME=push", "GITHUB_WORKFLOW_REF=o/r/.github/workflows/w.yml@refs/tags/v1", "GITHUB_TOKEN=s3cret",
			},
			provenance.CI{
				Name: "github-actions", Run: "https://github.com/o/r/actions/runs/7/attempts/2", Ref: "refs/tags/v1", Event: "push",
				Workflow: "o/r/.github/workflows/w.yml@refs/tags/v1", Source: provenance.Source{Repository: "https://github.com/o/r", Revision: hash},
				Branch: "refs/tags/v1",
			},
		},
		"github, little known": {[]string{"GITHUB_ACTIONS=true", "GITHUB_RUN_ID=7"}, provenance.CI{Name: "github-actions"}},
		"azure": {
			[]string{"TF_BUILD=True", "SYSTEM_COLLECTIONURI=https://dev.azure.com/o/", "SYSTEM_TEAMPROJECT=p", "BUILD_BUILDID=3", "BUILD_REPOSITORY_URI=https://u:s3cret@dev.azure.com/o/p/_git/r", "BUILD_SOURCEVERSION=" + hash},
			provenance.CI{Name: "azure-pipelines", Run: "https://dev.azure.com/o/p/_build/results?buildId=3", Source: provenance.Source{Repository: "https://dev.azure.com/o/p/_git/r", Revision: hash}},
		},
		"jenkins": {
			[]string{"JENKINS_URL=https://ci.example/", "BUILD_URL=https://ci.example/job/a/1/", "JOB_NAME=a", "GIT_COMMIT=abc"},
			provenance.CI{Name: "jenkins", Run: "https://ci.example/job/a/1/", Workflow: "a"},
		},
		"circle": {[]string{"CIRCLECI=true", "CIRCLE_BRANCH=b", "CIRCLE_BUILD_URL=https://c.example/1"}, provenance.CI{Name: "circleci", Ref: "b", Run: "https://c.example/1", Branch: "b"}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, test.want, provenance.ReadCI(test.environ)) })
	}
}

// The branches whose results a build may take: of a pull request its own, which nobody else has, and its target's.
func TestBranches(t *testing.T) {
	for want, environ := range map[string]string{
		"local main master":                           "",
		"feature main master":                         "GITHUB_ACTIONS=true GITHUB_REF=refs/heads/feature",
		"main master":                                 "GITHUB_ACTIONS=true GITHUB_REF=refs/heads/main",
		"refs/pull/7/merge next main master":          "GITHUB_ACTIONS=true GITHUB_REF=refs/pull/7/merge GITHUB_BASE_REF=next",
		"tags main master":                            "GITHUB_ACTIONS=true GITHUB_REF=refs/tags/main",
		"refs/merge-requests/1/head next main master": "GITLAB_CI=true CI_MERGE_REQUEST_REF_PATH=refs/merge-requests/1/head CI_COMMIT_REF_NAME=x CI_MERGE_REQUEST_TARGET_BRANCH_NAME=next",
		"x trunk main master":                         "GITLAB_CI=true CI_COMMIT_REF_NAME=x CI_DEFAULT_BRANCH=trunk",
		"tags trunk main master":                      "GITLAB_CI=true CI_COMMIT_REF_NAME=v1 CI_COMMIT_TAG=v1 CI_DEFAULT_BRANCH=trunk",
		"tags main  master":                           "CIRCLECI=true CIRCLE_TAG=v1",
		"refs/pull/3/merge trunk main master":         "TF_BUILD=True BUILD_SOURCEBRANCH=refs/pull/3/merge SYSTEM_PULLREQUEST_TARGETBRANCH=refs/heads/trunk",
		"PR-3 trunk main master":                      "JENKINS_URL=https://ci.example/ BRANCH_NAME=PR-3 GIT_BRANCH=x CHANGE_TARGET=trunk",
		"x main master":                               "JENKINS_URL=https://ci.example/ GIT_BRANCH=origin/x",
	} {
		assert.Equal(t, strings.Fields(want), provenance.ReadCI(strings.Fields(environ)).Branches(), environ)
	}
}
