// Package greeting has the house's own way to greet. Tests serve it from a private repository; examples/private-module has it
// in its go.sum, so an edit here is a new version there.
package greeting

// For greets name, or everyone.
func For(name string) string {
	if name == "" {
		name = "everyone"
	}
	return "A good day to " + name
}
