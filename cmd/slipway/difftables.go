package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/mod/semver"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/diff"
	"github.com/slipway-ci/slipway/internal/size"
	"github.com/slipway-ci/slipway/internal/vulndb"
)

// changeRow is a row of a table of what changed.
type changeRow struct {
	mark string // of added, removed, changed
	name string
	text string
}

// Marks of rows.
const (
	added   = "+"
	removed = "-"
	changed = "~"
)

// changeTable is a table of what changed, which is the same for some platforms.
type changeTable struct {
	title string
	rows  []changeRow
	// platforms are those that the table is about; nil for all.
	platforms []string
}

// kinds are the tables that a report can have, in the order of what a reader asks first.
var kinds = []struct {
	title string
	rows  func(d *diff.Difference) []changeRow
}{
	{"Vulnerabilities", vulnerabilityRows},
	{"Go", func(d *diff.Difference) []changeRow { return oneRow("version", d.Go) }},
	{"Base", baseRows},
	{"Modules", moduleRows},
	{"Settings", func(d *diff.Difference) []changeRow { return rowsOf(d.Settings) }},
	{"Build settings", buildRows},
	{"Main packages", func(d *diff.Difference) []changeRow { return rowsOf(d.Programs) }},
	{"Files", fileRows},
	{"Functions with other code", func(d *diff.Difference) []changeRow {
		var rows []changeRow
		for _, name := range d.Functions {
			rows = append(rows, changeRow{changed, name, ""})
		}
		return rows
	}},
}

// changeTables are those of all platforms that both images have. What is the same for several is there once.
func changeTables(r *slipway.Difference) []changeTable {
	both := bothHave(r)
	var tables []changeTable
	for _, kind := range kinds {
		begin := len(tables)
		for _, d := range both {
			rows := kind.rows(d)
			if len(rows) == 0 {
				continue
			}
			i := slices.IndexFunc(tables[begin:], func(t changeTable) bool { return slices.Equal(t.rows, rows) })
			if i < 0 {
				tables, i = append(tables, changeTable{title: kind.title, rows: rows}), len(tables)-begin
			}
			tables[begin+i].platforms = append(tables[begin+i].platforms, d.Platform)
		}
		if len(tables) > begin && len(tables[begin].platforms) == len(both) {
			tables[begin].platforms = nil
		}
	}
	return tables
}

// bothHave are the platforms that both images have.
func bothHave(r *slipway.Difference) []*diff.Difference {
	return slices.DeleteFunc(slices.Clone(r.Platforms), func(d *diff.Difference) bool { return d.Manifest.Before == "" || d.Manifest.After == "" })
}

func rowOf(c diff.Change) changeRow {
	switch {
	case c.Before == "":
		return changeRow{added, c.Name, c.After}
	case c.After == "":
		return changeRow{removed, c.Name, c.Before}
	default:
		return changeRow{changed, c.Name, c.Before + " → " + c.After}
	}
}

func rowsOf(changes []diff.Change) []changeRow {
	var rows []changeRow
	for _, c := range changes {
		rows = append(rows, rowOf(c))
	}
	return rows
}

func oneRow(name string, c *diff.Change) []changeRow {
	if c == nil {
		return nil
	}
	row := rowOf(*c)
	row.name = name
	return []changeRow{row}
}

func baseRows(d *diff.Difference) []changeRow {
	rows := append(oneRow("image", d.Base), oneRow("system", d.System)...)
	for _, row := range rowsOf(d.Packages) {
		row.name = "package " + row.name
		rows = append(rows, row)
	}
	return rows
}

// buildRows have of long lists, such as DefaultGODEBUG, what is in one alone.
func buildRows(d *diff.Difference) []changeRow {
	rows := rowsOf(d.Build)
	for i, c := range d.Build {
		before, after := strings.Split(c.Before, ","), strings.Split(c.After, ",")
		if rows[i].mark != changed || len(before) < 2 && len(after) < 2 {
			continue
		}
		var parts []string
		for _, list := range []struct {
			mark        string
			list, other []string
		}{{removed, before, after}, {added, after, before}} {
			for _, element := range list.list {
				if !slices.Contains(list.other, element) {
					parts = append(parts, list.mark+element)
				}
			}
		}
		rows[i].text = strings.Join(parts, " ")
	}
	return rows
}

func moduleRows(d *diff.Difference) []changeRow {
	var rows []changeRow
	for _, m := range d.Modules {
		row := rowOf(m.Change)
		switch {
		case m.From != "":
			row.text = m.From + " " + m.Before + " → " + m.After
		case row.mark == changed && semver.Compare(m.Before, m.After) > 0:
			row.text += " (older)"
		}
		rows = append(rows, row)
	}
	return rows
}

func vulnerabilityRows(d *diff.Difference) []changeRow {
	if d.Vulnerabilities == nil {
		return nil
	}
	var rows []changeRow
	add := func(mark string, list []vulndb.Vulnerability) {
		for _, v := range list {
			text := strings.TrimSpace(v.Module + " " + v.Version + ": " + v.Summary)
			if v.Fixed != "" {
				text += " (fixed in " + v.Fixed + ")"
			}
			rows = append(rows, changeRow{mark, v.ID, text})
		}
	}
	add(added, d.Vulnerabilities.Gained)
	add(removed, d.Vulnerabilities.Lost)
	return rows
}

// fileRows leave out the files of packages that are another version, which the packages stand for, and the programs' sizes, which have
// a table of their own.
func fileRows(d *diff.Difference) []changeRow {
	var rows []changeRow
	times := 0
	moved := func(name string) bool {
		return slices.ContainsFunc(d.Packages, func(c diff.Change) bool { return c.Name == name })
	}
	for _, f := range d.Files {
		what := f.Changed()
		switch {
		case f.Package != "" && (moved(f.Package) || len(d.Packages) > 0 && f.Package == diff.PackageDatabase):
		case slices.Equal(what, []string{"time"}):
			times++
		case f.Before == nil:
			rows = append(rows, changeRow{added, f.Path, fileText(f.After)})
		case f.After == nil:
			rows = append(rows, changeRow{removed, f.Path, fileText(f.Before)})
		default:
			rows = append(rows, changeRow{changed, f.Path, fileChange(f, what)})
		}
	}
	if times > 0 {
		rows = append(rows, changeRow{changed, counted(times, "file"), "another time, and nothing else"})
	}
	return rows
}

func fileText(f *diff.File) string {
	switch f.Kind {
	case "":
		return console.Size(f.Size)
	case "link":
		return "link to " + f.Link
	}
	return f.Kind
}

// fileChange says what of a file is another. How much a program grew depends on the platform, and has a table of its own.
func fileChange(f diff.FileChange, what []string) string {
	var parts []string
	for _, part := range what {
		switch {
		case part == "mode":
			part = "mode " + f.Before.Mode + " → " + f.After.Mode
		case part == "owner":
			part = "owner " + f.Before.Owner + " → " + f.After.Owner
		case part == "link":
			part = "link to " + f.Before.Link + " → " + f.After.Link
		case part == "content" && f.Program:
			part = "program"
		case part == "content" && f.Before.Size != f.After.Size:
			part = "content, " + console.Size(f.Before.Size) + " → " + console.Size(f.After.Size)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// headline says in a few phrases what changed.
func headline(r *slipway.Difference) []string {
	if r.Equal {
		return []string{"equal to the byte: " + r.After.Digest}
	}
	tables := changeTables(r)
	var phrases []string
	for _, kind := range kinds {
		var rows []changeRow
		for _, t := range tables {
			for _, row := range t.rows {
				if t.title == kind.title && !slices.Contains(rows, row) {
					rows = append(rows, row)
				}
			}
		}
		if len(rows) > 0 {
			phrases = append(phrases, phraseOf(kind.title, rows))
		}
	}
	for _, d := range r.Platforms {
		switch {
		case d.Manifest.Before == "":
			phrases = append(phrases, d.Platform+" added")
		case d.Manifest.After == "":
			phrases = append(phrases, d.Platform+" removed")
		}
	}
	if phrases == nil {
		phrases = append(phrases, "nothing in the images but how their layers or manifests are written")
	}
	for _, d := range bothHave(r) {
		i := slices.IndexFunc(d.Sizes, func(c size.Change) bool { return c.Level == size.LevelCompressed })
		if i >= 0 {
			c := d.Sizes[i]
			text := "image " + console.Size(c.Before) + " → " + console.Size(c.After) + " (" + percent(c) + ")"
			if len(r.Platforms) > 1 {
				text += " for " + d.Platform
			}
			phrases = append(phrases, text)
			break
		}
	}
	return phrases
}

func percent(c size.Change) string {
	return fmt.Sprintf("%+.1f%%", 100*float64(c.Growth())/float64(max(c.Before, 1)))
}

// rowsNamed is how many rows of a table a headline names. Of more, it has the number.
const rowsNamed = 3

// phraseOf is a headline's phrase for the rows of a table.
func phraseOf(title string, rows []changeRow) string {
	words := map[string]string{changed: "changed", added: "added", removed: "removed"}
	switch title {
	case "Go":
		return "Go " + rows[0].text
	case "Vulnerabilities":
		words = map[string]string{added: "gained", removed: "lost"}
	case "Functions with other code":
		return counted(len(rows), "function") + " with other code"
	}
	var parts []string
	for _, row := range rows {
		if title == "Base" && row.name == "image" && row.mark == changed {
			row.text = "" // two references are no headline
		}
		switch {
		case row.mark != changed || row.text == "" || utf8.RuneCountInString(row.text) > 60:
			parts = append(parts, row.name+" "+words[row.mark])
		default:
			parts = append(parts, row.name+" "+row.text)
		}
	}
	if len(rows) > rowsNamed {
		parts = nil
		for _, mark := range []string{changed, added, removed} {
			if n := len(slices.DeleteFunc(slices.Clone(rows), func(r changeRow) bool { return r.mark != mark })); n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, words[mark]))
			}
		}
	}
	return strings.ToLower(title) + ": " + strings.Join(parts, ", ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// sizeRows are the biggest changes of a platform, a few of each level.
func sizeRows(d *diff.Difference, levels ...size.Level) []size.Change {
	var rows []size.Change
	shown := map[size.Level]int{}
	for _, c := range d.Sizes {
		if slices.Contains(levels, c.Level) && shown[c.Level] < rowsShown/2 {
			shown[c.Level]++
			rows = append(rows, c)
		}
	}
	return rows
}

// sizeTables are how much the images grew, and in which parts of the first platform's. Each row has a name and three sizes.
func sizeTables(r *slipway.Difference) (tables []columns, titles []string) {
	add := func(title string, rows []size.Change, name func(size.Change) string) {
		if len(rows) == 0 {
			return
		}
		t := columns{headers: []string{title, "BEFORE", "AFTER", "CHANGE"}}
		for _, c := range rows {
			t.row(name(c), console.Size(c.Before), console.Size(c.After), signed(c.Growth()))
		}
		tables, titles = append(tables, t), append(titles, title)
	}
	both := bothHave(r)
	var totals []size.Change
	for _, d := range both {
		for _, c := range sizeRows(d, size.LevelCompressed, size.LevelImage) {
			c.Name = d.Platform
			totals = append(totals, c)
		}
	}
	add("Size", totals, func(c size.Change) string {
		return c.Name + cmp.Or(map[size.Level]string{size.LevelImage: ", unpacked"}[c.Level], ", compressed")
	})
	for _, d := range both {
		rows := sizeRows(d, size.LevelProgram, size.LevelModule, size.LevelPackage, size.LevelFunction)
		if len(rows) == 0 {
			continue
		}
		add("Size in programs, "+d.Platform, rows, func(c size.Change) string { return string(c.Level) + " " + c.Name })
		break // the others are alike
	}
	return tables, titles
}
