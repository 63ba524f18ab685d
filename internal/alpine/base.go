package alpine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/oci"
)

// Where apk has what it knows. Sources: apk-repositories(5), apk-keys(5), apk-world(5)
const (
	repositoriesFile = "/etc/apk/repositories"
	repositoriesDir  = "/etc/apk/repositories.d"
	keysDir          = "/etc/apk/keys"
	moreKeysDir      = "/lib/apk/keys"
	worldFile        = "/etc/apk/world"
)

// databaseDirs are where apk's database is: newer versions of Alpine have it below /usr.
var databaseDirs = []string{"/lib/apk/db", "/usr/lib/apk/db"}

// System is the system of an image of Alpine that packages are installed in.
type System struct {
	files *oci.FileSystem
	// repositories are the addresses of those in use, without https://.
	repositories []string
	keys         keys
	// dir is the directory of the database, and database the list of what is installed.
	dir             string
	database, world []byte
	installed       []*candidate
	// owners are the packages that files are from, by the files' paths.
	owners map[string]*candidate
	// barred is what the user does not want.
	barred []dependency
}

// ReadSystem reads what packages an image has, and where it takes others from.
func ReadSystem(ctx context.Context, files *oci.FileSystem) (*System, error) {
	s := &System{files: files, keys: keys{}, owners: map[string]*candidate{}}
	for _, dir := range databaseDirs {
		text, err := files.ReadFile(ctx, dir+"/installed")
		if err == nil {
			s.dir, s.database = dir, text
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if s.dir == "" {
		return nil, errors.New("it has no " + databaseDirs[0] + "/installed, and so is no image of Alpine")
	}
	for text := range paragraphs(s.database) {
		if err := s.read(text); err != nil {
			return nil, fmt.Errorf("reading %s/installed: %w", s.dir, err)
		}
	}
	for _, read := range []func(context.Context) error{s.readWorld, s.readRepositories, s.readKeys} {
		if err := read(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// read reads a package of the database, and which files it has.
func (s *System) read(text []byte) error {
	c, err := parseParagraph(text)
	if err != nil {
		return err
	}
	c.base = true
	s.installed = append(s.installed, c)
	dir := "/"
	for line := range bytes.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), ":")
		switch key {
		case "F":
			dir = "/" + value
		case "R":
			s.owners[path.Join(dir, value)] = c
		}
	}
	return nil
}

// optional reads a file that may be missing.
func (s *System) optional(ctx context.Context, name string) ([]byte, error) {
	text, err := s.files.ReadFile(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

func (s *System) readWorld(ctx context.Context) (err error) {
	if s.world, err = s.optional(ctx, worldFile); err != nil {
		return err
	}
	for _, word := range strings.Fields(string(s.world)) {
		if d, err := parseDependency(word); err == nil && d.refuses { // others say what is there already
			s.barred = append(s.barred, d)
		}
	}
	return nil
}

func (s *System) readRepositories(ctx context.Context) error {
	names := []string{repositoriesFile}
	for _, name := range s.files.List(repositoriesDir) {
		if path.Ext(name) == ".list" {
			names = append(names, path.Join(repositoriesDir, name))
		}
	}
	for _, name := range names {
		text, err := s.optional(ctx, name)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if err := s.readRepository(strings.TrimSpace(line)); err != nil {
				return fmt.Errorf("reading %s: %w", name, err)
			}
		}
	}
	if len(s.repositories) == 0 {
		return errors.New("it has no repositories in " + repositoriesFile)
	}
	return nil
}

// readRepository reads a line. Repositories with a tag are not for packages without it.
func (s *System) readRepository(line string) error {
	words := strings.Fields(line)
	if line == "" || line[0] == '#' || line[0] == '@' {
		return nil
	}
	at, err := url.Parse(words[0])
	if len(words) > 1 || err != nil || at.Scheme != "https" && at.Scheme != "http" || at.User != nil || at.RawQuery != "" || strings.Contains(line, "$") {
		if at != nil && at.User != nil {
			line = at.Redacted()
		}
		return fmt.Errorf("%q is no address of a repository that begins with https://", line)
	}
	address := at.Host + strings.TrimSuffix(at.Path, "/")
	if !fs.ValidPath(address) {
		return fmt.Errorf("%q is no address of a repository", line)
	}
	if !slices.Contains(s.repositories, address) {
		s.repositories = append(s.repositories, address)
	}
	return nil
}

func (s *System) readKeys(ctx context.Context) error {
	for _, dir := range []string{keysDir, moreKeysDir} {
		for _, name := range s.files.List(dir) {
			if name[0] == '.' {
				continue
			}
			text, err := s.files.ReadFile(ctx, path.Join(dir, name))
			if err != nil {
				return err
			}
			key, err := parseKey(text)
			if err != nil {
				return fmt.Errorf("reading the key %s: %w", path.Join(dir, name), err)
			}
			if s.keys[name] == nil {
				s.keys[name] = key
			}
		}
	}
	return nil
}
