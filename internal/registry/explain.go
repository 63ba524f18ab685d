package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/slipway-ci/slipway/internal/secret"
)

// Error is a failure in the words of its reader. It unwraps to what caused it.
type Error struct {
	// Problem says what is wrong, Hint what mends it; that is empty where nobody can know.
	Problem, Hint string

	err error
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Problem
	}
	return e.Problem + ": " + e.Hint
}

func (e *Error) Unwrap() error { return e.err }

// Reword returns the error's text with the problem and the hint as words writes them.
func (e *Error) Reword(words func(string) string) string {
	return (&Error{Problem: words(e.Problem), Hint: words(e.Hint)}).Error()
}

// Explain turns an error of using ref into an [Error] that names the registry, its answer, where the credential came
// from, and the hint; never a password or token. What is explained already, it returns as it is.
func (c *Client) Explain(ref name.Reference, err error) error {
	var explained *Error
	if err == nil || errors.As(err, &explained) {
		return err
	}
	if strings.Contains(err.Error(), "no token in bearer response") {
		err = errNoToken
	}
	hideQuery(err)
	problem, hint := c.explain(ref, err)
	var final *gaveUp
	if errors.As(err, &final) {
		problem += ", " + final.effort()
	}
	return &Error{Problem: secret.Hide(c.secrets.Known(problem)), Hint: hint, err: err}
}

// errNoToken stands for an error of go-containerregistry whose text has the token server's whole answer, in which there
// may be a token under another name.
var errNoToken = errors.New("the token server answered without a token")

// hideQuery takes queries and logins out of the URLs that net/http puts into its errors: upload sessions and redirects
// to storage carry tokens there.
func hideQuery(err error) {
	for _, failed := range requestErrors(err) {
		if u, err := url.Parse(failed.URL); err == nil {
			failed.URL = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
		}
	}
}

// requestErrors are the errors of the requests in err, outermost first: asking a token server is a request within one.
func requestErrors(err error) (failed []*url.Error) {
	for next := (*url.Error)(nil); errors.As(err, &next); err = next.Err {
		failed = append(failed, next)
	}
	return failed
}

func (c *Client) explain(ref name.Reference, err error) (problem, hint string) {
	host := failedHost(ref, err)
	if errors.Is(err, context.Canceled) {
		return fmt.Sprintf("%s: stopped before it was done", ref), ""
	}
	// Certificates come before answers: go-containerregistry also tries plain http with a registry on this machine, and
	// then the first error is the one that counts.
	if problem, hint := explainCertificate(host, err); problem != "" {
		return problem, hint
	}
	var answered *transport.Error
	if errors.As(err, &answered) {
		return c.explainAnswer(ref, answered)
	}
	if problem, hint := explainConnection(host, err); problem != "" {
		return problem, hint
	}
	if errors.Is(err, errNoToken) {
		return fmt.Sprintf("%s: %v", ref, err), "log in anew with `docker login " + host + "`"
	}
	return fmt.Sprintf("%s: %v", ref, err), ""
}

func (c *Client) explainAnswer(ref name.Reference, answered *transport.Error) (problem, hint string) {
	what, repository := refused(ref, answered)
	host, answer := hostOf(repository), answerOf(answered)
	source, user := c.keychain.used(repository)
	if user != "" {
		answer += fmt.Sprintf("; the user is %q", user)
	}
	login := fmt.Sprintf("`docker login %s`, or name the directory of a config.json with a valid login by DOCKER_CONFIG", host)
	switch status := answered.StatusCode; {
	case status < 500 && onTag(ref, answered) && immutable.MatchString(answer):
		problem = fmt.Sprintf("%s does not move the tag %s (%s)", host, what, answer)
		if digestTag.MatchString(ref.Identifier()) {
			return problem, "allow tags of that repository to be overwritten, at least those that begin with sha256-"
		}
		return problem, "choose another tag, or allow tags of that repository to be overwritten"
	case status == http.StatusUnauthorized:
		return fmt.Sprintf("%s refuses access to %s with %s (%s)", host, what, source, answer), login
	case status == http.StatusForbidden:
		return fmt.Sprintf("%s does not allow this with %s: %s (%s)", host, source, what, answer),
			"give that account the right to the repository, or use another: " + login
	case status == http.StatusNotFound:
		return fmt.Sprintf("%s has no %s, or does not show it with %s (%s)", host, what, source, answer),
			fmt.Sprintf("correct the name or tag, create the repository if %s wants that first, or log in with `docker login %s`",
				host, host)
	case status == http.StatusTooManyRequests:
		return fmt.Sprintf("%s refuses more requests for %s with %s (%s)", host, what, source, answer),
			fmt.Sprintf("wait, raise the limit with `docker login %s`, or pull through a mirror", host)
	case status == http.StatusRequestEntityTooLarge:
		return fmt.Sprintf("%s refuses %s for its size (%s)", host, what, answer),
			"raise the body size limit of the registry or of the proxy before it (nginx: client_max_body_size)"
	case status == http.StatusRequestTimeout || status >= 500:
		return fmt.Sprintf("%s fails on %s (%s)", host, what, answer), "try again later: the fault is at the registry"
	default:
		return fmt.Sprintf("%s refuses %s (%s)", host, what, answer), ""
	}
}

// repositoryPath is the part of a registry's API that is about one repository.
var repositoryPath = regexp.MustCompile(`^/v2/(.+)/(blobs|manifests|referrers|tags)/`)

// immutable is in the answers of registries to a push of a tag that they hold to what it leads to.
var immutable = regexp.MustCompile(`(?i)immutab|overwrit|already exist`)

// digestTag is a tag that is named after a digest, which nobody chooses: it lists what is attached to that.
var digestTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}`)

// onTag reports whether what answered is the push of a tag.
func onTag(ref name.Reference, answered *transport.Error) bool {
	_, tag := ref.(name.Tag)
	return tag && answered.Request != nil && answered.Request.Method == http.MethodPut
}

// refused returns what answered is about: ref as a rule, but pushing to one registry also reads a base image's layers
// from another.
func refused(ref name.Reference, answered *transport.Error) (what string, repository name.Repository) {
	if r := answered.Request; r != nil && r.URL.Host != ref.Context().RegistryStr() {
		if path := repositoryPath.FindStringSubmatch(r.URL.Path); path != nil {
			if other, err := name.NewRepository(r.URL.Host + "/" + path[1]); err == nil {
				return other.String(), other
			}
		}
	}
	return ref.String(), ref.Context()
}

// answerOf is a registry's answer in short: the status, and its codes and messages.
func answerOf(answered *transport.Error) string {
	answer := fmt.Sprintf("%d %s", answered.StatusCode, http.StatusText(answered.StatusCode))
	for _, d := range answered.Errors {
		answer += "; " + strings.TrimSuffix(fmt.Sprintf("%s: %s", d.Code, d.Message), ": ")
	}
	if len(answered.Errors) > 0 {
		return answer
	}
	// An answer in another form than that of registries is in the text alone. Pages of proxies do not help.
	if _, text, found := strings.Cut(answered.Error(), answer+": "); found && !strings.HasPrefix(strings.TrimSpace(text), "<") {
		text = strings.Join(strings.Fields(text), " ")
		answer += ": " + strings.ToValidUTF8(text[:min(len(text), 200)], "")
	}
	return answer
}

func explainCertificate(host string, err error) (problem, hint string) {
	var (
		unknown x509.UnknownAuthorityError
		other   *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &unknown):
		return fmt.Sprintf("the certificate of %s is signed by an authority that this machine does not know", host),
			"name a file with its certificate by SSL_CERT_FILE, or add that to the system's trusted ones (macOS, Windows)"
	case errors.As(err, &other):
		return fmt.Sprintf("the certificate of %s is not valid: %v", host, other.Err),
			"check the host's name, its certificate and this machine's clock"
	}
	return "", ""
}

func explainConnection(host string, err error) (problem, hint string) {
	var (
		record   tls.RecordHeaderError
		dns      *net.DNSError
		op       *net.OpError
		netErr   net.Error
		redirect *redirectError
		slow     *slowError
		broken   *interrupted
		final    *gaveUp
	)
	// A registry on this machine is tried by https and by http, and only http is tried again: what it failed by counts.
	if errors.As(err, &final) {
		err = final.cause
	}
	switch {
	case errors.As(err, &redirect):
		return redirect.problem, "correct the registry's settings, or those of the proxy before it"
	case errors.Is(err, errTooLong):
		return fmt.Sprintf("%s: %v", host, errTooLong), "check that it is a registry"
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("there is no host %s", dns.Name), "correct the name; where a proxy is needed, set HTTPS_PROXY"
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return fmt.Sprintf("the proxy before %s cannot be reached: %v", host, op.Err),
			"check HTTPS_PROXY and HTTP_PROXY, or add the host to NO_PROXY"
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Sprintf("no connection to %s: %v", host, innermost(err)),
			"check that the registry is running and its name and port are right; where a proxy is needed, set HTTPS_PROXY"
	case errors.As(err, &slow):
		return fmt.Sprintf("%s: %v", host, slow), "try again later, or through a network or mirror that is faster"
	case errors.As(innermost(err), &netErr) && netErr.Timeout():
		return fmt.Sprintf("%s does not answer, or reads uploads too slowly", host),
			"check that it is a registry and works; where a proxy is needed, set HTTPS_PROXY"
	case final == nil && (errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/"):
		return fmt.Sprintf("%s speaks plain http, and https was expected", host),
			"give it a certificate, reach it as localhost:PORT, or write http:// before it where it is a mirror"
	case final != nil, errors.As(err, &broken):
		return fmt.Sprintf("the connection to %s broke: %v", host, innermost(err)),
			"try again; if it stays, read the registry's logs, and those of proxies on the way"
	}
	return "", ""
}

// failedHost is the host that did not do its part: a registry may send to token servers and storage.
func failedHost(ref name.Reference, err error) string {
	if failed := requestErrors(err); len(failed) > 0 {
		if u, err := url.Parse(failed[len(failed)-1].URL); err == nil && u.Host != "" && u.Host != name.DefaultRegistry {
			return u.Host
		}
	}
	return hostOf(ref.Context())
}

// innermost leaves out the layers of "Get …: dial tcp …: connect: …" that repeat what the sentence says.
func innermost(err error) error {
	for {
		var op *net.OpError
		switch {
		case errors.As(err, &op) && op.Err != nil:
			err = op.Err
		case errors.Unwrap(err) != nil:
			err = errors.Unwrap(err)
		default:
			return err
		}
	}
}
