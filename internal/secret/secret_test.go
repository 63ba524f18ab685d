package secret

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const password = `p/ss "w\ord"+é<1`

// A secret is found in every form that it is printed in.
func TestRedact(t *testing.T) {
	var s Set
	s.Add(password, "abc", "")
	inJSON, err := json.Marshal(password)
	require.NoError(t, err)
	for name, form := range map[string]string{
		"itself": password, "query": url.QueryEscape(password), "path": url.PathEscape(password),
		"URL": (&url.URL{Scheme: "https", Host: "h", User: url.UserPassword("me", password)}).String(), "JSON": string(inJSON),
		"quoted": fmt.Sprintf("%q", password), "quoted ASCII": fmt.Sprintf("%+q", password),
		"base64":     base64.StdEncoding.EncodeToString([]byte(password)),
		"base64 URL": base64.RawURLEncoding.EncodeToString([]byte(password)),
	} {
		got := s.Redact("before " + form + " after")
		assert.Contains(t, got, Redacted, name)
		for _, piece := range []string{"p/ss", "ord", "p%2Fss", "cC9zcy"} {
			assert.NotContains(t, got, piece, name)
		}
	}
	assert.Equal(t, "abcdef", s.Redact("abcdef"), "what is short would be found everywhere")
	assert.Equal(t, "REDACTEDdef", s.Known("abcdef"))
	s.Add("longer", "longer one")
	assert.Equal(t, "a REDACTED", s.Redact("a longer one"), "the longest first")
}

func TestHide(t *testing.T) {
	key := "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\neyJrZGYiOnsibmFtZSI6\nc2NyeXB0In0=\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----"
	for in, want := range map[string]string{
		"a key\n" + key + "\nafter":    "a key\nREDACTED\nafter",
		fmt.Sprintf("open %q: x", key): `open "REDACTED": x`,
		key[:70]:                       "REDACTED",
		"-----BEGIN RSA PRIVATE KEY-----\r\nMII\r\n-----END RSA PRIVATE KEY-----": "REDACTED",
		"-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----":               "-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----",

		"token ghp_16C7e42F292c6912E7710c838347Ae178B4a.":                           "token REDACTED.",
		"HOST=glpat-xyzXYZ-123":                                                     "HOST=REDACTED",
		"github_pat_11ABCDE_xyz1 npm_abcdefghijklmnopqrstuvwx AKIAIOSFODNN7EXAMPLE": "REDACTED REDACTED REDACTED",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4":               "REDACTED",

		"https://u:PW@host/path":                              "https://REDACTED@host/path",
		"https://TOKEN@host":                                  "https://REDACTED@host",
		"https://u:p@ss@host/x":                               "https://REDACTED@host/x",
		"https://u:p/w@host/x":                                "https://REDACTED@host/x",
		`parse "https://u:p\"w@host/x": y`:                    `parse "https://REDACTED@host/x": y`,
		"https://a:b@h1,https://c:d@h2|direct https://e:f@h3": "https://REDACTED@h1,https://REDACTED@h2|direct https://REDACTED@h3",
		"ssh://git@host/x git+ssh://git@host":                 "ssh://git@host/x git+ssh://git@host",
		"ssh://git:PW@host/x":                                 "ssh://REDACTED@host/x",
		"base u:PW@host/app:1.0":                              "base REDACTED@host/app:1.0",
		"docker.io=u:PW@10.0.0.1:5000/hub":                    "docker.io=REDACTED@10.0.0.1:5000/hub",
		"base u:P/W@host/app:1.0":                             "base REDACTED@host/app:1.0",
		`repository "u:PW@[::1]:5000/x"`:                      `repository "REDACTED@[::1]:5000/x"`,

		"git@github.com:me/x.git":                                  "git@github.com:me/x.git",
		"localhost:5000/api:v1@sha256:0a0a":                        "localhost:5000/api:v1@sha256:0a0a",
		"golang:1.26.8-alpine@sha256:0a0a":                         "golang:1.26.8-alpine@sha256:0a0a",
		"go: example.com/m@v1.0.0: reading x":                      "go: example.com/m@v1.0.0: reading x",
		"https://proxy.golang.org/example.com/@v/list":             "https://proxy.golang.org/example.com/@v/list",
		"https://proxy.example:8080/example.com/@v/list":           "https://proxy.example:8080/example.com/@v/list",
		"pkg:golang/example.com/x@v1.2.3 pkg:deb/debian/base@12.4": "pkg:golang/example.com/x@v1.2.3 pkg:deb/debian/base@12.4",
		`{"a":"https://host","b":"x@y"}`:                           `{"a":"https://host","b":"x@y"}`,
		"tool:v2@latest me@example.com":                            "tool:v2@latest me@example.com",
		"main.go:12:5: undefined: x":                               "main.go:12:5: undefined: x",
	} {
		assert.Equal(t, want, Hide(in), "%q", in)
	}
}

// A setting that may hold a secret in the place of its name is shown only if it cannot be one.
func TestShown(t *testing.T) {
	for _, file := range []string{"release.key", "./keys/cosign.pem", "missing", "/home/me/.netrc", `C:\keys\a.key`} {
		assert.Equal(t, file, ShownFile(file, false))
	}
	for _, pasted := range []string{
		"-----BEGIN PRIVATE KEY-----\nMII", "machine a login b password c", "glpat-xyzXYZ-123", "c2VjcmV0LXZhbHVl", "AbCd/eFgH+123==", "hunter2",
		"https://u:PW@host/a.key",
	} {
		assert.Empty(t, ShownFile(pasted, false))
	}
	assert.Equal(t, "id_key1", ShownFile("id_key1", true), "a file of that name is there")
	assert.Equal(t, "GIT_TOKEN", ShownVariable("GIT_TOKEN"))
	for _, pasted := range []string{"ghp_16C7e42F292c6912E7710c838347Ae178B4a", "hunter2", "AbC-1", ""} {
		assert.Empty(t, ShownVariable(pasted))
	}
	for _, account := range []string{"git.example.com", "localhost:3000", "bob@git.example.com"} {
		assert.Equal(t, account, ShownAccount(account))
	}
	for _, pasted := range []string{"c2VjcmV0", "t0ken@git.example.com", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4"} {
		assert.Empty(t, ShownAccount(pasted))
	}
}
