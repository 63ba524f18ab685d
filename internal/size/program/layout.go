package program

import (
	"cmp"
	"debug/elf"
	"fmt"
	"io"
	"slices"
	"strings"
)

// region is a range of the file that is one thing for ELF: a section, a header, or what is between them.
type region struct {
	off, end int64
	kind     Kind
	name     string
}

// claim is a range of the file that is known to be something in particular.
type claim struct {
	off, end int64
	kind     Kind
	pkg      string
	name     string
	function int // its number from 1 on; 0 for none
}

// regionsOf are the regions of all the file, in their order.
func regionsOf(file *elf.File, r io.ReaderAt, size int64) ([]region, error) {
	headerSize, segment, section := int64(64), int64(56), int64(64)
	if file.Class == elf.ELFCLASS32 {
		headerSize, segment, section = 52, 32, 40
	}
	header := make([]byte, headerSize)
	if _, err := r.ReadAt(header, 0); err != nil {
		return nil, err
	}
	segments, sections := tables(file, header)
	all := []region{
		{0, headerSize, Headers, ""},
		{segments, segments + segment*int64(len(file.Progs)), Headers, ""},
		{sections, sections + section*int64(len(file.Sections)), Headers, ""},
	}
	for _, s := range file.Sections {
		if s.Type == elf.SHT_NULL || s.Type == elf.SHT_NOBITS || s.FileSize == 0 {
			continue
		}
		if s.Offset > uint64(size) || s.FileSize > uint64(size)-s.Offset {
			return nil, fmt.Errorf("the section %s ends after the file's end: %w", s.Name, errIncomplete)
		}
		kind, name := kindOf(s)
		all = append(all, region{int64(s.Offset), int64(s.Offset + s.FileSize), kind, name})
	}
	slices.SortStableFunc(all, func(x, y region) int { return cmp.Compare(x.off, y.off) })
	var regions []region
	at := int64(0)
	for _, r := range all {
		if r.off > at && r.off <= size {
			regions = append(regions, region{at, r.off, Padding, ""})
			at = r.off
		}
		if r.off, r.end = max(r.off, at), min(r.end, size); r.off < r.end {
			regions = append(regions, r)
			at = r.end
		}
	}
	if at < size {
		kind := Padding
		if len(file.Sections) == 0 {
			kind = Other // nothing says what it is
		}
		regions = append(regions, region{at, size, kind, ""})
	}
	return regions, nil
}

// tables are the places of the tables of segments and sections, which package elf does not give.
func tables(file *elf.File, header []byte) (segments, sections int64) {
	if file.Class == elf.ELFCLASS32 {
		return int64(file.ByteOrder.Uint32(header[28:])), int64(file.ByteOrder.Uint32(header[32:]))
	}
	return int64(file.ByteOrder.Uint64(header[32:])), int64(file.ByteOrder.Uint64(header[40:]))
}

// kindOf says what a section is for. Its name is kept where the kind does not say all.
func kindOf(s *elf.Section) (Kind, string) {
	switch name := s.Name; {
	case name == ".text":
		return Code, ""
	case s.Flags&elf.SHF_EXECINSTR != 0:
		return Code, name
	case name == ".gopclntab" || name == ".data.rel.ro.gopclntab":
		return FunctionTable, ""
	case name == ".rodata" || name == ".data.rel.ro":
		return ReadOnlyData, ""
	case strings.TrimPrefix(name, ".data.rel.ro") == ".typelink", strings.TrimPrefix(name, ".data.rel.ro") == ".itablink":
		return TypeData, ""
	case name == ".go.buildinfo", name == ".note.go.buildid", name == ".note.gnu.build-id", name == ".go.fipsinfo", name == ".go.module":
		return BuildInfo, ""
	case name == ".data" || name == ".noptrdata":
		return Data, ""
	case s.Type == elf.SHT_SYMTAB, name == ".strtab":
		return Symbols, ""
	case name == ".shstrtab":
		return Headers, ""
	case strings.HasPrefix(name, ".debug_"), strings.HasPrefix(name, ".zdebug_"):
		return DebugData, ""
	case s.Type == elf.SHT_DYNAMIC, s.Type == elf.SHT_DYNSYM, s.Type == elf.SHT_REL, s.Type == elf.SHT_RELA, s.Type == elf.SHT_HASH, s.Type == elf.SHT_GNU_HASH,
		s.Type == elf.SHT_GNU_VERSYM, s.Type == elf.SHT_GNU_VERNEED, s.Type == elf.SHT_GNU_VERDEF, name == ".dynstr", name == ".interp", name == ".got", name == ".got.plt":
		return Linking, ""
	default:
		return Other, name
	}
}

// cut makes hole a region of its own.
func cut(regions []region, hole region) []region {
	var all []region
	for _, r := range regions {
		if hole.end <= r.off || r.end <= hole.off {
			all = append(all, r)
			continue
		}
		if r.off < hole.off {
			all = append(all, region{r.off, hole.off, r.kind, r.name})
		}
		all = append(all, region{max(r.off, hole.off), min(r.end, hole.end), hole.kind, hole.name})
		if hole.end < r.end {
			all = append(all, region{hole.end, r.end, r.kind, r.name})
		}
	}
	return all
}
