package goenv

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Login is an account of a server that modules come from over HTTPS.
type Login struct {
	// Host may have a port.
	Host           string
	User, Password string
}

// TokenUser is who logs in with a token where nobody says. GitHub and GitLab ask for no name in particular.
// Source: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app-installation
const TokenUser = "x-access-token"

// Netrc is the account as a line of a netrc file.
func (l Login) Netrc() string {
	return fmt.Sprintf("machine %s login %s password %s\n", l.Host, l.User, l.Password)
}

// WithLogins is environ for a Go command, and the git that it starts, which log in with these accounts, and with those of
// netrc, the content of a file of logins. Passwords are in files of the directory dir alone, which nobody else may read; environ
// names the files. The caller's own logins still count for other servers, but where netrc is not empty it takes the place of
// the caller's netrc file.
func WithLogins(environ []string, dir, netrc string, logins []Login) ([]string, error) {
	if netrc == "" {
		var err error
		if netrc, err = Netrc(environ); err != nil {
			return nil, err
		}
	}
	var file, store strings.Builder
	for _, l := range logins { // first, for the first of a host counts
		file.WriteString(l.Netrc())
	}
	file.WriteString(netrc)
	all := append(slices.Clone(logins), parseNetrc(netrc)...)
	for _, l := range all {
		account := url.URL{Scheme: "https", User: url.UserPassword(l.User, l.Password), Host: l.Host}
		store.WriteString(account.String() + "\n")
	}
	netrcName, storeName := filepath.Join(dir, "netrc"), filepath.Join(dir, "git-credentials")
	for name, content := range map[string]string{netrcName: file.String(), storeName: store.String()} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			return nil, err
		}
	}

	env := Caller(environ)
	environ = append(slices.Clone(environ), "NETRC="+netrcName)
	if auth := env["GOAUTH"]; auth == "off" {
		environ = append(environ, "GOAUTH=netrc")
	} else if auth != "" {
		environ = append(environ, "GOAUTH=netrc; "+auth)
	}
	// Git knows a netrc file in the user's home alone. Source: https://git-scm.com/docs/git-config#Documentation/git-config.txt-GITCONFIGCOUNT
	count, _ := strconv.Atoi(env["GIT_CONFIG_COUNT"])
	set := func(key, value string) {
		environ = append(environ, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", count, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", count, value))
		count++
	}
	hosts := map[string]bool{}
	for _, l := range all {
		if hosts[l.Host] {
			continue
		}
		hosts[l.Host] = true
		key := "credential.https://" + l.Host + ".helper"
		set(key, "")                                                                                // no other helper knows better
		set(key, "store --file='"+strings.ReplaceAll(filepath.ToSlash(storeName), "'", `'\''`)+"'") // git gives it to a shell
	}
	return append(environ, "GIT_CONFIG_COUNT="+strconv.Itoa(count)), nil
}

// Passwords are those of the accounts of a netrc file.
func Passwords(netrc string) []string {
	var all []string
	for _, l := range parseNetrc(netrc) {
		all = append(all, l.Password)
	}
	return all
}

// parseNetrc reads the accounts of a netrc file. Macros, and the account for all other hosts, are left out.
// Source: https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html
func parseNetrc(text string) []Login {
	var logins []Login
	var l Login
	keep := func() {
		if l.Host != "" && l.User != "" && l.Password != "" {
			logins = append(logins, l)
		}
		l = Login{}
	}
	macro := false
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if macro {
			macro = len(fields) > 0 // an empty line ends it
			continue
		}
		for len(fields) > 0 && !strings.HasPrefix(fields[0], "#") {
			if fields[0] == "default" {
				keep()
				return logins
			}
			if len(fields) == 1 {
				break
			}
			switch fields[0] {
			case "machine":
				keep()
				l.Host = fields[1]
			case "login":
				l.User = fields[1]
			case "password":
				l.Password = fields[1]
			case "macdef":
				macro = true
			}
			fields = fields[2:]
		}
	}
	keep()
	return logins
}
