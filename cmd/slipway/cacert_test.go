package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writeModule makes a module of one file in a new directory.
func writeModule(t *testing.T, name, program string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/"+name+"\n\ngo 1.26.8\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644))
	return dir
}

// A program on scratch calls a server that has a certificate of the company's own.
func TestCACert(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "welcome") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake that is to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	root := filepath.Join(t.TempDir(), "root.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(root, certificate, 0o600))
	source := writeModule(t, "caller", `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	resp, err := http.Get(os.Getenv("URL"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
}
`)
	for name, test := range map[string]struct {
		env, flags []string
		status     int
		want       string
	}{
		"with it by flag":     {flags: []string{"--ca-cert", root}, want: "welcome"},
		"with it by variable": {env: []string{"SLIPWAY_CA_CERTS=" + string(certificate)}, want: "welcome"},
		"without it":          {status: 1, want: "x509: certificate signed by unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			archive := filepath.Join(t.TempDir(), "image.tar")
			args := append([]string{"build", "--runtime", "scratch", "--platform", "linux/amd64", "--output", archive}, test.flags...)
			must(t, slipwayCommand(t, append(test.env, sharedCache), append(args, source)...))
			cmd := container(t, unpack(t, archive, "amd64"), "URL="+server.URL)
			out, _ := cmd.CombinedOutput()
			assert.Contains(t, string(out), test.want)
			assert.Equal(t, test.status, cmd.ProcessState.ExitCode())
		})
	}
}
