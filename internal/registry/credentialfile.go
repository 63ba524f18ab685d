package registry

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/name"
)

// credentialFile is a file in the form of docker's config.json, which podman's auth.json has, too.
type credentialFile struct {
	*configfile.ConfigFile
	// place is a phrase that says where it is.
	place string
}

// Credentials are logins that the caller has been given.
type Credentials struct {
	// Config is a text in the form of docker's config.json. See [LoginConfig].
	Config string
	// From says in errors where the user gave it, such as "--registry-config".
	From string
}

// LoginConfig is a docker config.json with a login for the registry of a repository.
func LoginConfig(repository, user, password string) (string, error) {
	parsed, err := name.NewRepository(repository)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(configfile.ConfigFile{AuthConfigs: map[string]types.AuthConfig{
		hostKey(parsed): {Auth: base64.StdEncoding.EncodeToString([]byte(user + ":" + password))},
	}})
	return string(text), err
}

// parseCredentials reads what the caller has been given. Its error joins one for each text that cannot be read.
func parseCredentials(given []Credentials) (files []credentialFile, err error) {
	for _, c := range given {
		file, failure := parseCredentialFile(strings.NewReader(c.Config))
		if failure != nil {
			err = errors.Join(err, unreadable(c.From, "give a docker config.json", failure))
			continue
		}
		file.Filename = c.From
		files = append(files, credentialFile{file, c.From})
	}
	return files, err
}

// credentialFiles reads the credential files that there are, in the order in which they are asked.
func credentialFiles() (files []credentialFile, err error) {
	if text := os.Getenv(configfile.DockerEnvConfigKey); text != "" {
		file, err := parseCredentialFile(strings.NewReader(text))
		if err != nil {
			return nil, unreadable(configfile.DockerEnvConfigKey, "correct that variable, or unset it", err)
		}
		file.Filename = configfile.DockerEnvConfigKey
		files = append(files, credentialFile{file, "the environment variable " + configfile.DockerEnvConfigKey})
	}
	for _, path := range credentialPaths() {
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue
		}
		file, err := readCredentialFile(path)
		if err != nil {
			return nil, unreadable(path, "mend or delete that file", err)
		}
		files = append(files, credentialFile{file, "the file " + path})
	}
	return files, nil
}

func unreadable(place, hint string, err error) error {
	return &Error{Problem: fmt.Sprintf("the credentials in %s cannot be read: %v", place, err), Hint: hint, err: err}
}

func readCredentialFile(path string) (*configfile.ConfigFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := parseCredentialFile(f)
	if err != nil {
		return nil, err
	}
	file.Filename = path
	return file, nil
}

// parseCredentialFile reads a file's content. Its error quotes nothing of that.
func parseCredentialFile(content io.Reader) (*configfile.ConfigFile, error) {
	file, err := config.LoadFromReader(content)
	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
		auth   base64.CorruptInputError
	)
	switch {
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("it is not valid JSON (byte %d)", syntax.Offset)
	case errors.As(err, &kind):
		return nil, fmt.Errorf("it does not have the form of docker's config.json (byte %d)", kind.Offset)
	case errors.As(err, &auth):
		return nil, errors.New("an auth in it is not in base64")
	}
	return file, err
}

// credentialPaths are the files where logins may be, in podman's order, in which docker's come last. Source:
// https://github.com/containers/image/blob/v5.36.0/docs/containers-auth.json.5.md
func credentialPaths() []string {
	var paths []string
	add := func(directory string, rest ...string) {
		if directory != "" {
			paths = append(paths, filepath.Join(append([]string{directory}, rest...)...))
		}
	}
	home, _ := os.UserHomeDir() // "" without a home, which add leaves out
	add(os.Getenv("REGISTRY_AUTH_FILE"))
	if directory := os.Getenv("XDG_RUNTIME_DIR"); directory != "" {
		add(directory, "containers", "auth.json")
	} else if runtime.GOOS == "linux" {
		add("/run/containers", strconv.Itoa(os.Getuid()), "auth.json")
	}
	if directory := os.Getenv("XDG_CONFIG_HOME"); directory != "" {
		add(directory, "containers", "auth.json")
	}
	add(home, ".config", "containers", "auth.json")
	if directory := os.Getenv(config.EnvOverrideConfigDir); directory != "" {
		add(directory, config.ConfigFileName)
	} else {
		add(home, ".docker", config.ConfigFileName)
	}
	return paths
}
