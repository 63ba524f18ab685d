package plan

import (
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

// Setting is what a user can decide about an image. It is declared once, in [Settings], and is from there a flag of the command,
// a variable, a key of slipway.yaml and an argument of the Dagger module.
type Setting struct {
	// Field is the name of the field that holds the value, in [Config] or in another struct: a string, bool, [List], [Lines] or [Pairs].
	// Its tag has the variable.
	Field string
	// Variable is the environment variable.
	Variable string
	// Flag is the name of the command's flag, without dashes. Empty: only a variable or slipway.yaml sets it.
	Flag string
	// Value is what a value is called in the command's help, such as "DIR".
	Value string
	// Help says what the setting decides, or of a list what one value is. More is what users of the command need to know besides.
	Help, More string
	// Default says what holds where the setting is not given. Empty: nothing beyond the zero value.
	Default string
	// Choices are the values that there are.
	Choices []Choice
	// Enum says that there are no values besides Choices, but for those of a switch where Alone is set.
	Enum bool
	// Examples are some of many values.
	Examples []string
	// Alone is the value of the flag where it is given without one. Empty: it needs a value.
	Alone string
	// Form is that of values besides Choices and Examples; nil for none, or where it does not matter: see [Setting.Follows].
	Form *regexp.Regexp
	// Commands are the commands that have the flag. None: those that plan images, or that check where ForChecks is set.
	Commands []string
	// Template says that values are templates: see [Facts].
	Template bool
	// Content says that a flag, and an argument of the module, names files that hold the value.
	Content bool
	// Argument is the name of the module's argument where it is not the key's, because the Dagger CLI has a flag of that name.
	Argument string
	// Number says that values are whole numbers, which the Dagger module takes as such.
	Number bool
	// NotInModule says that the Dagger module has no such argument.
	NotInModule bool
	// NotInFile says that slipway.yaml has no such key: a source alone must not set it.
	NotInFile bool
	// ForChecks says that the setting is of checks, so that images of slipway.yaml cannot have it.
	ForChecks bool

	// read parses the value, with those of the settings before it at hand, and puts the result into s. Faults go to f. It is nil
	// for what is used as it is given.
	read func(c Config, s *settings, f *fault.Faults)
}

// Choice is a value of a setting.
type Choice struct {
	Value string
	// Help says what the value means, for the documentation of a Dagger module's enum.
	Help string
}

// A setting that is a list has one of these types.
type (
	// List has values without commas, as far as they are not templates: a variable separates them by commas.
	List []string
	// Lines has free texts: a variable has one on each line.
	Lines []string
	// Pairs has texts like "KEY=VALUE": a variable has one on each line, slipway.yaml has a mapping.
	Pairs []string
)

// Declare fills in the variables of settings from the tags of the fields of T.
func Declare[T any](settings ...Setting) []Setting {
	for i, s := range settings {
		field, ok := reflect.TypeFor[T]().FieldByName(s.Field)
		if !ok {
			panic("the setting " + s.Flag + " has no field " + s.Field)
		}
		settings[i].Variable, _, _ = strings.Cut(field.Tag.Get("env"), ",")
	}
	return settings
}

// In is the setting's value in the struct that target points to.
func (s Setting) In(target any) reflect.Value {
	return reflect.ValueOf(target).Elem().FieldByName(s.Field)
}

// Follows reports whether a word after the flag of a setting, which may stand alone, is its value and not the next argument.
func (s Setting) Follows(word string) bool {
	is := func(c Choice) bool { return c.Value == word }
	return word == "true" || word == "false" || slices.ContainsFunc(s.Choices, is) || slices.Contains(s.Examples, word) ||
		s.Form != nil && s.Form.MatchString(word)
}

// planning are the commands that plan images.
var planning = []string{"build", "publish", "check", "pin", "sbom", "size", "diff", "plan", "dockerfile"}

// OfCommands are the commands that have the setting's flag.
func (s Setting) OfCommands() []string {
	switch {
	case s.Commands != nil:
		return s.Commands
	case s.ForChecks:
		return []string{"check"}
	default:
		return planning
	}
}

// Key is the setting's key in slipway.yaml.
func (s Setting) Key() string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(s.Variable, "SLIPWAY_"), "_", "-"))
}

// ArgumentName is the name of the module's argument.
func (s Setting) ArgumentName() string {
	if s.Argument != "" {
		return s.Argument
	}
	first, rest, _ := strings.Cut(s.Key(), "-")
	for word := range strings.SplitSeq(rest, "-") {
		if word != "" {
			first += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return first
}

// Choices makes choices of values that explain themselves.
func Choices(values ...string) []Choice {
	choices := make([]Choice, len(values))
	for i, value := range values {
		choices[i].Value = value
	}
	return choices
}

// Usage is the help of the command's flag.
func (s Setting) Usage(target any) string {
	text := s.Help
	if len(s.Choices) > 0 {
		var values []string
		for _, choice := range s.Choices {
			values = append(values, choice.Value)
		}
		text += "; one of " + strings.Join(values, ", ")
	}
	add := func(more string) {
		if more != "" {
			text += "; " + more
		}
	}
	add(s.More)
	if s.Template {
		add("a template")
	}
	switch s.In(target).Interface().(type) {
	case List:
		add("several by commas")
	case Lines, Pairs:
		add("repeat for more")
	}
	if s.Default != "" {
		add("default: " + s.Default)
	}
	return text + " (" + s.Variable + ")"
}

// EnvDecode implements the decoder of go-envconfig.
func (l *List) EnvDecode(text string) error {
	*l = SplitList(text)
	return nil
}

// EnvDecode implements the decoder of go-envconfig.
func (l *Lines) EnvDecode(text string) error {
	*l = splitLines(text)
	return nil
}

// EnvDecode implements the decoder of go-envconfig.
func (p *Pairs) EnvDecode(text string) error {
	*p = splitLines(text)
	return nil
}

// splitLines leaves out empty lines: a block of lines in YAML ends in a newline.
func splitLines(text string) []string {
	var values []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			values = append(values, line)
		}
	}
	return values
}
