package program

import "unicode/utf8"

// Kinds of types that have more than the others, as package reflect numbers them.
const (
	kindArray     = 17
	kindChan      = 18
	kindFunc      = 19
	kindInterface = 20
	kindMap       = 21
	kindPointer   = 22
	kindSlice     = 23
	kindStruct    = 25
	kindLast      = 26
	kindMask      = 1<<5 - 1
)

// Flags of types.
const (
	flagUncommon  = 1 << 0 // it has a name or methods
	flagExtraStar = 1 << 1 // its name is written with a star before it, as another type needs it
)

// types reads what Go knows of types at run time. They follow one another. Source: https://go.dev/src/internal/abi/type.go
type types struct {
	m      *memory
	module module
	ptr    uint64
	// swiss says that maps are those of Go 1.24 and newer.
	swiss  bool
	claims []claim
}

// descriptor is a type.
type descriptor struct {
	addr, size uint64 // without its names
	kind       byte
	// uncommon is the address of its package and methods; 0 for none.
	uncommon uint64
	name     uint32
	// parameters are the number of a function's, with its results.
	parameters uint64
}

// typeGap is how many bytes without a type end the types. The names of types, which are among them, are shorter for the most part.
const typeGap = 4 << 10

// typeClaims are the claims of types and of tables of methods, and the region that types are in.
func typeClaims(m *memory, known module, swiss bool) ([]claim, region) {
	t := &types{m: m, module: known, ptr: uint64(m.ptr), swiss: swiss}
	section := m.section(known.types, 1)
	if section == nil || known.etypes <= known.types {
		return nil, region{}
	}
	limit := min(known.etypes, section.Addr+section.FileSize)
	last := known.types
	for at := known.typelinks; at < known.typelinkEnd; at += 4 {
		offset, ok := m.uint32(at)
		if !ok {
			break
		}
		last = max(last, known.types+uint64(offset))
	}
	end := known.types
	for at := known.types; at < limit && (at <= last || at < end+typeGap); {
		d, ok := t.read(at)
		if !ok {
			at += t.ptr
			continue
		}
		t.visit(d)
		end = at + d.size
		at = (end + t.ptr - 1) / t.ptr * t.ptr
	}
	t.tables()
	from, to, _ := m.file(known.types, end)
	return t.claims, region{from, to, TypeData, ""}
}

// read reads the type at addr; false if there is none.
func (t *types) read(addr uint64) (descriptor, bool) {
	raw, ok := t.m.bytes(addr, int(t.ptr)*4+16)
	if !ok {
		return descriptor{}, false
	}
	p := int(t.ptr)
	number := func(i int) uint64 {
		if p == 4 {
			return uint64(t.m.order.Uint32(raw[i:]))
		}
		return t.m.order.Uint64(raw[i:])
	}
	size, pointers := number(0), number(p)
	flags, align, fieldAlign, kind := raw[2*p+4], raw[2*p+5], raw[2*p+6], raw[2*p+7]&kindMask
	d := descriptor{addr: addr, kind: kind, name: t.m.order.Uint32(raw[4*p+8:])}
	switch {
	case kind == 0 || kind > kindLast, size > 1<<40, pointers > size, align != fieldAlign, align == 0, align > 16, align&(align-1) != 0, flags > 63:
		return descriptor{}, false
	}
	if name, _, ok := t.text(t.module.types + uint64(d.name)); !ok || name == "" || d.name == 0 {
		return descriptor{}, false
	}
	d.size = 4*t.ptr + 16
	switch kind {
	case kindArray:
		d.size += 3 * t.ptr
	case kindChan:
		d.size += 2 * t.ptr
	case kindPointer, kindSlice:
		d.size += t.ptr
	case kindInterface, kindStruct:
		d.size += 4 * t.ptr
	case kindFunc:
		counts, _ := t.m.bytes(addr+d.size, 4)
		if counts == nil {
			return descriptor{}, false
		}
		d.parameters = uint64(t.m.order.Uint16(counts)) + uint64(t.m.order.Uint16(counts[2:])&0x7fff)
		d.size += t.ptr
	case kindMap:
		d.size += 4*t.ptr + 8
		if t.swiss {
			d.size += 3*t.ptr - 8 + t.ptr
		}
	}
	if flags&flagUncommon != 0 {
		d.uncommon = addr + d.size
		raw, ok := t.m.bytes(d.uncommon, 16)
		if !ok {
			return descriptor{}, false
		}
		d.size = max(d.size+16+d.parameters*t.ptr, d.uncommon-addr+uint64(t.m.order.Uint32(raw[8:]))+16*uint64(t.m.order.Uint16(raw[4:])))
	} else {
		d.size += d.parameters * t.ptr
	}
	if count, at, ok := t.list(d); ok {
		each := uint64(8)
		if kind == kindStruct {
			each = 3 * t.ptr
		}
		if at > addr && at <= addr+d.size+t.ptr { // as the compiler puts them
			d.size = max(d.size, at-addr+count*each)
		}
	}
	_, ok = t.m.bytes(addr, int(min(d.size, 1<<20)))
	return d, ok && d.size < 1<<20
}

// list is where the fields of a struct or the methods of an interface are.
func (t *types) list(d descriptor) (count, at uint64, ok bool) {
	if d.kind != kindStruct && d.kind != kindInterface {
		return 0, 0, false
	}
	at, ok1 := t.m.word(d.addr + 5*t.ptr + 16)
	count, ok2 := t.m.word(d.addr + 6*t.ptr + 16)
	return count, at, ok1 && ok2 && count < 1<<15
}

// text is a name at addr, and how many bytes it has, with its length, its tag and its package.
func (t *types) text(addr uint64) (string, uint64, bool) {
	head, ok := t.m.bytes(addr, 3)
	if !ok || head[0] > 15 {
		return "", 0, false
	}
	field := func(at uint64) (length, begin uint64) {
		for shift := 0; shift < 21; shift += 7 {
			b, ok := t.m.bytes(at, 1)
			if !ok {
				return 0, 0
			}
			at++
			length |= uint64(b[0]&0x7f) << shift
			if b[0]&0x80 == 0 {
				return length, at
			}
		}
		return 0, 0
	}
	length, begin := field(addr + 1)
	raw, ok := t.m.bytes(begin, int(length))
	if begin == 0 || length == 0 || !ok || !utf8.Valid(raw) {
		return "", 0, false
	}
	end := begin + length
	if head[0]&2 != 0 { // a tag
		length, begin := field(end)
		if begin == 0 {
			return "", 0, false
		}
		end = begin + length
	}
	if head[0]&4 != 0 { // a package
		end += 4
	}
	return string(raw), end - addr, true
}

// visit claims a type and its names for the type's package.
func (t *types) visit(d descriptor) {
	pkg := t.pkg(d, 0)
	if pkg == "" {
		return
	}
	t.claim(d.addr, d.size, pkg)
	t.claimName(t.module.types+uint64(d.name), pkg)
	if d.uncommon != 0 {
		if raw, ok := t.m.bytes(d.uncommon, 16); ok {
			methods := d.uncommon + uint64(t.m.order.Uint32(raw[8:]))
			for i := range uint64(t.m.order.Uint16(raw[4:])) {
				if name, ok := t.m.uint32(methods + i*16); ok {
					t.claimName(t.module.types+uint64(name), pkg)
				}
			}
		}
	}
	count, at, ok := t.list(d)
	for i := range count {
		if !ok {
			break
		}
		if d.kind == kindStruct {
			name, _ := t.m.word(at + i*3*t.ptr)
			t.claimName(name, pkg)
		} else if name, ok := t.m.uint32(at + i*8); ok {
			t.claimName(t.module.types+uint64(name), pkg)
		}
	}
}

func (t *types) claimName(addr uint64, pkg string) {
	if _, size, ok := t.text(addr); ok {
		t.claim(addr, size, pkg)
	}
}

func (t *types) claim(addr, size uint64, pkg string) {
	if from, to, ok := t.m.file(addr, addr+size); ok {
		t.claims = append(t.claims, claim{off: from, end: to, kind: TypeData, pkg: pkg})
	}
}

// What is followed of types that are made of others: how many parts of one, and how deep.
const (
	partLimit  = 8
	depthLimit = 4
)

// shapes is what stands for the package of types that generic functions are compiled for.
const shapes = "go.shape"

// pkg is the package that declares a type, or the one that it is made of.
func (t *types) pkg(d descriptor, depth int) string {
	if d.uncommon != 0 {
		if offset, ok := t.m.uint32(d.uncommon); ok && offset != 0 {
			return t.path(t.module.types + uint64(offset))
		}
	}
	var parts []uint64
	first := d.addr + 4*t.ptr + 16
	switch d.kind {
	case kindArray, kindChan, kindPointer, kindSlice:
		parts = []uint64{first}
	case kindMap:
		parts = []uint64{first + t.ptr, first}
	case kindStruct, kindInterface:
		if addr, ok := t.m.word(first); ok && addr != 0 {
			return t.path(addr)
		}
		if count, at, ok := t.list(d); ok && d.kind == kindStruct {
			for i := range min(count, partLimit) {
				parts = append(parts, at+(3*i+1)*t.ptr)
			}
		}
	case kindFunc:
		begin := d.addr + 5*t.ptr + 16
		if d.uncommon != 0 {
			begin = d.uncommon + 16
		}
		for i := range min(d.parameters, partLimit) {
			parts = append(parts, begin+i*t.ptr)
		}
	}
	for _, part := range parts {
		if addr, ok := t.m.word(part); ok && depth < depthLimit {
			if of, ok := t.read(addr); ok {
				if name := t.pkg(of, depth+1); name != "" {
					return name
				}
			}
		}
	}
	return ""
}

// path is the import path at addr.
func (t *types) path(addr uint64) string {
	name, _, _ := t.text(addr)
	if name == shapes {
		return ""
	}
	return name
}

// tables claims the tables of methods by which interfaces hold values, each for the package of the type that is held.
func (t *types) tables() {
	for i := range t.module.itabCount {
		addr, ok := t.m.word(t.module.itabs + i*t.ptr)
		if !ok {
			return
		}
		inter, _ := t.m.word(addr)
		held, _ := t.m.word(addr + t.ptr)
		interfaceType, ok1 := t.read(inter)
		heldType, ok2 := t.read(held)
		if count, _, ok := t.list(interfaceType); ok && ok1 && ok2 {
			if pkg := t.pkg(heldType, 0); pkg != "" {
				t.claim(addr, 2*t.ptr+8+count*t.ptr, pkg)
			}
		}
	}
}
