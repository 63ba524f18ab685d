package registry

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/slipway-ci/slipway/internal/fault"
)

// mirrors are asked for images of a registry first, by the registry's name as
// go-containerregistry has it (index.docker.io for docker.io).
type mirrors map[string][]mirror

type mirror struct {
	registry name.Registry
	prefix   string
}

// candidates are the references that are asked for the content of ref, in this order; ref itself is the last.
func (m mirrors) candidates(ref name.Reference) []name.Reference {
	var candidates []name.Reference
	for _, mirror := range m[ref.Context().RegistryStr()] {
		repository := mirror.registry.Repo(mirror.prefix, ref.Context().RepositoryStr())
		if _, ok := ref.(name.Digest); ok {
			candidates = append(candidates, repository.Digest(ref.Identifier()))
		} else {
			candidates = append(candidates, repository.Tag(ref.Identifier()))
		}
	}
	return append(candidates, ref)
}

func parseMirrors(values []string) (mirrors, error) {
	parsed := mirrors{}
	var faults fault.Faults
	for _, value := range values {
		host, m, err := parseMirror(value)
		if err != nil {
			faults.Add("mirror", withoutLogin(value), err.Error(), "")
			continue
		}
		parsed[host] = append(parsed[host], m)
	}
	return parsed, faults.Err()
}

func parseMirror(value string) (host string, m mirror, err error) {
	left, right, found := strings.Cut(value, "=")
	if !found || left == "" || right == "" {
		return "", m, errors.New("it names no registry and its mirror: write HOST=MIRROR[/PREFIX], such as docker.io=mirror.gcr.io")
	}
	mirrored, err := name.NewRegistry(left)
	if err != nil || strings.Contains(left, "/") {
		return "", m, fmt.Errorf("%q is not the host of a registry: write it without scheme and path, such as docker.io", left)
	}
	var options []name.Option
	address, plain := strings.CutPrefix(right, "http://")
	if plain {
		options = append(options, name.Insecure)
	} else {
		address = strings.TrimPrefix(right, "https://")
	}
	address, m.prefix, _ = strings.Cut(strings.TrimRight(address, "/"), "/")
	m.registry, err = name.NewRegistry(address, options...)
	if err != nil || address == "" || strings.HasSuffix(address, ":") || strings.Contains(address, "@") {
		return "", m, errors.New("the mirror has no valid host: write HOST[:PORT][/PREFIX], and give a login by docker login HOST")
	}
	if m.prefix != "" {
		// Any host does: the path alone is in question.
		if _, err := name.NewRepository(path.Join("registry.example", m.prefix)); err != nil || path.Clean(m.prefix) != m.prefix {
			return "", m, fmt.Errorf(
				"the prefix %q is not a repository path: use lower-case letters, digits, and . _ - / between them", m.prefix)
		}
	}
	return mirrored.RegistryStr(), m, nil
}

// withoutLogin hides a name and password that somebody wrote into the mirror's address.
func withoutLogin(value string) string {
	host, address, _ := strings.Cut(value, "=")
	if at := strings.LastIndex(address, "@"); at >= 0 {
		return host + "=REDACTED" + address[at:]
	}
	return value
}
