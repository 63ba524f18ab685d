package provenance

import (
	"cmp"
	"slices"
	"strings"
)

// CI is what ran the build.
type CI struct {
	// Name of the system, such as "github-actions".
	Name string `json:"name,omitempty"`
	// Run is the URL of this run.
	Run string `json:"-"`
	// Ref is the branch or tag, Event what set the run off, and Workflow the file or job that describes it.
	Ref      string `json:"ref,omitempty"`
	Event    string `json:"event,omitempty"`
	Workflow string `json:"workflow,omitempty"`
	// Source is the commit that the run is for.
	Source Source `json:"-"`
	// Branch is the branch, that of a pull request being its own, and Target the one that a pull request is for.
	Branch string `json:"-"`
	Target string `json:"-"`
}

// Branches are the branches whose results a build may take, its own first: those of a pull request's target and of the main branch, too.
// What has none has one of its own, and so have all tags together.
func (c CI) Branches() []string {
	var all []string
	for _, branch := range []string{cmp.Or(branchName(c.Branch), "local"), branchName(c.Target), "main", "master"} {
		if branch != "" && !slices.Contains(all, branch) {
			all = append(all, branch)
		}
	}
	return all
}

// branchName is the name of a branch that CI systems write in several ways.
func branchName(ref string) string {
	if strings.HasPrefix(ref, "refs/tags/") {
		return "tags"
	}
	return strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "origin/")
}

// ReadCI recognises a CI system by environ, a list of KEY=VALUE. Only the variables named here are read. Sources:
// https://docs.github.com/actions/reference/variables-reference, https://docs.gitlab.com/ci/variables/predefined_variables/,
// https://circleci.com/docs/reference/variables/, https://learn.microsoft.com/azure/devops/pipelines/build/variables and
// https://www.jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables
func ReadCI(environ []string) CI {
	vars := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		vars[name] = value
	}
	first := func(names ...string) string {
		for _, name := range names {
			if vars[name] != "" {
				return vars[name]
			}
		}
		return ""
	}
	// joined is empty unless all of its parts are known.
	joined := func(parts ...string) string {
		for _, part := range parts {
			if part == "" {
				return ""
			}
		}
		return strings.Join(parts, "")
	}
	// tagged is the branch of a tag.
	tagged := func(tag string) string {
		if tag == "" {
			return ""
		}
		return "refs/tags/" + tag
	}
	var ci CI
	switch {
	case vars["GITHUB_ACTIONS"] == "true":
		repository := joined(vars["GITHUB_SERVER_URL"], "/", vars["GITHUB_REPOSITORY"])
		ci = CI{
			Name: "github-actions", Ref: vars["GITHUB_REF"], Event: vars["GITHUB_EVENT_NAME"], Workflow: vars["GITHUB_WORKFLOW_REF"],
			Run:    joined(repository, "/actions/runs/", vars["GITHUB_RUN_ID"], "/attempts/", vars["GITHUB_RUN_ATTEMPT"]),
			Source: Source{Repository: repository, Revision: vars["GITHUB_SHA"]},
			Branch: vars["GITHUB_REF"], Target: vars["GITHUB_BASE_REF"],
		}
	case vars["GITLAB_CI"] != "":
		ci = CI{
			Name: "gitlab-ci", Ref: vars["CI_COMMIT_REF_NAME"], Event: vars["CI_PIPELINE_SOURCE"], Workflow: vars["CI_JOB_NAME"],
			Run: vars["CI_JOB_URL"], Source: Source{Repository: vars["CI_PROJECT_URL"], Revision: vars["CI_COMMIT_SHA"]},
			Branch: cmp.Or(tagged(vars["CI_COMMIT_TAG"]), first("CI_MERGE_REQUEST_REF_PATH", "CI_COMMIT_REF_NAME")),
			Target: first("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "CI_DEFAULT_BRANCH"),
		}
	case vars["CIRCLECI"] != "":
		ci = CI{
			Name: "circleci", Ref: first("CIRCLE_TAG", "CIRCLE_BRANCH"), Workflow: vars["CIRCLE_JOB"],
			Run: vars["CIRCLE_BUILD_URL"], Source: Source{Repository: vars["CIRCLE_REPOSITORY_URL"], Revision: vars["CIRCLE_SHA1"]},
			Branch: cmp.Or(tagged(vars["CIRCLE_TAG"]), vars["CIRCLE_BRANCH"]),
		}
	case vars["TF_BUILD"] != "":
		ci = CI{
			Name: "azure-pipelines", Ref: vars["BUILD_SOURCEBRANCH"], Event: vars["BUILD_REASON"], Workflow: vars["BUILD_DEFINITIONNAME"],
			Run:    joined(vars["SYSTEM_COLLECTIONURI"], vars["SYSTEM_TEAMPROJECT"], "/_build/results?buildId=", vars["BUILD_BUILDID"]),
			Source: Source{Repository: vars["BUILD_REPOSITORY_URI"], Revision: vars["BUILD_SOURCEVERSION"]},
			Branch: vars["BUILD_SOURCEBRANCH"], Target: vars["SYSTEM_PULLREQUEST_TARGETBRANCH"],
		}
	case vars["JENKINS_URL"] != "":
		ci = CI{
			Name: "jenkins", Ref: vars["GIT_BRANCH"], Workflow: vars["JOB_NAME"],
			Run: vars["BUILD_URL"], Source: Source{Repository: vars["GIT_URL"], Revision: vars["GIT_COMMIT"]},
			Branch: cmp.Or(tagged(vars["TAG_NAME"]), first("BRANCH_NAME", "GIT_BRANCH")), Target: vars["CHANGE_TARGET"],
		}
	}
	ci.Source.Repository = cleanURL(ci.Source.Repository)
	if !commit.MatchString(ci.Source.Revision) {
		ci.Source = Source{}
	}
	return ci
}
