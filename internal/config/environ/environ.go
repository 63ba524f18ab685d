// Package environ reads settings from environment variables. It stands beside package plan, and not in it, because the
// Dagger module gets its settings another way and should not load what reads these.
package environ

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/sethvargo/go-envconfig"

	"github.com/slipway-ci/slipway/internal/plan"
)

// Read fills target, a pointer to a struct whose fields have env tags, from environ, a list of KEY=VALUE. A value that
// its field cannot hold is reported as [plan.Faults].
func Read(ctx context.Context, environ []string, target any) error {
	values := envconfig.MapLookuper(nonEmpty(environ))
	err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: target, Lookuper: values})
	if err == nil {
		splitLists(values, reflect.ValueOf(target).Elem())
		dropEmpty(reflect.ValueOf(target).Elem())
		return nil
	}
	// The library stops at the first value and does not say what to write instead, so look for all of them.
	var faults plan.Faults
	for field := range reflect.TypeOf(target).Elem().Fields() {
		name := Name(field)
		value, set := values.Lookup(name)
		if set && field.Type.Kind() == reflect.Bool && !isBool(value) {
			faults = append(faults, plan.Fault{Field: name, Value: value, Problem: "neither true nor false", Hint: "write true or false"})
		}
	}
	if faults == nil {
		return fmt.Errorf("reading the environment: %w", err)
	}
	return faults
}

// splitLists splits the lists whose values commas separate once more: the library knows no templates.
func splitLists(values envconfig.Lookuper, target reflect.Value) {
	for i := range target.NumField() {
		field := target.Type().Field(i)
		_, isList := target.Field(i).Interface().([]string)
		if value, set := values.Lookup(Name(field)); set && isList && !strings.Contains(field.Tag.Get("env"), "delimiter=") {
			target.Field(i).Set(reflect.ValueOf(Split(value)))
		}
	}
}

// dropEmpty takes empty values out of lists: a block of lines in YAML ends in a newline.
func dropEmpty(target reflect.Value) {
	for i := range target.NumField() {
		if list, ok := target.Field(i).Interface().([]string); ok {
			target.Field(i).Set(reflect.ValueOf(slices.DeleteFunc(list, func(v string) bool { return strings.TrimSpace(v) == "" })))
		}
	}
}

// Name is the variable that fills a struct's field, or "".
func Name(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
	return name
}

// Unknown reports, as [plan.Faults], each SLIPWAY_* variable of environ that no field of the structs reads: a misspelled
// setting would otherwise be a silent one.
func Unknown(environ []string, structs ...any) error {
	var known []string
	for _, s := range structs {
		for field := range reflect.TypeOf(s).Fields() {
			known = append(known, Name(field))
		}
	}
	var faults plan.Faults
	for name := range nonEmpty(environ) {
		if strings.HasPrefix(name, "SLIPWAY_") && !slices.Contains(known, name) {
			faults = append(faults, plan.Fault{Field: name, Problem: "no such setting", Hint: "slipway build --help lists the variables"})
		}
	}
	if faults == nil {
		return nil // and not an empty list, which is an error
	}
	slices.SortFunc(faults, func(a, b plan.Fault) int { return strings.Compare(a.Field, b.Field) })
	return faults
}

// nonEmpty leaves out variables without a value: CI systems define every input, also those that nobody filled in.
func nonEmpty(environ []string) map[string]string {
	vars := map[string]string{}
	for _, kv := range environ {
		if name, value, _ := strings.Cut(kv, "="); value != "" {
			vars[name] = value
		}
	}
	return vars
}

func isBool(value string) bool {
	return slices.Contains([]string{"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"}, value)
}
