package secret

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Hide returns text without what has the form of a secret: private keys in PEM, tokens of well-known services, and user and
// password before the host of a URL or of a reference.
func Hide(text string) string {
	if strings.Contains(text, "PRIVATE KEY") {
		text = privateKey().ReplaceAllString(text, Redacted)
	}
	if slices.ContainsFunc(tokenPrefixes, func(prefix string) bool { return strings.Contains(text, prefix) }) {
		text = token().ReplaceAllString(text, Redacted)
	}
	if !strings.Contains(text, "@") {
		return text
	}
	return hideBareLogins(hideURLLogins(text))
}

var (
	// privateKey is a block of PEM, also within quotes that escape its line breaks, or the rest of a text that breaks off in one.
	privateKey = compiled(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|\z)`)

	// token is what services call theirs, so that they are found where they do not belong. Sources:
	// https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats
	// https://docs.gitlab.com/security/tokens/#token-prefixes https://www.rfc-editor.org/rfc/rfc7519#section-3
	token = compiled(`\b(gh[oprsu]_[A-Za-z0-9]{6,}|github_pat_[A-Za-z0-9_]{6,}` +
		`|gl(pat|oas|dt|rt|ptt|cbt|soat|ft|imt|agent)-[A-Za-z0-9_.-]{3,}|dckr_(pat|oat)_[A-Za-z0-9_-]{6,}|npm_[A-Za-z0-9]{20,}` +
		`|xox[abeoprs]-[A-Za-z0-9-]{10,}|(AKIA|ASIA)[A-Z0-9]{16}|hv[sbr]\.[A-Za-z0-9_-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{20,}` +
		`|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})`)

	// tokenPrefixes are in each token. Finding them first takes a thousandth of the time.
	tokenPrefixes = []string{
		"ghp_", "gho_", "ghr_", "ghs_", "ghu_", "github_pat_", "glpat-", "gloas-", "gldt-", "glrt-", "glptt-", "glcbt-", "glsoat-", "glft-",
		"glimt-", "glagent-", "dckr_", "npm_", "xox", "AKIA", "ASIA", "hvs.", "hvb.", "hvr.", "AGE-SECRET-KEY-", "eyJ",
	}

	port = compiled(`^[0-9]*([/?#]|$)`)
)

// compiled compiles a pattern when it is first needed: most runs print nothing that has a pattern's form, and all of them together take
// as long as a tenth of a build without changes.
func compiled(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// hideURLLogins takes the login out of each URL. One of ssh that is a user alone stays: it is no secret.
func hideURLLogins(text string) string {
	var b strings.Builder
	for {
		scheme, rest, found := strings.Cut(text, "://")
		b.WriteString(scheme)
		if !found {
			return b.String()
		}
		b.WriteString("://")
		run := rest[:runEnd(rest)]
		authority := run
		if i := strings.IndexAny(run, "/?#"); i >= 0 {
			authority = run[:i]
		}
		at := strings.LastIndex(authority, "@")
		if _, after, colon := strings.Cut(authority, ":"); at < 0 && colon && !port().MatchString(after) {
			at = strings.LastIndex(run, "@") // a password with a slash that nobody escaped
		}
		user := strings.HasSuffix(scheme, "ssh") || strings.HasSuffix(scheme, "git")
		if at > 0 && !(user && !strings.Contains(run[:at], ":")) {
			b.WriteString(Redacted)
			rest = rest[at:]
		}
		text = rest
	}
}

// runEnd is where a URL at the beginning of text ends. What quotes escape is part of it.
func runEnd(text string) int {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && text[i+1] != 'n' && text[i+1] != 'u':
			i++
		case strings.IndexByte(" \t\r\n\"'<>|,\\", text[i]) >= 0:
			return i
		}
	}
	return len(text)
}

// hideBareLogins takes logins out that have no scheme before them. From each @ it goes back to a user and a colon.
func hideBareLogins(text string) string {
	var b strings.Builder
	last := 0
	for at := 0; ; at++ {
		next := strings.IndexByte(text[at:], '@')
		if next < 0 || at+next+1 >= len(text) {
			return b.String() + text[last:]
		}
		at += next
		host := text[at+1:]
		if !hostBegins(host[0]) || isVersion(host) {
			continue
		}
		run := text[max(last, at-longestLogin):at]
		run = run[strings.LastIndexAny(run, " \t\r\n\"'@<>,|\\")+1:]
		if begin, found := loginIn(run); found {
			b.WriteString(text[last:at-len(run)+begin] + Redacted)
			last = at
		}
	}
}

// longestLogin bounds how far it goes back from a @, in bytes.
const longestLogin = 1000

func hostBegins(c byte) bool {
	return c == '[' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// isVersion reports whether what follows a @ is that of a digest, a module or a package, and no host.
func isVersion(text string) bool {
	for _, prefix := range []string{"sha256:", "sha384:", "sha512:", "latest", "upgrade", "patch", "none"} {
		if strings.HasPrefix(text, prefix) {
			rest := strings.TrimPrefix(text, prefix)
			return strings.HasSuffix(prefix, ":") || rest == "" || !strings.ContainsRune(userCharacters, rune(rest[0]))
		}
	}
	return len(text) > 1 && text[0] == 'v' && '0' <= text[1] && text[1] <= '9'
}

// loginIn is where a login begins, in a text without spaces and quotes before a @.
func loginIn(run string) (begin int, found bool) {
	for colon, c := range run {
		if c != ':' || colon+1 == len(run) || run[colon+1] == '/' {
			continue
		}
		user := run[:colon]
		user = user[strings.LastIndexFunc(user, func(r rune) bool { return !strings.ContainsRune(userCharacters, r) })+1:]
		password := run[colon+1:]
		// Of a package, or after a host's port.
		path := strings.Contains(password, "/") && (user == "pkg" || port().MatchString(password))
		if user != "" && !path {
			return colon - len(user), true
		}
	}
	return 0, false
}

const userCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+~$-"

var (
	// fileName is the form of a file's name, and variableName that of a variable.
	fileName     = compiled(`^([\w.+~/\\: -]{1,200}\.[a-z]{2,8}|[a-z._-]{1,32})$`)
	variableName = compiled(`^[A-Z][A-Z0-9_]{0,60}$`)
	userName     = compiled(`^[A-Za-z._-]{1,32}$`)
	hostName     = compiled(`^[a-z0-9.-]{1,100}(:[0-9]{1,5})?$`)
)

// ShownFile is the value of a setting that names a file for who reads an error; empty if it may be what should be in that file.
// exists says that there is a file of that name.
func ShownFile(value string, exists bool) string {
	base := strings.ToLower(filepath.Base(value))
	known := exists || fileName().MatchString(value) || strings.HasSuffix(base, "netrc")
	return shown(value, known && !strings.ContainsAny(value, "\r\n"))
}

// ShownVariable is the same for the name of a variable; empty if it may be what should be in the variable.
func ShownVariable(value string) string { return shown(value, variableName().MatchString(value)) }

// ShownAccount is the same for a host, with USER@ before it or without.
func ShownAccount(value string) string {
	user, host, found := strings.Cut(value, "@")
	if !found {
		host = value
	}
	named := strings.Contains(host, ".") || strings.HasPrefix(host, "localhost")
	return shown(value, named && hostName().MatchString(host) && (!found || userName().MatchString(user)))
}

func shown(value string, ok bool) string {
	if !ok || Hide(value) != value {
		return ""
	}
	return value
}
