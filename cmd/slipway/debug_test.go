package main

import (
	"net/rpc"
	"net/rpc/jsonrpc"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// A remote debugger finds the program of an image on scratch at its work, and the lines of its source.
func TestDebug(t *testing.T) {
	testtool.Need(t, "skopeo", "skopeo")
	archive := filepath.Join(t.TempDir(), "image.tar")
	must(t, slipwayCommand(t, []string{sharedCache}, "build", "--debug", "--runtime", "scratch", "--platform", "linux/amd64", "--arg", "unused", "--output", archive, "../../examples/http-server"))
	bundle := unpack(t, archive, "amd64")
	port, debugPort := freePort(t), freePort(t)
	cmd := container(t, bundle, "PORT="+port)
	changeBundle(t, bundle, func(config map[string]any) {
		args := config["process"].(map[string]any)["args"].([]any)
		assert.Equal(t, "/app/dlv", args[0])
		assert.Equal(t, []any{"/app/http-server", "--", "unused"}, args[len(args)-3:])
		for i, arg := range args {
			if arg == "--listen=:40000" { // the host's own port may be taken
				args[i] = "--listen=:" + debugPort
			}
		}
	})
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() }) // killed with its debugger

	require.Eventually(t, func() bool { return get("http://127.0.0.1:"+port+"/health") == "200 OK" }, 30*time.Second, 50*time.Millisecond, "no answer")
	var client *rpc.Client
	require.Eventually(t, func() (ok bool) {
		var err error
		client, err = jsonrpc.Dial("tcp", "127.0.0.1:"+debugPort)
		return err == nil
	}, 10*time.Second, 50*time.Millisecond, "no debugger")
	defer client.Close()
	call := func(method string, args map[string]any) map[string]any {
		t.Helper()
		var out map[string]any
		require.NoError(t, client.Call("RPCServer."+method, args, &out))
		return out
	}
	// Source: https://github.com/go-delve/delve/blob/v1.27.2/service/rpc2/server.go
	call("Command", map[string]any{"name": "halt"})
	made := call("CreateBreakpoint", map[string]any{"Breakpoint": map[string]any{"functionName": "main.serve"}})
	at := made["Breakpoint"].(map[string]any)
	assert.Contains(t, at["file"], "main.go")
	assert.Positive(t, at["line"])
	call("Detach", map[string]any{"Kill": true})
}
