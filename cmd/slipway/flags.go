package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/config"
	"github.com/slipway-ci/slipway/internal/config/environ"
	"github.com/slipway-ci/slipway/internal/config/options"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/plan"
)

// settings are everything that a user can set: first the variables fill them, then the flags.
type settings struct {
	image slipway.Settings
	// caCertFiles take the place of image.CACerts.
	caCertFiles []string
	options.Options
	// flagsOf are the flags that fill a setting, by its variable: one of each command that has it.
	flagsOf map[string][]*pflag.Flag
}

// read fills s from the environment.
func (s *settings) read(ctx context.Context, vars []string) error {
	s.Options = options.Defaults()
	return fault.Join(
		environ.Unknown(vars, s.image, s.Options),
		environ.Read(ctx, vars, &s.image),
		environ.Read(ctx, vars, &s.Options),
	)
}

// flagFault is the fault in err, the error of parsing a command's flags.
func flagFault(c *cobra.Command, err error) error {
	var missing *pflag.ValueRequiredError
	var wrong *pflag.InvalidValueError
	switch {
	case errors.As(err, &missing):
		return fault.Faults{{Field: missing.GetFlag().Name, Problem: "a value is missing", Hint: c.CommandPath() + " --help says what it is"}}
	case errors.As(err, &wrong): // a switch: all other values are checked later
		return fault.Faults{{Field: wrong.GetFlag().Name, Value: wrong.GetValue(), Problem: "neither true nor false", Hint: "write true or false"}}
	default:
		return fault.Faults{{Field: "flags", Problem: err.Error(), Hint: c.CommandPath() + " --help lists them"}}
	}
}

// one reports that several of what there can be one of were given, or none.
func one(what string, given []string, hint string) error {
	problem := "none was given"
	if len(given) > 0 {
		problem = fmt.Sprintf("%d were given, and one is taken at a time", len(given))
	}
	return fault.Faults{{Field: what, Value: strings.Join(given, ", "), Problem: problem, Hint: hint}}
}

// exactlyOne is for a command that takes one.
func exactlyOne(what, hint string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return one(what, args, hint)
		}
		return nil
	}
}

// flags are the flags of one command. Each stands for a setting, whose value, filled from the environment, is its default.
type flags struct {
	settings *settings
	command  *cobra.Command
	set      *pflag.FlagSet
}

// flags defines the flags that c has by the tables of settings.
func (s *settings) flags(c *cobra.Command) flags {
	if s.flagsOf == nil {
		s.flagsOf = map[string][]*pflag.Flag{}
	}
	f := flags{s, c, c.Flags()}
	f.set.SortFlags = false
	for _, table := range []struct {
		settings []plan.Setting
		target   any
	}{{config.Target(), &s.image}, {options.Results(), &s.Options}, {plan.Settings(), &s.image}, {options.Work(), &s.Options}} {
		for _, setting := range table.settings {
			if setting.Flag != "" && slices.Contains(setting.OfCommands(), c.Name()) {
				f.define(setting, table.target)
			}
		}
	}
	return f
}

// define defines the flag of a setting, whose value is in the struct that target points to.
func (f flags) define(setting plan.Setting, target any) {
	usage := setting.Usage(target)
	switch at := setting.In(target).Addr().Interface().(type) {
	case *bool:
		f.set.BoolVar(at, setting.Flag, *at, usage)
	case *string:
		if setting.Content {
			f.set.Var(&list{values: &f.settings.caCertFiles, name: setting.Value}, setting.Flag, usage+"; the variable holds their content")
		} else {
			f.set.Var(&text{at, setting.Value}, setting.Flag, usage)
		}
	case *plan.List:
		f.set.Var(&list{values: (*[]string)(at), name: setting.Value, split: plan.SplitList}, setting.Flag, usage)
	case *plan.Lines:
		f.set.Var(&list{values: (*[]string)(at), name: setting.Value}, setting.Flag, usage)
	case *plan.Pairs:
		f.set.Var(&list{values: (*[]string)(at), name: setting.Value}, setting.Flag, usage)
	}
	flag := f.set.Lookup(setting.Flag)
	flag.NoOptDefVal = cmp.Or(setting.Alone, flag.NoOptDefVal)
	f.settings.flagsOf[setting.Variable] = append(f.settings.flagsOf[setting.Variable], flag)
	values := slices.Clone(setting.Examples)
	for _, choice := range setting.Choices {
		values = append(values, choice.Value)
	}
	if len(values) == 0 {
		return
	}
	if err := f.command.RegisterFlagCompletionFunc(setting.Flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // a flag that was not defined above
	}
}

// text is the value of a flag, with the name that help shows for it.
type text struct {
	value *string
	name  string
}

func (t *text) Set(value string) error { *t.value = value; return nil }

func (t *text) String() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

func (t *text) Type() string { return t.name }

// list is the value of a flag that may be repeated. The first time that it is given, it takes the place of the variable's.
type list struct {
	values *[]string
	name   string
	split  func(string) []string // what one flag holds; nil: one value
	given  bool
}

func (l *list) Set(value string) error {
	if !l.given {
		*l.values, l.given = nil, true
	}
	if l.split == nil {
		*l.values = append(*l.values, value)
	} else {
		*l.values = append(*l.values, l.split(value)...)
	}
	return nil
}

func (l *list) String() string {
	if l.values == nil || len(*l.values) == 0 {
		return ""
	}
	return "[" + strings.Join(*l.values, ",") + "]"
}

func (l *list) Type() string { return l.name }

// completeImages lets the shell complete the names of slipway.yaml, besides directories.
func (f flags) completeImages() {
	f.command.ValidArgsFunction = func(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		file, err := readProject(".")
		if err != nil || file == nil {
			return nil, cobra.ShellCompDirectiveDefault
		}
		names := slices.DeleteFunc(file.Names(), func(name string) bool { return slices.Contains(args, name) || !strings.HasPrefix(name, begun) })
		return names, cobra.ShellCompDirectiveDefault
	}
}
