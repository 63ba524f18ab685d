package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/progress"
)

// changesShown is how many rows of a table of changes are printed.
const changesShown = 30

// diffText is the report for people: what changed in a few lines, and then in detail.
func diffText(r *slipway.Difference) string {
	var b strings.Builder
	fmt.Fprintf(&b, "from %s to %s\n", r.Before.Name, r.After.Name)
	for _, phrase := range headline(r) {
		fmt.Fprintln(&b, "  "+phrase)
	}
	if r.Equal {
		return progress.Clean(b.String())
	}
	for _, t := range changeTables(r) {
		fmt.Fprintf(&b, "\n%s\n", t.heading())
		width := 0
		for _, row := range t.shown() {
			width = max(width, min(utf8.RuneCountInString(row.name), widest))
		}
		for _, row := range t.shown() {
			fmt.Fprintf(&b, "  %s %s\n", row.mark, strings.TrimRight(fmt.Sprintf("%-*s  %s", width, row.name, row.text), " "))
		}
		if rest := t.rest(); rest != "" {
			fmt.Fprintln(&b, "    "+rest)
		}
	}
	tables, _ := sizeTables(r)
	for _, t := range tables {
		t.headers[0] = strings.ToUpper(t.headers[0])
		fmt.Fprintln(&b)
		t.write(&b)
	}
	return progress.Clean(b.String())
}

// heading is the title of a table, with the platforms that it is about unless it is about all.
func (t changeTable) heading() string {
	if t.platforms == nil {
		return t.title
	}
	return t.title + ", " + strings.Join(t.platforms, ", ")
}

func (t changeTable) shown() []changeRow { return t.rows[:min(len(t.rows), changesShown)] }

// rest says how many rows are not shown.
func (t changeTable) rest() string {
	if n := len(t.rows) - changesShown; n > 0 {
		return fmt.Sprintf("%d more, which --json has", n)
	}
	return ""
}

// diffMarkdown is the report for a pull request: what changed in a few lines, and the details folded up.
func diffMarkdown(r *slipway.Difference) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Image: %s → %s\n\n", code(r.Before.Name), code(r.After.Name))
	for _, phrase := range headline(r) {
		fmt.Fprintln(&b, "- "+escaped(phrase))
	}
	if r.Equal {
		return b.String()
	}
	for _, t := range changeTables(r) {
		begin(&b, t.heading(), "| | | |", "| --- | --- | --- |")
		for _, row := range t.shown() {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", code(row.mark), code(row.name), code(row.text))
		}
		if rest := t.rest(); rest != "" {
			fmt.Fprintf(&b, "| | | %s |\n", rest)
		}
		fmt.Fprintln(&b, "\n</details>")
	}
	tables, titles := sizeTables(r)
	for i, t := range tables {
		begin(&b, titles[i], "| | before | after | change |", "| --- | ---: | ---: | ---: |")
		for _, row := range t.rows {
			fmt.Fprintf(&b, "| %s | %s |\n", code(row[0]), strings.Join(row[1:], " | "))
		}
		fmt.Fprintln(&b, "\n</details>")
	}
	return b.String()
}

// begin begins a table that is folded up.
func begin(b *strings.Builder, title string, lines ...string) {
	fmt.Fprintf(b, "\n<details><summary>%s</summary>\n\n%s\n", escaped(title), strings.Join(lines, "\n"))
}

// markup are the characters that mean something in Markdown.
var markup = strings.NewReplacer(
	"\\", "\\\\", "|", "\\|", "`", "\\`", "*", "\\*", "_", "\\_", "<", "&lt;", ">", "&gt;", "&", "&amp;", "[", "\\[", "]", "\\]", "\n", " ",
)

// escaped is a text that Markdown shows as it is.
func escaped(text string) string { return markup.Replace(progress.Clean(text)) }

// code is a text in Markdown's form for code, also in a table. In it, nothing has a meaning, and an @ notifies nobody.
func code(text string) string {
	return "`" + strings.NewReplacer("`", "'", "|", "\\|", "\n", " ").Replace(progress.Clean(text)) + "`"
}
