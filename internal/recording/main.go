// Recording runs the commands of a session in a terminal and writes what it showed as an animated SVG image.
//
//	go run -C internal/recording . session ../../docs/session.svg
//	go run -C internal/recording . cold ../../docs/cold.svg
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
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
)

// A session is some commands in a directory with an example, a key, and a registry on localhost:5000.
type session struct {
	example  string
	commands []string
	// cold says that nothing is compiled yet.
	cold bool
	// stills is how many frames, evenly apart in time, are shown of it; 0 for all, each for as long as it was there.
	stills int
}

var sessions = map[string]session{
	"session": {example: "http-server", commands: []string{
		"slipway build --runtime scratch --port 8080 examples/http-server",
		"slipway publish --runtime scratch --port 8080 --repository localhost:5000/hello --tag v1.2.3 --sign-key cosign.key examples/http-server",
		"slipway verify --key cosign.pub localhost:5000/hello:v1.2.3",
	}},
	"cold": {example: "gin-api", commands: []string{"slipway build --runtime scratch examples/gin-api"}, cold: true, stills: 5},
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 || sessions[os.Args[1]].commands == nil {
		log.Fatalf("usage: recording %s FILE", strings.Join(slices.Sorted(maps.Keys(sessions)), "|"))
	}
	if err := run(sessions[os.Args[1]], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(s session, file string) error {
	dir, err := os.MkdirTemp("", "recording-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir, s.example); err != nil {
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
	if s.cold {
		env = append(env, "GOCACHE="+filepath.Join(dir, "go-build"))
	}
	frames, err := record(s.commands, dir, env)
	if err != nil {
		return err
	}
	if s.stills > 0 {
		frames = stills(frames, s.stills)
	}
	return os.WriteFile(file, []byte(render(frames, strings.Join(s.commands, "; "))), 0o644)
}

// prepare makes what the session needs in dir: the program, the examples and a pair of keys.
func prepare(dir, example string) error {
	for _, command := range []string{
		"go build -o " + filepath.Join(dir, "bin") + "/ ./cmd/slipway",
		"git archive --output " + filepath.Join(dir, "examples.tar") + " HEAD examples/" + example,
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
