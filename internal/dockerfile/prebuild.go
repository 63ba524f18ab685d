package dockerfile

import (
	"path"

	"github.com/slipway-ci/slipway/internal/plan"
)

// prebuildStage is the stage that runs the prebuild, and prebuiltDir its directory with what that makes.
const (
	prebuildStage = "prebuild"
	prebuiltDir   = "/prebuilt"
)

// prebuild is the stage that makes files of the source.
func (d *writer) prebuild(p *plan.Plan) {
	step := p.Prebuild
	if step == nil {
		return
	}
	d.line("FROM --platform=$BUILDPLATFORM " + step.Image + " AS " + prebuildStage)
	if p.CACerts != "" {
		d.line("COPY <<\"EOF\" " + caFile + "\n" + p.CACerts + "EOF")
		d.run("cat " + caFile + " >> " + plan.CABundle)
	}
	d.line("WORKDIR " + srcDir)
	d.line("COPY . " + srcDir)
	d.run(shell(append([]string{"rm", "-rf"}, step.Outputs...)))
	d.run(append(mounts(step.Caches), execForm(step.Command))...)
	for _, output := range step.Outputs {
		at := path.Join(prebuiltDir, output)
		d.run(shell([]string{"mkdir", "-p", path.Dir(at)}) + " && " + shell([]string{"mv", output, at}))
	}
	d.line("")
}

// prebuilt brings what the prebuild makes into the source.
func (d *writer) prebuilt(p *plan.Plan) {
	if p.Prebuild == nil {
		return
	}
	remove := []string{"rm", "-rf"}
	for _, output := range p.Prebuild.Outputs {
		remove = append(remove, path.Join(srcDir, output))
	}
	d.run(shell(remove))
	d.line("COPY --from=" + prebuildStage + " " + prebuiltDir + "/ " + srcDir + "/")
}
