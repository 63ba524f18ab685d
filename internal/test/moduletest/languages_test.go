package moduletest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The examples in shell are calls of the module, each in a script of its name for the Daggerverse: that of a function, and perhaps what it shows.
func TestShellExamples(t *testing.T) {
	all, values := functions(t)
	scripts, err := filepath.Glob("../../../examples/shell/*.sh")
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		require.NoError(t, err)
		calls := slipCall.FindAllStringSubmatch(strings.ReplaceAll(string(text), ">", "#"), -1)
		require.Len(t, calls, 1, script)
		assert.Empty(t, wrong(strings.Fields(calls[0][1]), all, values), calls[0][1])
	}
}

var (
	// chain is a call of the module in Python or TypeScript, up to the end of its statement.
	chain = regexp.MustCompile(`(?s)dag\s*\.slipway\(.*?(?:\n\s*\n|\n  }\n|$)`)
	// link is one call of a chain: its name, and its arguments.
	link = regexp.MustCompile(`(?s)\.(\w+)\(([^()]*(?:\([^()]*\)[^()]*)*)\)`)
	// named is an argument by its name; in TypeScript a variable of that name may stand for both.
	named = regexp.MustCompile(`(?:^|[({,]\s*)(\w+)(?:\s*[=:]\s*|\s*[,}])`)
)

// words are a chain as the words of a call in shell, with "x" for values.
func words(chain string, all map[string]function) []string {
	var words []string
	for i, call := range link.FindAllStringSubmatch(chain, -1) {
		name := kebab(strings.ReplaceAll(call[1], "_", "-"))
		if i > 0 {
			words = append(words, name)
		} else {
			name = ""
		}
		arguments := regexp.MustCompile(`(?s)\[.*?\]`).ReplaceAllString(call[2], "x")
		for _, argument := range named.FindAllStringSubmatch(arguments, -1) {
			flag := kebab(strings.ReplaceAll(argument[1], "_", "-"))
			words = append(words, "--"+flag)
			if all[name][flag] != "bool" {
				words = append(words, "x")
			}
		}
	}
	return words
}

// The examples in Python and TypeScript call functions, with arguments, that the module has.
func TestExamplesOfOtherLanguages(t *testing.T) {
	all, _ := functions(t)
	for _, file := range []string{"python/src/examples/main.py", "typescript/src/index.ts"} {
		text, err := os.ReadFile("../../../examples/" + file)
		require.NoError(t, err)
		chains := chain.FindAllString(string(text), -1)
		assert.Len(t, chains, 5, file)
		for _, c := range chains {
			assert.Empty(t, wrong(words(c, all), all, nil), c)
		}
	}
	for call, want := range map[string]string{
		`dag.slipway(source=source).build()`:                                "",
		`dag.slipway({ source }).build()`:                                   "",
		`dag.slipway(nosuch=source).build()`:                                "no flag --nosuch of ",
		`dag.slipway({ nosuch }).build()`:                                   "no flag --nosuch of ",
		`dag.slipway(source=source).biuld()`:                                "no function biuld",
		`dag.slipway({ source }).publish({ repository: "a", tag: ["b"] })`:  "no flag --tag of publish",
		`dag.slipway(source=source).with_login("me", token).publish(tag=1)`: "no flag --tag of publish",
	} {
		assert.Equal(t, want, wrong(words(call, all), all, nil), call)
	}
}
