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

// releases are those that packages can be taken from, by their numbers.
var releases = map[string]Release{
	"12": newRelease("12", "bookworm", bookwormKeys),
	"13": newRelease("13", "trixie", trixieKeys),
}

func newRelease(number, codename, keys string) Release {
	return Release{number, codename, []Suite{{"debian", codename}, {"debian", codename + "-updates"}, {"debian-security", codename + "-security"}}, keys}
}

// Find is the release with a number.
func Find(number string) (Release, error) {
	release, ok := releases[number]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(releases)), " and ")
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

// architectures are Debian's names of platforms, as the OCI writes them. Source: https://wiki.debian.org/SupportedArchitectures
var architectures = map[string]string{
	"linux/amd64": "amd64", "linux/arm64": "arm64", "linux/arm64/v8": "arm64", "linux/arm/v7": "armhf", "linux/arm/v6": "armel", "linux/arm/v5": "armel",
	"linux/386": "i386", "linux/ppc64le": "ppc64el", "linux/riscv64": "riscv64", "linux/s390x": "s390x",
}

// Architecture is Debian's name of a platform. Later versions of an architecture run packages for the first.
func Architecture(platform string) (string, error) {
	for name := platform; strings.Contains(name, "/"); name = name[:strings.LastIndex(name, "/")] {
		if architecture := architectures[name]; architecture != "" {
			return architecture, nil
		}
	}
	return "", fmt.Errorf("there are no packages of Debian for %s", platform)
}
