package main

import (
	"errors"
	"slices"
	"strings"
	"unicode"

	"github.com/slipway-ci/slipway/internal/cache/temporary"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/secret"
	"github.com/slipway-ci/slipway/internal/source"
)

// logins are the accounts for private modules that the settings name.
type logins struct {
	netrc  string
	tokens []goenv.Login
}

// readLogins reads the files and variables that the settings name. No error holds anything that may be a secret, such as a
// token in place of where one is.
func (a *app) readLogins() (logins, error) {
	var l logins
	var faults fault.Faults
	read := func(field, value, name string) string {
		content, err := source.ReadFile(name)
		if err != nil {
			faults.Add(field, value, reason(err), "name a file that can be read")
		}
		return string(content)
	}
	if a.Netrc != "" {
		shown := secret.ShownFile(a.Netrc, isFile(a.Netrc))
		l.netrc = read("netrc", shown, a.Netrc)
		a.secrets.Add(goenv.Passwords(l.netrc)...)
		if l.netrc == "" && faults == nil {
			faults.Add("netrc", shown, "the file is empty", "write lines like machine git.example.com login NAME password TOKEN into it")
		}
	}
	for _, setting := range a.GitTokens {
		const form = "write it like git.example.com=env:GIT_TOKEN or git.example.com=file:/run/secrets/token"
		account, where, ok := strings.Cut(setting, "=")
		user, host, named := strings.Cut(account, "@")
		if !named {
			user, host = goenv.TokenUser, account
		}
		scheme, name, reference := strings.Cut(where, ":")
		shown := shownLogin(account, scheme, name)
		var token string
		found := len(faults)
		switch {
		case !ok || user == "" || host == "" || strings.ContainsAny(account, "/ \t\n'\"") || strings.Contains(host, "@"):
			// Without an equals sign, all of it may be the token.
			faults.Add("git-token", "", "a value is not of the form HOST=env:VARIABLE or HOST=file:PATH", form)
		case !reference || name == "" || scheme != "env" && scheme != "file":
			faults.Add("git-token", secret.ShownAccount(account), "does not say where the token is", form+"; a token itself would be seen by other users of the machine")
		case scheme == "env":
			token = a.variable(name)
			if token == "" {
				faults.Add("git-token", shown, "the variable is not set", "set it, or name another")
			}
		default:
			token = read("git-token", shown, name)
		}
		token = strings.TrimSpace(token)
		if len(faults) > found {
			continue
		}
		if token == "" || strings.ContainsFunc(token, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
			faults.Add("git-token", shown, "holds no token", "it must be one word, and nothing else")
			continue
		}
		a.secrets.Add(token)
		l.tokens = append(l.tokens, goenv.Login{Host: host, User: user, Password: token})
	}
	return l, faults.Err()
}

// shownLogin is what an error shows of where the token of an account is; empty if a part of it may be the token.
func shownLogin(account, scheme, name string) string {
	where := shownReference(name)
	if scheme == "env" {
		where = secret.ShownVariable(name)
	}
	if secret.ShownAccount(account) == "" || where == "" {
		return ""
	}
	return account + "=" + scheme + ":" + name
}

// variable is the value of a variable of the caller's.
func (a *app) variable(name string) string {
	value := ""
	for _, kv := range a.environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			value = v
		}
	}
	return value
}

// login is the environment that logs in with l. The caller calls forget when nothing needs it any more.
func (a *app) login(l logins) (environ []string, forget func() error, err error) {
	if l.netrc == "" && l.tokens == nil {
		return slices.Clone(a.environ), func() error { return nil }, nil
	}
	dir, err := temporary.NewDir()
	if err != nil {
		return nil, nil, err
	}
	environ, err = goenv.WithLogins(a.environ, dir.Path, l.netrc, l.tokens)
	if err != nil {
		return nil, nil, errors.Join(err, dir.Remove())
	}
	return environ, dir.Remove, nil
}
