package dockerfile

import (
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
)

// Plans that a Dockerfile has no notation for.
var (
	ErrDebian error = fault.Fault{
		Field: "dockerfile", Problem: "it cannot install packages of Debian without running them, nor say which they would be",
		Hint: "build the image with slipway build, or choose another runtime without --runtime-package",
	}
	ErrCapabilities error = fault.Fault{
		Field: "dockerfile", Problem: "it has no instruction that gives capabilities to a program",
		Hint: "build the image with slipway build, or leave out --capability",
	}
	ErrModules error = fault.Fault{
		Field: "dockerfile", Problem: "its one builder compiles programs of one module or workspace, and these are of several",
		Hint: "build the image with slipway build, or put the modules into one go.work",
	}
	ErrVCS error = fault.Fault{
		Field: "dockerfile", Problem: "its build context need not have the repository whose commit go build stamps",
		Hint: "build the image with slipway build, or leave out --buildvcs",
	}
	ErrArchiveBase error = fault.Fault{Field: "base", Problem: "a Dockerfile cannot build on an OCI archive", Hint: "unpack it and set --base oci:DIR"}
	ErrInvisible   error = fault.Fault{
		Field: "dockerfile", Problem: "it cannot hold characters that nobody sees, such as control characters",
		Hint: "leave them out of the settings and of the names of files",
	}
	ErrLineBreak error = fault.Fault{
		Field: "dockerfile", Problem: "it cannot hold a value of several lines", Hint: "leave the line break out of --env, --label, --link and --stamp",
	}
)

// refused is why there is no Dockerfile for a plan, as far as the plan says so; nil if there is one.
func refused(plan *plan.Plan) error {
	switch {
	case strings.HasPrefix(plan.Image.Base, "oci-archive:"):
		return ErrArchiveBase
	case plan.Image.Distribution != nil && plan.Image.Install == nil:
		return ErrDebian
	case plan.OtherModules != nil:
		return ErrModules
	case plan.Source.VCS != nil:
		return ErrVCS
	case hasCapabilities(plan):
		return ErrCapabilities
	case hasLineBreak(plan):
		return ErrLineBreak
	default:
		return nil
	}
}

func hasCapabilities(p *plan.Plan) bool {
	return slices.ContainsFunc(files(p), func(f plan.File) bool { return f.Capabilities != nil })
}

func hasLineBreak(plan *plan.Plan) bool {
	values := slices.Concat(plan.Image.Env, plan.Compile[0].Flags, []string{plan.Image.Base, plan.Source.Dir})
	for k, v := range plan.Image.Labels {
		values = append(values, k, v)
	}
	for _, f := range files(plan) {
		values = append(values, f.Link)
	}
	return slices.ContainsFunc(values, func(v string) bool { return strings.ContainsAny(v, "\r\n") })
}
