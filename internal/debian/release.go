package debian

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// Release is a release of Debian.
type Release struct {
	// Number is its version, such as "13", and Codename its name there.
	Number, Codename string
	// Suites are where its packages are: what was released, its updates, and its security updates.
	Suites []Suite
	// Keys are the public keys that sign the suites, armored.
	Keys string
}

// Suite is a directory of packages, below an archive.
type Suite struct {
	// Archive is the archive's directory on the host, such as "debian-security".
	Archive string
	// Name is the suite's, such as "trixie-security", as its InRelease calls it.
	Name string
}

// Releases are those that packages can be taken from, by their numbers. Only tests change it.
var Releases = map[string]Release{
	"12": newRelease("12", "bookworm", bookwormKeys),
	"13": newRelease("13", "trixie", trixieKeys),
}

func newRelease(number, codename, keys string) Release {
	return Release{number, codename, []Suite{{"debian", codename}, {"debian", codename + "-updates"}, {"debian-security", codename + "-security"}}, keys}
}

// Find is the release with a number.
func Find(number string) (Release, error) {
	release, ok := Releases[number]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(Releases)), " and ")
		return release, fmt.Errorf("packages of Debian %s cannot be installed, only those of %s", number, known)
	}
	return release, nil
}

func (r Release) keyring() (openpgp.EntityList, error) {
	keys, err := openpgp.ReadArmoredKeyRing(strings.NewReader(r.Keys))
	if err != nil {
		return nil, fmt.Errorf("reading the keys of Debian %s: %w", r.Number, err)
	}
	return keys, nil
}
