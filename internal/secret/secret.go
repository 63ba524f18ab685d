// Package secret keeps secrets out of what is printed: those that this process knows, whatever form they are printed in, and
// what has the form of one.
package secret

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Redacted stands in the place of a secret.
const Redacted = "REDACTED"

// variable is a name that says that a variable holds a secret.
var variable = compiled(`(?i)(^|_)(password|passwd|passphrase|secret|token|pat|(private|secret|access|api|signing)_?key)$`)

// IsVariable reports whether a variable holds a secret by its name, as those that CI systems and the command take do.
func IsVariable(name string) bool { return variable().MatchString(name) }

// Set is a set of secrets. The zero value is empty, and may be used from many goroutines.
type Set struct {
	mu    sync.Mutex
	known []string // longest first: one may be part of another
}

// Add adds secrets, with the forms that they take in URLs, in JSON, between Go's quotes and in base64.
func (s *Set) Add(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, value := range values {
		for _, form := range forms(value) {
			if !slices.Contains(s.known, form) {
				s.known = append(s.known, form)
			}
		}
	}
	slices.SortStableFunc(s.known, func(a, b string) int { return len(b) - len(a) })
}

func forms(value string) []string {
	if value == "" {
		return nil
	}
	quoted := strconv.Quote(value)
	ascii := strconv.QuoteToASCII(value)
	all := []string{
		value, url.QueryEscape(value), url.PathEscape(value), strings.TrimPrefix(url.UserPassword("", value).String(), ":"),
		inJSON(value, true), inJSON(value, false), quoted[1 : len(quoted)-1], ascii[1 : len(ascii)-1],
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		// Without padding it is also part of the padded form. A short value's is part of too much.
		if len(value) >= shortest {
			all = append(all, encoding.EncodeToString([]byte(value)))
		}
	}
	return all
}

// inJSON is value as it stands between the quotes of a JSON text.
func inJSON(value string, escapeHTML bool) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(escapeHTML)
	_ = encoder.Encode(value) // a string always encodes
	return strings.TrimSuffix(strings.TrimPrefix(text.String(), `"`), "\"\n")
}

// shortest is the length of the shortest secret that is searched in everything that is printed. Something shorter would be
// found in texts that have nothing to do with it.
const shortest = 6

// Known returns text without the secrets of the set, however short they are: it is for texts from where they were sent to.
func (s *Set) Known(text string) string { return s.replace(text, 1) }

// Redact returns text without the secrets of the set, and without what has the form of a secret: see [Hide].
func (s *Set) Redact(text string) string { return Hide(s.replace(text, shortest)) }

func (s *Set) replace(text string, atLeast int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.known {
		if len(secret) >= atLeast {
			text = strings.ReplaceAll(text, secret, Redacted)
		}
	}
	return text
}
