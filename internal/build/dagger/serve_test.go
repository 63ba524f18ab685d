package dagger_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/slipway-ci/slipway/internal/build/dagger"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
)

func TestCheckService(t *testing.T) {
	text := func(user string, ports ...string) string {
		err := dagger.CheckService(plan.Image{User: user, Ports: ports})
		if err == nil {
			return ""
		}
		return fault.Reword(err, dagger.Words)
	}
	assert.Empty(t, text("65532:65532", "1024", "8080/tcp", "5353/udp"))
	assert.Empty(t, text("0:0", "80"))
	assert.Empty(t, text("0", "53/udp"))
	assert.Equal(t, "ports: none, and a service is reached by its ports: give --ports, or set it in slipway.yaml", text("65532:65532"))
	assert.Equal(t, `ports "80": the program runs as the user 65532, and in the engine's containers root alone may listen below 1024: let it listen on a port like 8080, which up --ports 80:8080 brings to port 80 of your machine
ports "53/udp": the program runs as the user 65532, and in the engine's containers root alone may listen below 1024: let it listen on a port like 8080, which up --ports 53:8080 brings to port 53 of your machine`,
		text("65532:65532", "80/tcp", "8080/tcp", "53/udp"))
}
