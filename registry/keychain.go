package registry

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// keychain finds credentials where authn.DefaultKeychain finds them. It is our own because that one does not tell where
// a credential came from, which is what somebody with a refused login needs to know.
type keychain struct {
	secrets *secrets

	mu    sync.Mutex
	found map[string]credential // by repository: helpers are slow programs
}

type credential struct {
	authn.Authenticator
	// source is a phrase such as "the credential from the file /home/x/.docker/config.json".
	source string
}

// Resolve implements authn.Keychain.
func (k *keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c, ok := k.found[target.String()]; ok {
		return c.Authenticator, nil
	}
	login, source, err := lookUp(target)
	if err != nil {
		return nil, err
	}
	k.secrets.add(login.Password, login.IdentityToken, login.RegistryToken, login.Auth)
	c := credential{Authenticator: authn.Anonymous, source: source}
	if login != (authn.AuthConfig{}) {
		c.Authenticator = authn.FromConfig(login)
	}
	if k.found == nil {
		k.found = map[string]credential{}
	}
	k.found[target.String()] = c
	return c.Authenticator, nil
}

// source says which credential has been used for target, without its value.
func (k *keychain) source(target authn.Resource) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c, ok := k.found[target.String()]; ok {
		return c.source
	}
	return "no credential"
}

// lookUp finds the login for target, an entry for the repository before one for its registry. An empty login means that
// there is none.
func lookUp(target authn.Resource) (login authn.AuthConfig, source string, err error) {
	file, err := credentialFile()
	if err != nil {
		return login, "", err
	}
	for _, key := range []string{target.String(), target.RegistryStr()} {
		if key == name.DefaultRegistry {
			key = authn.DefaultAuthKey
		}
		source := place(file, key)
		entry, err := file.GetAuthConfig(key)
		if err != nil {
			return login, "", &Error{
				Problem: fmt.Sprintf("the login for %s cannot be read from %s: %v", hostOf(target), source, err),
				Remedy:  "install or repair that helper, or name a folder whose config.json does without it by DOCKER_CONFIG",
				err:     err,
			}
		}
		entry.ServerAddress = "" // always set, and no part of the login
		if entry != (types.AuthConfig{}) {
			return authn.AuthConfig{
				Username:      entry.Username,
				Password:      entry.Password,
				Auth:          entry.Auth,
				IdentityToken: entry.IdentityToken,
				RegistryToken: entry.RegistryToken,
			}, "the credential from " + source, nil
		}
	}
	if file.Filename == "" {
		return login, fmt.Sprintf("no credential (neither docker nor podman has a file with a login for %s)", hostOf(target)), nil
	}
	if helper := helperOf(file, target.RegistryStr()); helper != "" {
		return login, fmt.Sprintf("no credential (no entry for %s in the helper %s, which %s names)",
			hostOf(target), helper, file.Filename), nil
	}
	return login, fmt.Sprintf("no credential (no entry for %s in %s)", hostOf(target), file.Filename), nil
}

// place says where docker's library looks a key up: in an environment variable, by a helper, or in the file itself.
func place(file *configfile.ConfigFile, key string) string {
	var fromEnvironment struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	// What is wrong in the variable, docker's library reports itself.
	_ = json.Unmarshal([]byte(os.Getenv(configfile.DockerEnvConfigKey)), &fromEnvironment)
	if _, ok := fromEnvironment.Auths[key]; ok {
		return "the environment variable " + configfile.DockerEnvConfigKey
	}
	if helper := helperOf(file, key); helper != "" {
		return "the helper " + helper
	}
	return "the file " + file.Filename
}

// helperOf returns the program that keeps the login for key, "" if none does.
func helperOf(file *configfile.ConfigFile, key string) string {
	helper, ok := file.CredentialHelpers[key]
	if !ok {
		helper = file.CredentialsStore
	}
	if helper == "" {
		return ""
	}
	return "docker-credential-" + helper
}

// credentialFile reads the first of docker's and podman's credential files that exists. Without any, it is empty.
func credentialFile() (*configfile.ConfigFile, error) {
	for _, path := range credentialPaths() {
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue
		}
		file, err := readCredentialFile(path)
		if err != nil {
			return nil, &Error{
				Problem: fmt.Sprintf("the credentials in %s cannot be read: %v", path, err),
				Remedy:  "mend or delete that file, or name the folder of another config.json by DOCKER_CONFIG",
				err:     err,
			}
		}
		return file, nil
	}
	return configfile.New(""), nil
}

func readCredentialFile(path string) (*configfile.ConfigFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := config.LoadFromReader(f)
	if err != nil {
		return nil, err
	}
	file.Filename = path
	return file, nil
}

// credentialPaths are the files where logins may be, docker's first, then podman's (containers-auth.json(5)).
func credentialPaths() []string {
	var paths []string
	add := func(folder string, rest ...string) {
		if folder != "" {
			paths = append(paths, filepath.Join(append([]string{folder}, rest...)...))
		}
	}
	home, _ := os.UserHomeDir() // "" without a home, which add leaves out
	if folder := os.Getenv(config.EnvOverrideConfigDir); folder != "" {
		add(folder, config.ConfigFileName)
	} else {
		add(home, ".docker", config.ConfigFileName)
	}
	add(os.Getenv("REGISTRY_AUTH_FILE"))
	add(os.Getenv("XDG_RUNTIME_DIR"), "containers", "auth.json")
	if folder := os.Getenv("XDG_CONFIG_HOME"); folder != "" {
		add(folder, "containers", "auth.json")
	} else {
		add(home, ".config", "containers", "auth.json")
	}
	return paths
}

// hostOf is the registry's name as people write it.
func hostOf(target authn.Resource) string {
	if host := target.RegistryStr(); host != name.DefaultRegistry {
		return host
	}
	return "docker.io"
}
