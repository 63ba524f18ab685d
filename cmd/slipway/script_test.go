package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build/gocache"
	"github.com/slipway-ci/slipway/internal/test/documented"
	"github.com/slipway-ci/slipway/internal/test/registrytest"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

func TestMain(m *testing.M) {
	gocache.Helper()
	testscript.Main(withCache{m}, map[string]func(){"slipway": withDebian})
}

// withCache runs the tests with a cache of Slipway's for them all.
type withCache struct{ *testing.M }

// sharedCache is the variable for tests that build what others have built, or what they have built themselves, and that are not
// about how.
var sharedCache string

func (m withCache) Run() int {
	dir, err := os.MkdirTemp("", "slipway-test-cache-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	sharedCache = "XDG_CACHE_HOME=" + dir
	return m.M.Run()
}

// The scripts in testdata/script call the command as a user would. In them:
//
//   - $REGISTRY is a registry that works, but for repositories that are called refused, forbidden and rejects; scripts run side by
//     side, so each publishes to repositories of its own
//   - $EXAMPLES is the directory with the examples, which is not to be written to
//   - $DOWN is an address that nothing listens on
//   - documented FILE PAGE BEGINNING [DOCUMENTED=PRINTED…] wants that the output of a page is what was printed
//   - exits N COMMAND… runs a command and wants that exit status
//   - flip FILE changes one bit in the middle of a file
//   - genkey NAME makes NAME.key, as cosign does, with the password correct-horse, and NAME.pub
//   - predicate REFERENCE FILE writes the provenance of an image into a file
//   - statements REFERENCE FILE prints the statements about an image that a public key's private one signed
//   - envfile VARIABLE FILE sets a variable to what a file holds
func TestScripts(t *testing.T) { runScripts(t, "testdata/script") }

// Those in testdata/slow analyze or compile much.
func TestSlowScripts(t *testing.T) {
	testtool.NeedTime(t, "govulncheck reads the standard library many times, and the standard library is compiled for two versions of Go")
	runScripts(t, "testdata/slow")
}

// Those in testdata/cgo need C compilers.
func TestCgoScripts(t *testing.T) {
	testtool.Need(t, "gcc", "gcc")
	testtool.Need(t, "aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross")
	testtool.Need(t, "musl-gcc", "musl-tools")
	runScripts(t, "testdata/cgo")
}

func runScripts(t *testing.T, dir string, setup ...func(*testscript.Env) error) {
	t.Helper()
	registry := registrytest.Start(t,
		registrytest.Fault{When: registrytest.On("", "/refused/"), Do: registrytest.Answer(http.StatusUnauthorized, "UNAUTHORIZED", "authentication required", `Www-Authenticate: Basic realm="test"`)},
		registrytest.Fault{When: registrytest.On("", "/forbidden/"), Do: registrytest.Answer(http.StatusForbidden, "DENIED", "requested access to the resource is denied")},
		registrytest.Fault{When: rejectsSubjects, Do: registrytest.Answer(http.StatusBadRequest, "MANIFEST_INVALID", "manifest invalid")},
	)
	pushBases(t, registry.Host)
	goEnv := goEnvironment(t)
	examples, err := filepath.Abs(filepath.Join("..", "..", "examples"))
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir:           dir,
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, goEnv...)
			e.Setenv("HOME", filepath.Join(e.WorkDir, ".home"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, ".cache"))
			e.Setenv("REGISTRY", registry.Host)
			e.Setenv("EXAMPLES", examples)
			e.Setenv("DOWN", registrytest.FreeAddress(t))
			e.Setenv("SLIPWAY_MIRRORS", "gcr.io="+registry.Host+",docker.io="+registry.Host)
			e.Setenv("SLIPWAY_PROGRESS", "plain")
			for _, f := range setup {
				if err := f(e); err != nil {
					return err
				}
			}
			return os.MkdirAll(filepath.Join(e.WorkDir, ".home"), 0o755)
		},
		Cmds: commands,
	})
}

// rejectsSubjects picks what a registry of before OCI 1.1 may refuse.
func rejectsSubjects(r *http.Request) bool {
	if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/rejects/") || !strings.Contains(r.URL.Path, "/manifests/") {
		return false
	}
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return err == nil && bytes.Contains(body, []byte(`"subject"`))
}

const keyPassword = "correct-horse"

// writeKeys makes a key pair in the form of cosign generate-key-pair.
func writeKeys(name, password string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err1 := x509.MarshalPKCS8PrivateKey(key)
	public, err2 := x509.MarshalPKIXPublicKey(key.Public())
	secret, err3 := encrypted.Encrypt(private, []byte(password))
	return errors.Join(err1, err2, err3,
		os.WriteFile(name+".key", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: secret}), 0o600),
		os.WriteFile(name+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o644))
}

var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"documented": showDocumented,
	"exits":      exits,
	"flip":       flip,
	"predicate":  savePredicate,
	"statements": printStatements,
	"genkey": func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(writeKeys(ts.MkAbs(args[0]), keyPassword))
	},
	"envfile": func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Setenv(args[0], ts.ReadFile(args[1]))
	},
}

// showDocumented is the command documented: what the last command printed, or a file has, is as a page of the documentation shows it, where
// [documented.Compare] says what may differ. Of what a terminal got, it is what stays there, after the live view.
func showDocumented(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: documented stdout|stderr|ttyout|FILE PAGE BEGINNING [DOCUMENTED=PRINTED…]")
	}
	names := map[string]string{}
	for _, arg := range args[3:] {
		name, value, isPair := strings.Cut(arg, "=")
		if !isPair {
			ts.Fatalf("%s is not DOCUMENTED=PRINTED", arg)
		}
		names[name] = value
	}
	printed := ts.ReadFile(args[0])
	if args[0] == "ttyout" {
		if at := strings.LastIndex(printed, ansi.ShowCursor); at >= 0 {
			printed = printed[at:]
		}
		printed = strings.ReplaceAll(ansi.Strip(printed), "\r\n", "\n")
	}
	ts.Check(documented.Compare(filepath.Join("..", ".."), args[1], args[2], printed, names))
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit := (*exec.ExitError)(nil)
		if !errors.As(err, &exit) {
			ts.Fatalf("%s did not run: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d and not %d", got, want)
	}
}

func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flip FILE")
	}
	name := ts.MkAbs(args[0])
	content, err := os.ReadFile(name)
	ts.Check(err)
	content[len(content)/2] ^= 1
	ts.Check(os.Chmod(name, 0o644)) // the module cache is read-only
	ts.Check(os.WriteFile(name, content, 0o644))
}

// callersEnviron is that of the person who runs the tests, some of which change their own.
var callersEnviron = os.Environ()

// goEnvironment is what lets a test use the Go caches of the person who runs it: filling new ones would take minutes.
func goEnvironment(t *testing.T) []string {
	t.Helper()
	names := []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE"}
	cmd := exec.Command("go", append([]string{"env"}, names...)...)
	cmd.Env = callersEnviron
	out, err := cmd.Output()
	require.NoError(t, err)
	var vars []string
	for i, value := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		vars = append(vars, names[i]+"="+value)
	}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"} {
		if value, set := os.LookupEnv(name); set {
			vars = append(vars, name+"="+value)
		}
	}
	return vars
}
