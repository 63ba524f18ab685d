package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a request.
type Fault struct {
	// Field is the setting's name as the command's flag spells it, such as "platform", or the file that is wrong.
	Field string
	// Value is what was given; empty where nothing was.
	Value string
	// Problem says what is wrong, Remedy what mends it.
	Problem, Remedy string
}

func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.Field)
	if f.Value != "" {
		fmt.Fprintf(&b, " %q", f.Value)
	}
	b.WriteString(": " + f.Problem)
	if f.Remedy != "" {
		b.WriteString(": " + f.Remedy)
	}
	return b.String()
}

// Faults is everything that is wrong with a request, in the order in which the settings are documented. It is the error
// of [Resolve] whenever the request and not the machine is at fault; the command then exits with status 2.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// faulty collects faults while settings are read.
type faulty struct{ faults Faults }

func (f *faulty) add(field, value, problem, remedy string) {
	f.faults = append(f.faults, Fault{field, value, problem, remedy})
}

// err is nil, and not an empty Faults, where nothing is wrong. What was found twice, such as for two platforms, is told once.
func (f *faulty) err() error {
	var once Faults
	for _, fault := range f.faults {
		if !slices.Contains(once, fault) {
			once = append(once, fault)
		}
	}
	if once == nil {
		return nil
	}
	return once
}
