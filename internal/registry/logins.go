package registry

import (
	"maps"
	"os/exec"
	"slices"

	"github.com/docker/cli/cli/config/types"
)

// helperPrefix begins the names of credential helpers.
const helperPrefix = "docker-credential-"

// Login says where the login for a registry comes from. No helper is asked, so it may have none.
type Login struct {
	// Registry is a host, or a host with a path; empty for all that nothing else names.
	Registry string `json:"registry,omitempty"`
	// Place is a phrase, such as "the file /home/x/.docker/config.json".
	Place string `json:"place"`
	// Helper is the program that has the login; empty for one in the file. Missing says that there is no such program.
	Helper  string `json:"helper,omitempty"`
	Missing bool   `json:"missing,omitempty"`
}

// Logins lists what docker and podman know: of each registry, the first place that answers for it.
func Logins() ([]Login, error) {
	files, err := credentialFiles()
	if err != nil {
		return nil, err
	}
	var all []Login
	seen := map[string]bool{}
	add := func(f credentialFile, registry, helper string) {
		if seen[registry] {
			return
		}
		seen[registry] = true
		login := Login{Registry: registry, Place: f.place}
		if helper != "" {
			login.Helper = helperPrefix + helper
			_, err := exec.LookPath(login.Helper)
			login.Missing = err != nil
		}
		all = append(all, login)
	}
	for _, f := range files {
		for _, key := range slices.Sorted(maps.Keys(f.AuthConfigs)) {
			entry := f.AuthConfigs[key]
			entry.ServerAddress = ""
			if entry != (types.AuthConfig{}) {
				add(f, normalKey(key), "")
			}
		}
		for _, key := range slices.Sorted(maps.Keys(f.CredentialHelpers)) {
			add(f, normalKey(key), f.CredentialHelpers[key])
		}
		if f.CredentialsStore != "" {
			add(f, "", f.CredentialsStore)
		}
	}
	return all, nil
}
