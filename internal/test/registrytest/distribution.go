package registrytest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// User and Password are the login of registries that [StartDistribution] starts with authentication.
const (
	User     = "slipway-test"
	Password = "correct-horse-battery"
)

// passwordHash is bcrypt of Password with the least cost. It is written down so that no test needs bcrypt.
const passwordHash = "$2a$04$4luuDSvpCyINwF0VMAXGaO/u3dH5J57nr3IKx5XTHpgUGAtx74AmK"

// StartDistribution starts the distribution project's registry (Debian's package docker-registry) on a loopback port,
// with its files in the test's directory, until the test ends; with authentication, it wants [User] and [Password]. It
// returns the address. Where the program is not installed, the test is skipped.
func StartDistribution(t testing.TB, authentication bool) (host string) {
	t.Helper()
	return StartDistributionAt(t, "127.0.0.1", authentication)
}

// StartDistributionAt is [StartDistribution] on an IP address of this machine.
func StartDistributionAt(t testing.TB, ip string, authentication bool) (host string) {
	t.Helper()
	program := testtool.Need(t, "docker-registry", "docker-registry")
	directory := t.TempDir()
	host = freeAddress(t, ip)
	config := fmt.Sprintf("version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n",
		filepath.Join(directory, "content"), host)
	if authentication {
		users := filepath.Join(directory, "htpasswd")
		require.NoError(t, os.WriteFile(users, []byte(User+":"+passwordHash+"\n"), 0o600))
		config += fmt.Sprintf("auth: {htpasswd: {realm: test, path: %q}}\n", users)
	}
	file := filepath.Join(directory, "config.yml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))

	var output bytes.Buffer
	cmd := exec.Command(program, "serve", file)
	cmd.Stdout, cmd.Stderr = &output, &output
	// The settings in the file are the only ones.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + directory, "OTEL_TRACES_EXPORTER=none"}
	require.NoError(t, cmd.Start())
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-exited
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if answers(host) {
			return host
		}
		select {
		case err := <-exited:
			exited <- err // for the cleanup
			t.Fatalf("docker-registry ended at once: %v\n%s", err, &output)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("docker-registry does not answer after 10 seconds")
		}
	}
}

func answers(host string) bool {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	resp, err := client.Get("http://" + host + "/v2/")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusUnauthorized
}

// FreeAddress returns a loopback address that nothing listens on at this moment.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return freeAddress(t, "127.0.0.1")
}

func freeAddress(t testing.TB, ip string) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}
