package registry

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/slipway-ci/slipway/internal/fault"
)

// Target is where an image goes.
type Target struct {
	// Repository names registry and repository, such as "ghcr.io/owner/app", without tag and digest.
	Repository string
	// Tags are moved to the image in this order. Without any, the image is reachable by its digest alone.
	Tags []string
}

// The grammars of the OCI distribution specification, section "Pulling manifests".
var (
	repositoryName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	validTag       = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	notInTag       = regexp.MustCompile(`[^a-zA-Z0-9._-]+`)
)

// longestPath is how long registries let a repository's path be, in bytes.
const longestPath = 255

// Validate returns everything that is wrong with the target: nothing, if it can be pushed to.
func (t Target) Validate() fault.Faults {
	faults := validateRepository(t.Repository)
	for _, value := range t.Tags {
		if !validTag.MatchString(value) {
			faults.Add("tag", value, "it is not a tag: tags have 1 to 128 letters, digits, and . _ -, and begin with none of . and -", tagHint(value))
		}
	}
	return faults
}

// tagHint suggests the closest tag: the + of a version with build metadata, say, becomes a -.
func tagHint(value string) string {
	closest := strings.TrimLeft(notInTag.ReplaceAllString(value, "-"), ".-")
	closest = closest[:min(len(closest), 128)]
	if closest == "" {
		return "use one such as v1.2.3"
	}
	return fmt.Sprintf("use %q", closest)
}

// cutLogin takes a name and password away, such as those of https://name:password@host/path.
func cutLogin(value string) (without string, found bool) {
	scheme, rest, isURL := strings.Cut(value, "://")
	if !isURL {
		scheme, rest = "", value
	} else {
		scheme += "://"
	}
	at := strings.LastIndex(rest, "@")
	if at < 0 || strings.HasPrefix(rest[at:], "@sha256:") {
		return value, false
	}
	return scheme + rest[at+1:], true
}

func validateRepository(value string) (faults fault.Faults) {
	add := func(problem, hint string, arguments ...any) {
		faults.Add("repository", value, problem, fmt.Sprintf(hint, arguments...))
	}
	if value == "" {
		add("there is none", "write HOST/OWNER/NAME, such as ghcr.io/owner/app")
		return faults
	}
	if without, found := cutLogin(value); found {
		value = without // the login is not repeated
		add("it has a login before the host", "leave it out, and give it by docker login")
		return faults
	}
	rest := value
	if _, after, found := strings.Cut(rest, "://"); found {
		rest = after
		add("it is a URL", "write it without the scheme: %s", rest)
	}
	if before, _, found := strings.Cut(rest, "@"); found {
		rest = before
		add("it has a digest, which only the finished image decides", "leave it out: %s", rest)
	}
	if colon := strings.LastIndex(rest, ":"); colon > strings.LastIndex(rest, "/") && strings.Contains(rest, "/") {
		name, tag := rest[:colon], rest[colon+1:]
		rest = name
		add("it has a tag", "give it by --tag: --repository %s --tag %s", name, tag)
	}
	host, path, found := strings.Cut(rest, "/")
	switch {
	case !found:
		add("it names no registry and repository",
			"write HOST/OWNER/NAME, such as ghcr.io/owner/app, or docker.io/owner/app for Docker Hub")
		return faults
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		path = rest // on Docker Hub
	default:
		if _, err := name.NewRegistry(host); err != nil {
			add("its host is not valid", "write HOST or HOST:PORT before the first /, such as ghcr.io/owner/app")
		}
	}
	switch {
	case path != strings.ToLower(path):
		lower := strings.TrimSuffix(rest, path) + strings.ToLower(path)
		add("repository names are lower case", "use %s", lower)
		if !repositoryName.MatchString(strings.ToLower(path)) {
			add("it has characters that no repository name has", "use lower-case letters and digits, with . _ - / between them")
		}
	case !repositoryName.MatchString(path):
		add("it has characters that no repository name has", "use lower-case letters and digits, with . _ - / between them")
	case len(path) > longestPath:
		add(fmt.Sprintf("its path has %d characters", len(path)), "use %d at most", longestPath)
	}
	return faults
}
