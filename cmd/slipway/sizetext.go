package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/slipway-ci/slipway"
	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/progress"
	"github.com/slipway-ci/slipway/internal/size"
)

// rowsShown is how many rows of a table are printed; the last row sums up the others.
const rowsShown = 10

// sizeText is the report of one image.
func sizeText(report *slipway.SizeReport) string {
	var b strings.Builder
	for i, p := range report.Platforms {
		if i > 0 {
			fmt.Fprintln(&b)
		}
		if p.Layers != nil {
			fmt.Fprintf(&b, "%s, %s: %s compressed, %s unpacked\n", report.Name, p.Platform, console.Size(p.Compressed), console.Size(p.Unpacked))
			layerTable(p).write(&b)
		}
		for j, one := range p.Programs {
			if p.Layers != nil || j > 0 {
				fmt.Fprintln(&b)
			}
			fmt.Fprintf(&b, "%s, %s: %s with %s, %s\n", one.Path, p.Platform, one.Package, one.Go, console.Size(one.Size))
			programTables(&b, one)
		}
	}
	return progress.Clean(b.String())
}

// layerTable lists layers with their biggest files, those of a package of the distribution together.
func layerTable(p *size.Platform) *columns {
	t := &columns{headers: []string{"LAYER", "UNPACKED", "COMPRESSED"}}
	for i, l := range p.Layers {
		if l.Name != "" && i > 0 && p.Layers[i-1].Name == l.Name {
			continue // with the first of its name
		}
		name := l.Title()
		var whole size.Layer
		parts := map[string]*size.File{}
		for _, other := range p.Layers {
			if other != l && (l.Name == "" || other.Name != l.Name) {
				continue
			}
			whole.Unpacked, whole.Compressed = whole.Unpacked+other.Unpacked, whole.Compressed+other.Compressed
			for _, f := range other.Files {
				path := cmp.Or(f.Package, f.Path)
				if parts[path] == nil {
					parts[path] = &size.File{Path: path}
				}
				parts[path].Size += f.Size
				parts[path].Compressed += f.Compressed
			}
		}
		t.row(name, console.Size(whole.Unpacked), console.Size(whole.Compressed))
		var files []size.File
		for _, f := range parts {
			files = append(files, *f)
		}
		slices.SortFunc(files, func(x, y size.File) int {
			return cmp.Or(cmp.Compare(y.Size, x.Size), strings.Compare(x.Path, y.Path))
		})
		var rest size.File
		for j, f := range files {
			if j < rowsShown/2 {
				t.row("  "+f.Path, console.Size(f.Size), console.Size(f.Compressed))
				continue
			}
			rest.Size, rest.Compressed = rest.Size+f.Size, rest.Compressed+f.Compressed
		}
		if n := len(files) - rowsShown/2; n > 0 {
			t.row(fmt.Sprintf("  %d more", n), console.Size(rest.Size), console.Size(rest.Compressed))
		}
	}
	return t
}

// share is a row of a table of what a program consists of.
type share struct {
	name string
	size int64
}

func programTables(b *strings.Builder, p *size.Program) {
	var kinds, modules, packages, files []share
	for _, k := range p.Kinds {
		kinds = append(kinds, share{string(k.Kind), k.Size})
	}
	for _, m := range p.Modules {
		modules = append(modules, share{m.Title(), m.Size})
		for _, pkg := range m.Packages {
			packages = append(packages, share{pkg.Path, pkg.Size})
		}
	}
	unattributed := int64(0)
	for _, o := range p.Other {
		unattributed += o.Size
	}
	modules = append(modules, share{"not attributed", unattributed})
	for _, f := range p.EmbeddedFiles() {
		files = append(files, share{f.Name, f.Size})
	}
	for _, table := range []struct {
		header string
		rows   []share
	}{{"KIND", kinds}, {"MODULE", modules}, {"PACKAGE", packages}, {"EMBEDDED FILE", files}} {
		if len(table.rows) > 0 {
			fmt.Fprintln(b)
			shareTable(table.header, table.rows, p.Size).write(b)
		}
	}
}

// shareTable lists the biggest of rows, with their shares of the whole.
func shareTable(header string, rows []share, whole int64) *columns {
	slices.SortStableFunc(rows, func(x, y share) int { return cmp.Compare(y.size, x.size) })
	rows = slices.DeleteFunc(rows, func(r share) bool { return r.size == 0 })
	t := &columns{headers: []string{header, "SIZE", "SHARE"}}
	add := func(name string, size int64) {
		t.row(name, console.Size(size), fmt.Sprintf("%.1f%%", 100*float64(size)/float64(whole)))
	}
	rest := int64(0)
	for i, r := range rows {
		if i < rowsShown {
			add(r.name, r.size)
		} else {
			rest += r.size
		}
	}
	if n := len(rows) - rowsShown; n > 0 {
		add(fmt.Sprintf("%d more", n), rest)
	}
	return t
}

// growthText is what changed from one image to another.
func growthText(before, after *slipway.SizeReport) string {
	var b strings.Builder
	fmt.Fprintf(&b, "from %s to %s\n", before.Name, after.Name)
	differences := size.Compare(before, after)
	if len(differences) == 0 {
		fmt.Fprintln(&b, "they have no platform in common")
	}
	for _, d := range differences {
		t := &columns{headers: []string{strings.ToUpper(d.Platform), "BEFORE", "AFTER", "CHANGE"}}
		shown := map[size.Level]int{}
		for _, c := range d.Changes {
			if shown[c.Level]++; shown[c.Level] <= rowsShown/2 {
				t.row(strings.TrimSpace(string(c.Level)+" "+c.Name), console.Size(c.Before), console.Size(c.After), signed(c.Growth()))
			}
		}
		fmt.Fprintln(&b)
		if len(d.Changes) == 0 {
			fmt.Fprintln(&b, d.Platform+": nothing has another size")
			continue
		}
		t.write(&b)
	}
	return progress.Clean(b.String())
}

func signed(bytes int64) string {
	if bytes < 0 {
		return "-" + console.Size(-bytes)
	}
	return "+" + console.Size(bytes)
}

// columns is a table whose columns, but for the first, have numbers.
type columns struct {
	headers []string
	rows    [][]string
}

func (c *columns) row(cells ...string) { c.rows = append(c.rows, cells) }

// widest is the most characters of a name; longer ones lose their middle.
const widest = 72

func (c *columns) write(b *strings.Builder) {
	rows := append([][]string{c.headers}, c.rows...)
	widths := make([]int, len(c.headers))
	for _, row := range rows {
		if name := []rune(row[0]); len(name) > widest {
			row[0] = string(name[:widest/2]) + "…" + string(name[len(name)-widest/2+1:])
		}
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		fmt.Fprintf(b, "  %-*s", widths[0], row[0])
		for i, cell := range row[1:] {
			fmt.Fprintf(b, "  %*s", widths[i+1], cell)
		}
		fmt.Fprintln(b)
	}
}
