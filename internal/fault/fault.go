// Package fault has the one shape of a user's mistake: what is wrong with a request, where, and what mends it. A command whose error
// is of it exits with status 2; errors of all other kinds are of work that failed. Nothing is carried out of a request that has one.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a request.
type Fault struct {
	// Field is the setting's name as the command's flag spells it, such as "platform", or the file that is wrong.
	Field string
	// Value is what was given; empty where nothing was.
	Value string
	// Problem says what is wrong, Hint what mends it.
	Problem, Hint string
}

func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.Field)
	if f.Value != "" {
		fmt.Fprintf(&b, " %q", f.Value)
	}
	b.WriteString(": " + f.Problem)
	if f.Hint != "" {
		b.WriteString(": " + f.Hint)
	}
	return b.String()
}

// Faults is everything that is wrong with a request, in the order in which the settings are documented.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Add adds a fault.
func (f *Faults) Add(field, value, problem, hint string) {
	*f = append(*f, Fault{field, value, problem, hint})
}

// Err is f with each fault once, as an error: nil, and not an empty list, where nothing is wrong.
func (f Faults) Err() error {
	var once Faults
	seen := map[Fault]bool{}
	for _, one := range f {
		if !seen[one] {
			once, seen[one] = append(once, one), true
		}
	}
	if once == nil {
		return nil
	}
	return once
}

// As returns the faults in err, or nil.
func As(err error) Faults {
	var faults Faults
	var one Fault
	if !errors.As(err, &faults) && errors.As(err, &one) {
		return Faults{one}
	}
	return faults
}

// Reworder is an error that names settings by the command's flags, such as --package, and can name them otherwise.
type Reworder interface {
	error
	// Reword returns the error's text with each of Slipway's sentences as words writes it. What comes from outside stays.
	Reword(words func(sentence string) string) string
}

// Reword returns the text of err with each [Reworder] in it as words writes it.
func Reword(err error, words func(sentence string) string) string {
	text := err.Error()
	var each func(error)
	each = func(err error) {
		switch e := err.(type) {
		case Reworder:
			text = strings.ReplaceAll(text, e.Error(), e.Reword(words))
		case interface{ Unwrap() error }:
			each(e.Unwrap())
		case interface{ Unwrap() []error }:
			for _, err := range e.Unwrap() {
				each(err)
			}
		}
	}
	each(err)
	return text
}

// Reword implements [Reworder].
func (f Fault) Reword(words func(string) string) string {
	if flag := words("--" + f.Field); !strings.Contains(f.Field, ":") {
		f.Field = strings.TrimPrefix(flag, "--")
	}
	f.Problem, f.Hint = words(f.Problem), words(f.Hint)
	return f.Error()
}

// Reword implements [Reworder].
func (f Faults) Reword(words func(string) string) string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.Reword(words)
	}
	return strings.Join(lines, "\n")
}

// Sentence is an error that is a sentence of Slipway.
type Sentence string

func (s Sentence) Error() string { return string(s) }

// Reword implements [Reworder].
func (s Sentence) Reword(words func(string) string) string { return words(string(s)) }

// Join joins errors: all faults that are in them as one [Faults], each once, before the other errors. What is wrong with a source
// is wrong with every image of it.
func Join(errs ...error) error {
	var faults Faults
	var others []error
	var add func(err error)
	add = func(err error) {
		switch e := err.(type) {
		case nil:
		case Fault:
			faults = append(faults, e)
		case Faults:
			faults = append(faults, e...)
		case interface{ Unwrap() []error }:
			for _, err := range e.Unwrap() {
				add(err)
			}
		default:
			// An error that says no more than the faults in it.
			if inner := errors.Unwrap(err); inner != nil && inner.Error() == err.Error() && As(err) != nil {
				add(inner)
				return
			}
			others = append(others, err)
		}
	}
	add(errors.Join(errs...))
	return errors.Join(append([]error{faults.Err()}, others...)...)
}
