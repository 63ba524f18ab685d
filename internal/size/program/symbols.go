package program

import (
	"cmp"
	"debug/elf"
	"slices"
	"strings"
)

// symbols are those of data, by address, in a program that is not stripped.
type symbols []elf.Symbol

// dataSymbols are the symbols of variables and constants that have a size.
func dataSymbols(file *elf.File) symbols {
	all, err := file.Symbols()
	if err != nil {
		return nil // stripped
	}
	data := slices.DeleteFunc(all, func(s elf.Symbol) bool {
		return elf.ST_TYPE(s.Info) != elf.STT_OBJECT || s.Size == 0 || strings.HasPrefix(s.Name, "runtime.pclntab")
	})
	slices.SortStableFunc(data, func(x, y elf.Symbol) int { return cmp.Compare(x.Value, y.Value) })
	return data
}

// pkgAt is the package of the symbol at addr; "" if there is none.
func (s symbols) pkgAt(addr uint64) string {
	i, ok := slices.BinarySearchFunc(s, addr, func(x elf.Symbol, addr uint64) int { return cmp.Compare(x.Value, addr) })
	if !ok {
		return ""
	}
	pkg, _ := packageOf(s[i].Name)
	return pkg
}

// claims are those of symbols whose names say a package.
func (s symbols) claims(m *memory) []claim {
	var claims []claim
	for _, symbol := range s {
		pkg, _ := packageOf(symbol.Name)
		if pkg == "" {
			continue
		}
		section := m.section(symbol.Value, symbol.Size)
		if section == nil {
			continue
		}
		kind, name := kindOf(section)
		if kind != Data && kind != ReadOnlyData {
			continue
		}
		if off, end, ok := m.file(symbol.Value, symbol.Value+symbol.Size); ok {
			claims = append(claims, claim{off: off, end: end, kind: kind, name: name, pkg: pkg})
		}
	}
	return claims
}
