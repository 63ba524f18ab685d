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

// Read fills target, a pointer to a struct whose fields have env tags, from environ, a list of KEY=VALUE. Fields without a variable
// stay as they are. Values that their fields cannot hold are reported, all at once, as [plan.Faults].
func Read(ctx context.Context, environ []string, target any) error {
	values := nonEmpty(environ)
	var faults plan.Faults
	for field := range reflect.TypeOf(target).Elem().Fields() {
		name := Name(field)
		value, set := values[name]
		if !set {
			continue
		}
		// One by one, since the library stops at the first that is wrong.
		one := envconfig.MapLookuper(map[string]string{name: value})
		if err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: target, Lookuper: one, DefaultOverwrite: true}); err != nil {
			if field.Type.Kind() != reflect.Bool {
				return fmt.Errorf("reading the variable %s: %w", name, err)
			}
			faults = append(faults, plan.Fault{Field: name, Value: value, Problem: "neither true nor false", Hint: "write true or false"})
		}
	}
	if faults == nil {
		return nil // and not an empty list, which is an error
	}
	return faults
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
