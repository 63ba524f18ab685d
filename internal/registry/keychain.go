package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// keychain finds credentials in podman's files and docker's. It is our own because authn.DefaultKeychain reads one file
// alone, takes any of the keys that begin with a host, and does not report where a credential came from, which is what
// somebody with a refused login needs to know.
type keychain struct {
	secrets *secrets
	// given are asked before the files of this machine.
	given []credentialFile

	mu    sync.Mutex
	found map[string]credential // by repository: helpers are slow programs
}

type credential struct {
	authn.Authenticator
	// source is a phrase such as "the credential from the file /home/x/.docker/config.json".
	source string
	// user is the account's name, empty where the credential names none.
	user string
}

// Resolve implements authn.Keychain.
func (k *keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext implements authn.ContextKeychain: a helper may take its time.
func (k *keychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c, ok := k.found[target.String()]; ok {
		return c.Authenticator, nil
	}
	login, source, err := k.lookUp(ctx, target)
	if err != nil {
		return nil, err
	}
	k.secrets.add(login.Password, login.IdentityToken, login.RegistryToken, login.Auth)
	c := credential{Authenticator: authn.Anonymous, source: source, user: login.Username}
	if login != (authn.AuthConfig{}) {
		c.Authenticator = authn.FromConfig(login)
	}
	if k.found == nil {
		k.found = map[string]credential{}
	}
	k.found[target.String()] = c
	return c.Authenticator, nil
}

// used says which credential has been used for target, without its value, and the user that it names.
func (k *keychain) used(target authn.Resource) (source, user string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c, ok := k.found[target.String()]; ok {
		return c.source, c.user
	}
	return "no credential", ""
}

// lookUp finds the login for target: in the first place that has one, the one whose key is the most specific. An empty
// login means that there is none.
func (k *keychain) lookUp(ctx context.Context, target authn.Resource) (login authn.AuthConfig, source string, err error) {
	files, err := credentialFiles()
	if err != nil {
		return login, "", err
	}
	files = append(slices.Clone(k.given), files...)
	var places []string
	for _, file := range files {
		for _, key := range lookUpKeys(target) {
			entry, where, err := file.entry(ctx, key)
			if ctx.Err() != nil {
				return login, "", ctx.Err()
			}
			if err != nil {
				return login, "", &Error{
					Problem: fmt.Sprintf("the login for %s cannot be read from %s: %v", hostOf(target), where, err),
					Hint:    "install or repair that helper, or name a directory whose config.json does without it by DOCKER_CONFIG",
					err:     err,
				}
			}
			if entry != (types.AuthConfig{}) {
				return authn.AuthConfig{
					Username:      entry.Username,
					Password:      entry.Password,
					Auth:          entry.Auth,
					IdentityToken: entry.IdentityToken,
					RegistryToken: entry.RegistryToken,
				}, "the credential from " + where, nil
			}
		}
		places = append(places, file.describe(hostKey(target)))
	}
	if places == nil {
		return login, fmt.Sprintf("no credential (neither docker nor podman has a file with a login for %s)", hostOf(target)), nil
	}
	return login, fmt.Sprintf("no credential (no entry for %s in %s)", hostOf(target), strings.Join(places, ", nor in ")), nil
}

// entry is the file's login for a key of [lookUpKeys], empty if it has none, and the place that was asked last.
func (f credentialFile) entry(ctx context.Context, key string) (entry types.AuthConfig, where string, err error) {
	where = f.place
	// Keys that mean the same are sorted: the one that is written like this key first, then by the alphabet.
	for _, written := range slices.SortedFunc(maps.Keys(f.AuthConfigs), sameFirst(key)) {
		if normalKey(written) != key {
			continue
		}
		entry = f.AuthConfigs[written]
		entry.ServerAddress = "" // always set, and no part of the login
		if entry != (types.AuthConfig{}) {
			return entry, where, nil
		}
	}
	helper := f.helper(key)
	if helper == "" {
		return types.AuthConfig{}, where, nil
	}
	helper = helperPrefix + helper
	where = "the helper " + helper
	for _, address := range helperKeys(key) {
		entry, err = askHelper(ctx, helper, address)
		if err != nil || entry != (types.AuthConfig{}) {
			return entry, where, err
		}
	}
	return entry, where, nil
}

// helper names the program that keeps the login for a key, "" if none does.
func (f credentialFile) helper(key string) string {
	for _, written := range slices.SortedFunc(maps.Keys(f.CredentialHelpers), sameFirst(key)) {
		if normalKey(written) == key {
			return f.CredentialHelpers[written]
		}
	}
	return f.CredentialsStore
}

// describe names the file, and the helper that it names for a host.
func (f credentialFile) describe(host string) string {
	if helper := f.helper(host); helper != "" {
		return fmt.Sprintf("the helper docker-credential-%s, which %s names", helper, f.Filename)
	}
	return f.Filename
}

func sameFirst(key string) func(a, b string) int {
	return func(a, b string) int {
		if (a == key) != (b == key) {
			if a == key {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	}
}

// dockerHub is what podman calls Docker Hub.
const dockerHub = "docker.io"

// lookUpKeys are the keys that logins for target may have in a file, the most specific first: the repository, what it is
// in, and the registry. Source: https://github.com/containers/image/blob/v5.36.0/docs/containers-auth.json.5.md
func lookUpKeys(target authn.Resource) (keys []string) {
	host := hostKey(target)
	_, path, _ := strings.Cut(target.String(), "/")
	for path != "" {
		keys = append(keys, host+"/"+path)
		path = path[:max(0, strings.LastIndex(path, "/"))]
	}
	return append(keys, host)
}

func hostKey(target authn.Resource) string { return normalKey(target.RegistryStr()) }

// normalKey writes a key as lookUpKeys does: docker login once stored addresses of the registry's API, and Docker Hub has
// several names.
func normalKey(key string) string {
	if _, rest, found := strings.Cut(key, "://"); found {
		key = rest
	}
	host, path, _ := strings.Cut(strings.TrimRight(key, "/"), "/")
	if path == "v1" || path == "v2" {
		path = ""
	}
	host = strings.ToLower(host)
	switch host {
	case name.DefaultRegistry, "registry-1.docker.io", "registry.hub.docker.com":
		host = dockerHub
	}
	if path == "" {
		return host
	}
	return host + "/" + path
}

// helperKeys are the addresses that a helper may keep the login for a key under.
func helperKeys(key string) []string {
	if key == dockerHub {
		return []string{authn.DefaultAuthKey, dockerHub}
	}
	return []string{key}
}

// hostOf is the registry's name as people write it.
func hostOf(target authn.Resource) string {
	if host := target.RegistryStr(); host != name.DefaultRegistry {
		return host
	}
	return dockerHub
}
