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

	"github.com/slipway-ci/slipway/internal/fault"
)

// Read fills target, a pointer to a struct whose fields have env tags, from environ, a list of KEY=VALUE. Fields without a variable
// stay as they are. Values that their fields cannot hold are reported, all at once, as [fault.Faults].
func Read(ctx context.Context, environ []string, target any) error {
	values := nonEmpty(environ)
	var faults fault.Faults
	for _, field := range reflect.VisibleFields(reflect.TypeOf(target).Elem()) {
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
			faults.Add(name, value, "neither true nor false", "write true or false")
		}
	}
	return faults.Err()
}

// Name is the variable that fills a struct's field, or "".
func Name(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
	return name
}

// Unknown reports, as [fault.Faults], each SLIPWAY_* variable of environ that no field of the structs reads: a misspelled
// setting would otherwise be a silent one.
func Unknown(environ []string, structs ...any) error {
	var known []string
	for _, s := range structs {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(s)) {
			known = append(known, Name(field))
		}
	}
	var faults fault.Faults
	for name := range nonEmpty(environ) {
		if strings.HasPrefix(name, "SLIPWAY_") && !slices.Contains(known, name) {
			faults.Add(name, "", "no such setting", "slipway build --help lists the variables")
		}
	}
	slices.SortFunc(faults, func(a, b fault.Fault) int { return strings.Compare(a.Field, b.Field) })
	return faults.Err()
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
