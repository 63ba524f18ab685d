package program

import "debug/elf"

// module is what a program knows of itself: addresses, which are zero where they are not known. Source: moduledata in
// https://go.dev/src/runtime/symtab.go
type module struct {
	text, gofunc, findfunc uint64
	types, etypes          uint64
	typelinks, typelinkEnd uint64
	itabs, itabCount       uint64
}

// findModule finds the module data, by the address of the function table, with which it begins.
func findModule(m *memory, t *table, file *elf.File) module {
	size := uint64(m.ptr)
	word := func(at, i uint64) uint64 {
		n, _ := m.word(at + i*size)
		return n
	}
	isModule := func(at uint64) bool { return word(at, 0) == t.addr && word(at, 1) == t.names }
	at := uint64(0)
	if s := file.Section(".go.module"); s != nil && isModule(s.Addr) {
		at = s.Addr
	} else {
		m.scan(func(addr, target uint64) {
			if target == t.addr && isModule(addr) {
				at = addr
			}
		})
	}
	if at == 0 {
		return module{}
	}
	// From Go 1.26 on, the end of the function table is between.
	links := uint64(44)
	if word(at, 42) != word(at, 43) {
		links++
	}
	found := module{
		findfunc: word(at, 19), text: word(at, 22), types: word(at, 37), etypes: word(at, 38), gofunc: word(at, 40),
		typelinks: word(at, links),
	}
	if n := word(at, links+1); n == word(at, links+2) && n < 1<<28 {
		found.typelinkEnd = found.typelinks + n*4
	}
	if n := word(at, links+4); n == word(at, links+5) && n < 1<<28 {
		found.itabs, found.itabCount = word(at, links+3), n
	}
	return found
}
