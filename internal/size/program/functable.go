package program

import (
	"cmp"
	"debug/elf"
	"errors"
	"path"
	"slices"
	"strings"
)

// function is an entry of the function table.
type function struct {
	name, pkg string
	// prefix is what the name begins with before what it is called within its package.
	prefix      string
	entry, end  uint64
	code, table int64
	hash        uint64
	cu, pcfile  uint32
}

// table is Go's function table, as it is since Go 1.20. Source: https://go.dev/src/runtime/symtab.go
type table struct {
	m         *memory
	addr, end uint64
	count     uint64
	text      uint64 // address that functions count from
	// Addresses of the tables in it: names, files of compilation units, names of files, values by program counter, functions.
	names, units, files, values, list uint64
	module                            module
	funcdataClaims                    []claim
}

// magic begins the table.
const magic = 0xfffffff1

var errTable = errors.New("it is damaged")

// findTable finds the function table; nil if there is none, or one of a version of Go that is not known.
func findTable(m *memory, file *elf.File) (*table, error) {
	for _, name := range []string{".gopclntab", ".data.rel.ro.gopclntab"} {
		s := file.Section(name)
		if s == nil || s.Type == elf.SHT_NOBITS {
			continue
		}
		t := &table{m: m, addr: s.Addr, end: s.Addr + s.FileSize}
		if word, ok := m.uint32(s.Addr); !ok || word != magic {
			return nil, nil
		}
		return t, t.read(file)
	}
	// A C linker may have put it into a section with other things.
	for _, name := range []string{".data.rel.ro", ".rodata"} {
		s := file.Section(name)
		if s == nil || s.Type == elf.SHT_NOBITS {
			continue
		}
		for addr := (s.Addr + 15) &^ 15; addr < s.Addr+s.FileSize; addr += 16 {
			if word, ok := m.uint32(addr); ok && word == magic {
				if t := (&table{m: m, addr: addr, end: s.Addr + s.FileSize}); t.read(file) == nil {
					t.end = 0
					return t, nil
				}
			}
		}
	}
	return nil, nil
}

// read reads the table's header, and what the program knows of itself.
func (t *table) read(file *elf.File) error {
	size := uint64(t.m.ptr)
	head, ok := t.m.bytes(t.addr, 8)
	if !ok || head[4] != 0 || head[5] != 0 || head[7] != byte(t.m.ptr) {
		return errTable
	}
	word := func(i uint64) uint64 {
		n, has := t.m.word(t.addr + 8 + i*size)
		ok = ok && has
		return n
	}
	at := func(i uint64) uint64 {
		offset := word(i)
		ok = ok && offset <= t.end-t.addr
		return t.addr + offset
	}
	t.count, t.text = word(0), word(2)
	t.names, t.units, t.files, t.values, t.list = at(3), at(4), at(5), at(6), at(7)
	if !ok || t.names > t.units || t.units > t.files || t.files > t.values || t.values > t.list || t.count == 0 || t.count >= (t.end-t.list)/8 {
		return errTable
	}
	t.module = findModule(t.m, t, file)
	if text := file.Section(".text"); t.module.text != 0 {
		t.text = t.module.text
	} else if text != nil && t.text < text.Addr {
		t.text = text.Addr
	}
	return nil
}

// start is where a piece of a table begins, which is one function's.
type start struct {
	offset   uint32
	function int32
}

// functions reads the table, with the bytes of it that each function has.
func (t *table) functions() ([]function, error) {
	var functions []function
	var values, data []start
	listEnd := t.list
	for i := range int(t.count) {
		var f function
		pair, ok := t.m.bytes(t.list+uint64(i)*8, 12) // with the entry of the next
		if !ok {
			return nil, errTable
		}
		f.entry, f.end = t.text+uint64(t.m.order.Uint32(pair)), t.text+uint64(t.m.order.Uint32(pair[8:]))
		at := t.list + uint64(t.m.order.Uint32(pair[4:]))
		raw, ok := t.m.bytes(at, 44)
		if !ok || f.end < f.entry || at >= t.end {
			return nil, errTable
		}
		word := func(i int) uint32 { return t.m.order.Uint32(raw[i*4:]) }
		name, ok := t.m.text(t.names+uint64(word(1)), nameLimit)
		if !ok || t.names+uint64(word(1))+uint64(len(name)) >= t.units {
			return nil, errTable
		}
		f.name, f.pcfile, f.cu = name, word(5), word(8)
		tables, datas := int(word(7)), int(raw[43])
		starts := []uint32{word(4), word(5), word(6)}
		if tables > 64 || datas > 64 {
			return nil, errTable
		}
		rest, ok := t.m.bytes(at+44, (tables+datas)*4)
		if !ok {
			return nil, errTable
		}
		for j := range tables {
			starts = append(starts, t.m.order.Uint32(rest[j*4:]))
		}
		for _, s := range starts {
			if s != 0 {
				values = append(values, start{s, int32(i)})
			}
		}
		for j := range datas {
			if s := t.m.order.Uint32(rest[(tables+j)*4:]); s != ^uint32(0) {
				data = append(data, start{s, int32(i)})
			}
		}
		size := uint64(44 + (tables+datas)*4)
		listEnd = max(listEnd, at+size)
		f.table = 8 + int64(size) + int64(len(name)) + 1
		functions = append(functions, f)
	}
	if t.end == 0 {
		t.end = listEnd
	}
	spread(values, t.list-t.values, func(i int32, _, size uint64) { functions[i].table += int64(size) })
	t.funcdata(functions, data, listEnd)
	t.setPackages(functions)
	if !t.fits(functions) {
		return nil, errTable
	}
	return functions, nil
}

// nameLimit is the length of the longest name of a function that is read. Those of generic functions get long.
const nameLimit = 64 << 10

// fits reports whether no more was given to functions than the table has, as happens where several share what is one's.
func (t *table) fits(functions []function) bool {
	total := int64(0)
	for _, f := range functions {
		total += f.table
	}
	return total <= int64(t.end-t.addr)
}

// funcdata gives functions what the garbage collector has to know of them. Since Go 1.26 it is in the table, before that behind it.
func (t *table) funcdata(functions []function, data []start, listEnd uint64) {
	switch gofunc := t.module.gofunc; {
	case gofunc == 0:
	case gofunc >= listEnd && gofunc < t.end:
		end := t.end
		if t.module.findfunc > gofunc {
			end = min(end, t.module.findfunc)
		}
		spread(data, end-gofunc, func(i int32, _, size uint64) { functions[i].table += int64(size) })
	default:
		// Nothing says where the last one ends.
		last := uint64(0)
		for _, s := range data {
			last = max(last, uint64(s.offset))
		}
		spread(data, last, func(i int32, offset, size uint64) {
			if from, to, ok := t.m.file(gofunc+offset, gofunc+offset+size); ok {
				t.funcdataClaims = append(t.funcdataClaims, claim{off: from, end: to, kind: FunctionTable, function: int(i) + 1})
			}
		})
	}
}

// spread gives each piece of a table up to the beginning of the next one. A piece that several functions share is the first one's.
func spread(starts []start, end uint64, give func(function int32, offset, size uint64)) {
	slices.SortFunc(starts, func(x, y start) int {
		return cmp.Or(cmp.Compare(x.offset, y.offset), cmp.Compare(x.function, y.function))
	})
	starts = slices.CompactFunc(starts, func(x, y start) bool { return x.offset == y.offset })
	for i, s := range starts {
		next := end
		if i+1 < len(starts) {
			next = min(end, uint64(starts[i+1].offset))
		}
		if offset := uint64(s.offset); offset < next {
			give(s.function, offset, next-offset)
		}
	}
}

// setPackages finds the functions' packages, by their names. Those of assembly may say none: then it is that of other functions
// whose file is in the same directory.
func (t *table) setPackages(functions []function) {
	packages := map[string]string{} // by directory
	var nameless []int
	for i := range functions {
		f := &functions[i]
		f.pkg, f.prefix = packageOf(f.name)
		if f.pkg == "" {
			nameless = append(nameless, i)
		}
	}
	if nameless == nil {
		return
	}
	dirs := map[[2]uint32]string{}
	for i := range functions {
		if f := &functions[i]; f.pkg != "" && !strings.HasPrefix(f.name, "type:") {
			if dir := t.dir(f, dirs); dir != "" && packages[dir] == "" {
				packages[dir] = f.pkg
			}
		}
	}
	for _, i := range nameless {
		functions[i].pkg = packages[t.dir(&functions[i], dirs)]
	}
}

// dir is the directory of the file that a function begins in; empty if that is not known.
func (t *table) dir(f *function, known map[[2]uint32]string) string {
	raw, ok := t.m.bytes(t.values+uint64(f.pcfile), 1)
	for n := 2; ok && raw[len(raw)-1]&0x80 != 0 && n <= 5; n++ {
		raw, ok = t.m.bytes(t.values+uint64(f.pcfile), n)
	}
	if !ok || f.pcfile == 0 {
		return ""
	}
	// The first value is the difference from -1, in zigzag.
	var delta uint32
	for i, b := range raw {
		delta |= uint32(b&0x7f) << (7 * i)
	}
	number := -1 + (int32(delta>>1) ^ -int32(delta&1))
	if number < 0 {
		return ""
	}
	key := [2]uint32{f.cu, uint32(number)}
	if dir, ok := known[key]; ok {
		return dir
	}
	dir := ""
	if offset, ok := t.m.uint32(t.units + (uint64(f.cu)+uint64(number))*4); ok && offset != ^uint32(0) {
		if file, ok := t.m.text(t.files+uint64(offset), 4096); ok && file != "" && file != "<autogenerated>" {
			dir = path.Dir(file)
		}
	}
	known[key] = dir
	return dir
}
