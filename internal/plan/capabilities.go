package plan

import "slices"

// Capabilities say how engines differ. The plan refuses what its engine cannot do, and has the commands that the engine needs. The zero
// value is that of no engine: a plan that is only shown refuses nothing.
type Capabilities struct {
	// NoDebian says that it puts no packages of Debian into images.
	NoDebian bool
	// NoFileCapabilities says that it gives no capabilities of Linux to files.
	NoFileCapabilities bool
	// NoVCS says that it compiles where the source's repository is not at hand.
	NoVCS bool
	// NoLayouts says that it reads no bases that are OCI layout directories.
	NoLayouts bool
	// NoLevels says that it pushes by itself, at its own level of compression.
	NoLevels bool
	// Race says when tests can detect data races.
	Race Race
	// Git reports whether builders need git, for modules that come from where they are developed.
	Git bool
}

// Race says when the race detector, which needs cgo, is at hand.
type Race int

const (
	RaceNever Race = iota
	// RaceWithCGO is where the builder has a C compiler only for cgo.
	RaceWithCGO
	RaceAlways
)

// race has the tests detect data races if the engine can.
func (r resolver) race(test Check) Check {
	e := r.config.Engine
	if !r.anyPackage || e.Race == RaceNever || e.Race == RaceWithCGO && r.cgo == "" {
		return test
	}
	test.Command = slices.Insert(slices.Clone(test.Command), 2, "-race")
	test.Env["CGO_ENABLED"] = "1"
	return test
}
