// Package page writes size reports as a page of HTML: one file, which needs no network.
package page

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"io"
	"slices"

	"github.com/slipway-ci/slipway/internal/console"
	"github.com/slipway-ci/slipway/internal/size"
	"github.com/slipway-ci/slipway/internal/size/program"
)

var (
	//go:embed page.html.tmpl
	layout string
	//go:embed page.css
	style string
	//go:embed page.js
	script string

	page = template.Must(template.New("page").Parse(layout))
)

// Write writes the page of one image, or of two to compare.
func Write(w io.Writer, reports []*size.Report) error {
	data, err := encode(reports)
	if err != nil {
		return err
	}
	title := "Size of " + reports[0].Name
	if len(reports) == 2 {
		title = "Size from " + reports[0].Name + " to " + reports[1].Name
	}
	return page.Execute(w, map[string]any{
		"Title": console.Visible(title), "Style": template.CSS(style), "Script": template.JS(script), "Data": template.JS(data),
	})
}

// document is what the page's script reads.
type document struct {
	Levels []size.Level   `json:"levels"`
	Kinds  []program.Kind `json:"kinds"`
	Images []image        `json:"images"`
}

type image struct {
	Name      string     `json:"name"`
	Platforms []platform `json:"platforms"`
}

type platform struct {
	Platform   string    `json:"platform"`
	Compressed int64     `json:"compressed"`
	Tree       *position `json:"tree"`
}

// encode is the document in JSON, in which no character has a meaning in HTML.
func encode(reports []*size.Report) ([]byte, error) {
	d := document{Levels: size.Levels, Kinds: program.Kinds}
	trees := map[string][]*size.Node{} // by platform
	for _, r := range reports {
		one := image{Name: console.Visible(r.Name)}
		for _, p := range r.Platforms {
			tree := p.Tree()
			trees[p.Platform] = append(trees[p.Platform], tree)
			one.Platforms = append(one.Platforms, platform{p.Platform, p.Compressed, &position{node: tree}})
		}
		d.Images = append(d.Images, one)
	}
	for _, same := range trees {
		group(same)
	}
	return json.Marshal(d)
}

// Limits on what the page has of the parts of one thing; what is left over is one part. Thousands of small functions would make the page
// slow, and nobody would see them.
const (
	functionsShown = 25
	partsShown     = 250
)

// group joins what is small among the parts of nodes that are the same thing in one image or two, and so on below. What one image
// has on its own, the other has, too, so that they can be compared.
func group(same []*size.Node) {
	kept := map[string]bool{}
	var names []string
	for _, n := range same {
		for i, p := range n.Parts {
			if i < shown(p) && !kept[p.Name] {
				kept[p.Name] = true
				names = append(names, p.Name)
			}
		}
	}
	for _, n := range same {
		var rest *size.Node
		parts := n.Parts[:0:0]
		for _, p := range n.Parts {
			if kept[p.Name] {
				parts = append(parts, p)
				continue
			}
			if rest == nil {
				rest = &size.Node{Name: "smaller ones", Level: p.Level, Kind: p.Kind}
			}
			rest.Size += p.Size
		}
		if rest != nil {
			parts = append(parts, rest)
		}
		n.Parts = parts
	}
	for _, name := range names {
		var below []*size.Node
		for _, n := range same {
			if i := slices.IndexFunc(n.Parts, func(p *size.Node) bool { return p.Name == name }); i >= 0 && n.Parts[i].Parts != nil {
				below = append(below, n.Parts[i])
			}
		}
		if below != nil {
			group(below)
		}
	}
}

func shown(p *size.Node) int {
	switch p.Level {
	case size.LevelFunction:
		return functionsShown
	case size.LevelModule, size.LevelPackage:
		return 1 << 30
	default:
		return partsShown
	}
}

// position is a node as an array: its name, the numbers of its level and kind (-1 for none), its size, and its parts.
type position struct{ node *size.Node }

// MarshalJSON implements json.Marshaler.
func (p *position) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	err := p.write(&b, p.node)
	return b.Bytes(), err
}

func (p *position) write(b *bytes.Buffer, n *size.Node) error {
	fields, err := json.Marshal([]any{console.Visible(n.Name), slices.Index(size.Levels, n.Level), slices.Index(program.Kinds, n.Kind), n.Size})
	if err != nil {
		return err
	}
	b.Write(fields[:len(fields)-1])
	if len(n.Parts) > 0 {
		b.WriteString(",[")
		for i, part := range n.Parts {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := p.write(b, part); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	}
	b.WriteByte(']')
	return nil
}
