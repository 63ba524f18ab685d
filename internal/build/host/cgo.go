package host

import (
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/plan"
)

// FindCompiler finds a C compiler on this machine.
func FindCompiler(p plan.Compile) (string, error) {
	names := slices.Concat([]string{p.C.Compiler}, p.C.Others)
	if runtime.GOOS == p.Platform.OS && runtime.GOARCH == p.Platform.Architecture {
		names = append(names, p.C.Native...)
	}
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			return name, nil
		}
	}
	return "", fmt.Errorf("there is no C compiler for %s on the PATH, under any of the names %s: %s", p.Platform, strings.Join(names, ", "), p.C.Hint)
}
