package main

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/registry"
	"github.com/slipway-ci/slipway/internal/secret"
)

var (
	// proxyVariable is one that holds URLs, which may have logins.
	proxyVariable = regexp.MustCompile(`(?i)^(GOPROXY|GOSUMDB|https?_proxy|all_proxy|OTEL_EXPORTER_OTLP_(TRACES_)?ENDPOINT)$`)
	// headersVariable is one with headers of requests, such as api-key=….
	headersVariable = regexp.MustCompile(`^OTEL_EXPORTER_OTLP_(TRACES_)?HEADERS$`)
	// keyMaterial is a word of a private key.
	keyMaterial = regexp.MustCompile(`^[A-Za-z0-9+/]{16,}={0,2}$`)
)

// knownSecrets are those that the arguments and variables of a call hold.
func knownSecrets(args, environ []string) *secret.Set {
	known := &secret.Set{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		switch {
		case proxyVariable.MatchString(name):
			addLogins(known, value)
		case headersVariable.MatchString(name):
			for header := range strings.SplitSeq(value, ",") {
				_, value, _ := strings.Cut(header, "=")
				known.Add(strings.TrimSpace(value))
			}
		case secret.IsVariable(name) && !isFile(value):
			addLines(known, value)
		}
	}
	// A key without quotes around it becomes many arguments.
	if slices.ContainsFunc(args, func(arg string) bool { return strings.Contains(arg, "-----BEGIN") }) {
		for _, arg := range args {
			if keyMaterial.MatchString(arg) {
				known.Add(arg)
			}
		}
	}
	return known
}

// isFile reports whether value is the name of a file, which is no secret.
func isFile(value string) bool {
	_, err := os.Stat(value)
	return err == nil
}

// addLines adds a secret, and, since output comes in lines, each line of it.
func addLines(known *secret.Set, value string) {
	value = strings.TrimSpace(value)
	known.Add(value)
	for line := range strings.Lines(value) {
		if line = strings.TrimSpace(line); line != value && keyMaterial.MatchString(line) {
			known.Add(line)
		}
	}
}

// addLogins adds the logins of a list of URLs, even of such that are no URLs.
func addLogins(known *secret.Set, list string) {
	for _, one := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '|' }) {
		_, rest, found := strings.Cut(one, "://")
		if !found {
			rest = one
		}
		at := strings.LastIndex(rest, "@")
		if at < 0 {
			continue
		}
		known.Add(rest[:at])
		if _, password, found := strings.Cut(rest[:at], ":"); found {
			known.Add(password)
		}
	}
}

// registry makes a client whose logins are not printed.
func (a *app) registry(mirrors []string) (*registry.Client, error) {
	return registry.New(registry.Options{Mirrors: mirrors, OnSecret: func(used string) { a.secrets.Add(used) }})
}

// shownReference is the value of a setting that says where a secret is, as a file or by env:VARIABLE, for an error; empty if it may be
// the secret itself.
func shownReference(ref string) string {
	if variable, found := strings.CutPrefix(ref, "env:"); found {
		if secret.ShownVariable(variable) == "" {
			return ""
		}
		return ref
	}
	return secret.ShownFile(ref, isFile(ref))
}

// reason is why a file cannot be read, without its name, which may be what should be in the file.
func reason(err error) string {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
