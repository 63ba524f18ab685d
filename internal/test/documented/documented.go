// Package documented compares the outputs that the documentation shows with what commands print.
//
// An output is a fenced block without a language, one of JSON, or what follows a line "$ COMMAND" in a console block. What is printed has the same
// lines, apart from what differs from one machine, moment or release to the next:
//
//   - the digits of a number, and the unit of a size (12.3MB, 812.0kB)
//   - the digits of a digest that begins with sha256:, and of one alone
//   - the width of columns
//   - "…", which stands for the rest of a word, as a word at the end of a line for the rest of the line, if any, and alone for any lines
//   - names that the caller gives, such as that of a registry
package documented

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Output is one that a page shows.
type Output struct {
	// Page is the file, from the root of the repository, and Line where the output begins.
	Page string
	Line int
	// Beginning is the line that the output is known by: its first, or that of the command.
	Beginning string
	// Lines are what was printed.
	Lines []string
}

// Pages are the files with documentation, from the root of the repository.
func Pages(root string) ([]string, error) {
	pages := []string{"README.md"}
	for _, pattern := range []string{"docs/*.md", "docs/ci/*.md", "examples/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return nil, err
			}
			pages = append(pages, filepath.ToSlash(rel))
		}
	}
	return pages, nil
}

// Block is a fenced block of a page.
type Block struct {
	Language string
	Line     int // of its first line
	Lines    []string
}

// Blocks are those of a page's text. One that is in a list is indented, and so are its fences.
func Blocks(text string) (all []Block) {
	in := false
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		switch language, isFence := strings.CutPrefix(trimmed, "```"); {
		case isFence && in:
			in = false
		case isFence:
			in = true
			all = append(all, Block{Language: language, Line: i + 2})
		case in:
			b := &all[len(all)-1]
			b.Lines = append(b.Lines, line)
		}
	}
	return all
}

// Outputs are those of a page.
func Outputs(root, page string) (all []Output, err error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page)))
	if err != nil {
		return nil, err
	}
	for _, b := range Blocks(string(text)) {
		switch b.Language {
		case "", "json":
			all = append(all, Output{page, b.Line, b.Lines[0], b.Lines})
		case "console":
			for i, line := range b.Lines {
				if strings.HasPrefix(line, "$ ") {
					all = append(all, Output{page, b.Line + i, line, nil})
					continue
				}
				if len(all) == 0 || all[len(all)-1].Page != page {
					return nil, fmt.Errorf("%s:%d: a console block begins with a command", page, b.Line)
				}
				last := &all[len(all)-1]
				last.Lines = append(last.Lines, line)
			}
		}
	}
	for i, o := range all {
		for len(o.Lines) > 0 && o.Lines[len(o.Lines)-1] == "" {
			o.Lines = o.Lines[:len(o.Lines)-1]
		}
		all[i] = o
	}
	return all, nil
}

// Compare reports how the output of a page that begins with a line differs from what was printed. names has what stands for what: a text in the
// documentation, and what was printed in its place.
func Compare(root, page, beginning, printed string, names map[string]string) error {
	outputs, err := Outputs(root, page)
	if err != nil {
		return err
	}
	for _, o := range outputs {
		if strings.HasPrefix(o.Beginning, beginning) {
			return o.compare(strings.Split(strings.TrimSuffix(printed, "\n"), "\n"), names)
		}
	}
	return fmt.Errorf("no output on %s begins with %s", page, beginning)
}

func (o Output) compare(printed []string, names map[string]string) error {
	forms := make([]*regexp.Regexp, len(o.Lines))
	for i, line := range o.Lines {
		if strings.TrimSpace(line) != anything {
			forms[i] = form(line, names)
		}
	}
	fits, best := fit(forms, printed)
	switch {
	case fits:
		return nil
	case best == len(forms):
		return fmt.Errorf("%s:%d: lines that were printed are missing; all that was printed:\n%s", o.Page, o.Line, strings.Join(printed, "\n"))
	default:
		return fmt.Errorf("%s:%d: line %d of the output was not printed there: %s\nwhat was printed:\n%s", o.Page, o.Line, best+1, o.Lines[best], strings.Join(printed, "\n"))
	}
}

// anything stands for what is left out.
const anything = "…"

// fit reports whether the lines have the forms, of which nil is that of any number of lines, and if not, how many forms fitted at best.
func fit(forms []*regexp.Regexp, lines []string) (fits bool, best int) {
	for i, f := range forms {
		if f == nil {
			best = i
			for skipped := range len(lines) + 1 {
				fits, n := fit(forms[i+1:], lines[skipped:])
				best = max(best, i+1+n)
				if fits {
					return true, best
				}
			}
			return false, best
		}
		if i >= len(lines) || !f.MatchString(lines[i]) {
			return false, i
		}
	}
	return len(forms) == len(lines), len(forms)
}

// varies finds what may differ in a line.
const varies = `sha256:[0-9a-f]+…?|\b[0-9a-f]{12,}\b|\b[0-9]+(?:\.[0-9]+)?[kMG]?B\b|[0-9]+|` + anything + `|\s+`

// form is what a printed line looks like, of a line in the documentation.
func form(line string, names map[string]string) *regexp.Regexp {
	alternatives := []string{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		alternatives = append(alternatives, regexp.QuoteMeta(name))
	}
	slices.Reverse(alternatives) // a longer name before its beginning
	pieces := regexp.MustCompile(strings.Join(append(alternatives, varies), "|"))
	var b strings.Builder
	rest, more := strings.CutSuffix(strings.TrimSpace(line), " "+anything)
	for rest != "" {
		at := pieces.FindStringIndex(rest)
		if at == nil {
			break
		}
		piece := rest[at[0]:at[1]]
		b.WriteString(regexp.QuoteMeta(rest[:at[0]]))
		rest = rest[at[1]:]
		name, named := names[piece]
		switch {
		case named:
			b.WriteString(regexp.QuoteMeta(name))
		case piece == anything:
			b.WriteString(`\S*`)
		case strings.HasPrefix(piece, "sha256:"):
			b.WriteString(`sha256:[0-9a-f]+`)
		case strings.HasSuffix(piece, "B"):
			b.WriteString(`[0-9]+(\.[0-9]+)?[kMG]?B`)
		case strings.TrimSpace(piece) == "":
			b.WriteString(`\s+`)
		case len(piece) >= 12:
			b.WriteString(`[0-9a-f]+`)
		default:
			b.WriteString(`[0-9]+`)
		}
	}
	b.WriteString(regexp.QuoteMeta(rest))
	if more {
		b.WriteString(`(\s.*)?`)
	}
	return regexp.MustCompile(`^\s*` + b.String() + `\s*$`)
}
