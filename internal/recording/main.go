// Recording runs the commands of a session in a terminal and writes what it showed as an animated SVG image.
//
//	go run -C internal/recording . ../../docs/session.svg
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
)

// commands are the session. They run in a directory with the examples, a key, and a registry on localhost:5000.
var commands = []string{
	"slipway build --runtime scratch --port 8080 examples/http-server",
	"slipway publish --runtime scratch --port 8080 --repository localhost:5000/hello --tag v1.2.3 --sign-key cosign.key examples/http-server",
	"slipway verify --key cosign.pub localhost:5000/hello:v1.2.3",
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: recording FILE")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(file string) error {
	dir, err := os.MkdirTemp("", "recording-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "localhost:5000")
	if err != nil {
		return fmt.Errorf("starting a registry: %w", err)
	}
	defer listener.Close()
	go http.Serve(listener, registry.New(registry.Logger(log.New(io.Discard, "", 0)))) //nolint:errcheck // ends with the program

	env, err := environment(dir)
	if err != nil {
		return err
	}
	frames, err := record(commands, dir, env)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(render(frames)), 0o644)
}

// prepare makes what the session needs in dir: the program, the examples and a pair of keys.
func prepare(dir string) error {
	for _, command := range []string{
		"go build -o " + filepath.Join(dir, "bin") + "/ ./cmd/slipway",
		"git archive --output " + filepath.Join(dir, "examples.tar") + " HEAD examples/http-server",
		"tar -x -f " + filepath.Join(dir, "examples.tar") + " -C " + dir,
	} {
		args := strings.Fields(command)
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = filepath.Join("..", "..")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", command, err, out)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	for name, block := range map[string]pem.Block{
		"cosign.key": {Type: "PRIVATE KEY", Bytes: private},
		"cosign.pub": {Type: "PUBLIC KEY", Bytes: public},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&block), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// goVariables say where the Go command has its modules and compiled packages. Nothing else of its configuration decides on the session.
var goVariables = []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOTOOLCHAIN"}

func environment(dir string) ([]string, error) {
	env := []string{
		"PATH=" + filepath.Join(dir, "bin") + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		"XDG_CACHE_HOME=" + filepath.Join(dir, "cache"), "TERM=xterm-256color", "GOENV=off",
	}
	out, err := exec.Command("go", append([]string{"env"}, goVariables...)...).Output()
	for i, value := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		env = append(env, goVariables[i]+"="+value)
	}
	return env, err
}
