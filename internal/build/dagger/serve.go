package dagger

import (
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
)

// unprivileged is the first port that programs of any user may listen on in the engine's containers, whose network is Linux's default.
const unprivileged = 1024

// CheckService reports why the image of a plan cannot run as a service on an engine.
func CheckService(image plan.Image) error {
	var faults fault.Faults
	if len(image.Ports) == 0 {
		faults.Add("port", "", "none, and a service is reached by its ports", "give --port, or set it in slipway.yaml")
	}
	user, _, _ := strings.Cut(image.User, ":")
	for _, port := range image.Ports {
		number, _, _ := strings.Cut(port, "/")
		if n, err := strconv.Atoi(number); err == nil && n < unprivileged && user != "0" {
			faults.Add("port", strings.TrimSuffix(port, "/tcp"), "the program runs as the user "+user+", and in the engine's containers root alone may listen below 1024",
				"let it listen on a port like 8080, which up --ports "+number+":8080 brings to port "+number+" of your machine")
		}
	}
	return faults.Err()
}
