package size

import (
	"cmp"
	"slices"
	"strings"

	"github.com/slipway-ci/slipway/internal/size/program"
)

// Node is a part of an image or program, in the tree of all of them. The sizes of its parts add up to its own.
type Node struct {
	Name string
	// Level says what it is, such as LevelModule. Kind is that of the bytes, where they all have one.
	Level Level
	Kind  program.Kind
	Size  int64
	Parts []*Node
}

// Level is what a part is.
type Level string

// Levels of parts, from the top down.
const (
	LevelImage     Level = "image"
	LevelLayer     Level = "layer"
	LevelInstalled Level = "distribution package"
	LevelFile      Level = "file"
	LevelProgram   Level = "program"
	LevelModule    Level = "module"
	LevelPackage   Level = "package"
	LevelFunction  Level = "function"
	LevelBytes     Level = "bytes" // of one kind
)

// Levels are those of the tree.
var Levels = []Level{LevelImage, LevelLayer, LevelInstalled, LevelFile, LevelProgram, LevelModule, LevelPackage, LevelFunction, LevelBytes}

// Tree is everything that the image of a platform has, unpacked, with the biggest part of each first.
func (p *Platform) Tree() *Node {
	if p.Layers == nil {
		return programNode(p.Programs[0])
	}
	programs := map[string]*Program{}
	for _, one := range p.Programs {
		programs[one.Path] = one
	}
	root := &Node{Name: p.Platform, Level: LevelImage}
	layers := map[string]*Node{}
	for _, l := range p.Layers {
		name := l.Title()
		n := layers[name]
		if n == nil {
			n = &Node{Name: name, Level: LevelLayer}
			layers[name] = n
			root.Parts = append(root.Parts, n)
		}
		installed := map[string]*Node{}
		for _, f := range l.Files {
			node := &Node{Name: f.Path, Level: LevelFile, Size: f.Size}
			if one := programs[f.Path]; one != nil && one.Size == f.Size {
				node = programNode(one)
			}
			if f.Package == "" {
				n.Parts = append(n.Parts, node)
				continue
			}
			if installed[f.Package] == nil {
				installed[f.Package] = &Node{Name: f.Package, Level: LevelInstalled}
				n.Parts = append(n.Parts, installed[f.Package])
			}
			installed[f.Package].Parts = append(installed[f.Package].Parts, node)
		}
		n.Parts = append(n.Parts, &Node{Name: "headers of the archive", Level: LevelBytes, Kind: program.Headers, Size: l.Archive})
	}
	root.sum()
	return root
}

// Title is the layer's name for people: its own, or the beginning of its digest.
func (l *Layer) Title() string {
	algorithm, hex, _ := strings.Cut(l.Digest, ":")
	return cmp.Or(l.Name, algorithm+":"+hex[:min(12, len(hex))])
}

func programNode(p *Program) *Node {
	n := &Node{Name: p.Path, Level: LevelProgram}
	for _, m := range p.Modules {
		module := &Node{Name: m.Title(), Level: LevelModule}
		for _, pkg := range m.Packages {
			node := &Node{Name: pkg.Path, Level: LevelPackage, Parts: parts(pkg.Other)}
			for _, f := range pkg.Functions {
				node.Parts = append(node.Parts, &Node{Name: f.Name, Level: LevelFunction, Kind: program.Code, Size: f.Size()})
			}
			module.Parts = append(module.Parts, node)
		}
		if len(module.Parts) > 0 {
			n.Parts = append(n.Parts, module)
		}
	}
	n.Parts = append(n.Parts, parts(p.Other)...)
	n.sum()
	return n
}

// parts are the nodes of bytes that no function has, those of one kind together where they have names.
func parts(all []program.Part) []*Node {
	var nodes []*Node
	named := map[program.Kind]*Node{}
	for _, p := range all {
		if p.Name == "" {
			nodes = append(nodes, &Node{Name: string(p.Kind), Level: LevelBytes, Kind: p.Kind, Size: p.Size})
			continue
		}
		if named[p.Kind] == nil {
			named[p.Kind] = &Node{Name: string(p.Kind), Level: LevelBytes, Kind: p.Kind}
			if p.Kind != program.EmbeddedFiles {
				named[p.Kind].Name += " in sections"
			}
			nodes = append(nodes, named[p.Kind])
		}
		named[p.Kind].Parts = append(named[p.Kind].Parts, &Node{Name: p.Name, Level: LevelBytes, Kind: p.Kind, Size: p.Size})
	}
	return nodes
}

// sum adds up the parts and sorts them.
func (n *Node) sum() {
	if len(n.Parts) == 0 {
		return
	}
	n.Size = 0
	for _, part := range n.Parts {
		part.sum()
		n.Size += part.Size
	}
	slices.SortStableFunc(n.Parts, func(a, b *Node) int { return cmp.Or(cmp.Compare(b.Size, a.Size), strings.Compare(a.Name, b.Name)) })
}
