package plan

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

// Reworder is an error that names settings by the command's flags, such as --package, and can name them otherwise.
type Reworder interface {
	error
	// Reword returns the error's text with each sentence of Slipway's own as words writes it. What comes from outside stays.
	Reword(words func(sentence string) string) string
}

// Reword returns the text of err with all that is a [Reworder] in it as words writes it.
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
	for i, fault := range f {
		lines[i] = fault.Reword(words)
	}
	return strings.Join(lines, "\n")
}

// Sentence is an error that is a sentence of Slipway's own.
type Sentence string

func (s Sentence) Error() string { return string(s) }

// Reword implements [Reworder].
func (s Sentence) Reword(words func(string) string) string { return words(string(s)) }

// JoinFaults joins errors: all faults that are in them as one [Faults], each once, before the other errors. What is wrong with a source
// is wrong with every image of it.
func JoinFaults(errs ...error) error {
	var faults Faults
	var others []error
	seen := map[Fault]bool{}
	var add func(err error)
	add = func(err error) {
		switch e := err.(type) {
		case nil:
		case Fault:
			if !seen[e] {
				faults, seen[e] = append(faults, e), true
			}
		case Faults:
			for _, fault := range e {
				add(fault)
			}
		case interface{ Unwrap() []error }:
			for _, err := range e.Unwrap() {
				add(err)
			}
		default:
			// What says no more than the faults in it.
			if inner := errors.Unwrap(err); inner != nil && inner.Error() == err.Error() && AsFaults(err) != nil {
				add(inner)
				return
			}
			others = append(others, err)
		}
	}
	add(errors.Join(errs...))
	if faults != nil {
		others = append([]error{faults}, others...)
	}
	return errors.Join(others...)
}

// faulty collects faults while settings are read.
type faulty struct{ faults Faults }

func (f *faulty) add(field, value, problem, hint string) {
	f.faults = append(f.faults, Fault{field, value, problem, hint})
}

// err is nil, and not an empty Faults, where nothing is wrong. What was found twice, such as for two platforms, is reported once.
func (f *faulty) err() error {
	var once Faults
	seen := map[Fault]bool{}
	for _, fault := range f.faults {
		if !seen[fault] {
			once, seen[fault] = append(once, fault), true
		}
	}
	if once == nil {
		return nil
	}
	return once
}
