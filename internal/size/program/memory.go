package program

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
)

// memory reads what a program has at addresses, through a bounded number of pages.
type memory struct {
	r        io.ReaderAt
	order    binary.ByteOrder
	ptr      int // bytes of a pointer
	sections []*elf.Section
	pages    map[int64][]byte
	// relocated are pointers of position-independent programs, by their addresses.
	relocated map[uint64]uint64
}

const (
	pageSize  = 64 << 10
	pageLimit = 512
)

func newMemory(file *elf.File, r io.ReaderAt) *memory {
	m := &memory{r: r, order: file.ByteOrder, ptr: 8, pages: map[int64][]byte{}}
	if file.Class == elf.ELFCLASS32 {
		m.ptr = 4
	}
	for _, s := range file.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Type != elf.SHT_NOBITS && s.Addr+s.FileSize > s.Addr {
			m.sections = append(m.sections, s)
		}
	}
	return m
}

// relocationLimit is the size in bytes of the biggest table of relocations that is read.
const relocationLimit = 256 << 20

// relocate notes the pointers that the loader fills in, which the file may have elsewhere. They have no symbol.
func (m *memory) relocate(file *elf.File) error {
	if file.Type != elf.ET_DYN || m.ptr != 8 {
		return nil // in a file of 32 bits, they are in their places
	}
	m.relocated = map[uint64]uint64{}
	for _, s := range file.Sections {
		if s.Type != elf.SHT_RELA || s.Flags&elf.SHF_ALLOC == 0 {
			continue
		}
		if s.FileSize > relocationLimit {
			return fmt.Errorf("there are %d bytes of them", s.FileSize)
		}
		raw := make([]byte, s.FileSize/24*24)
		if _, err := m.r.ReadAt(raw, int64(s.Offset)); err != nil {
			return err
		}
		for ; len(raw) > 0; raw = raw[24:] {
			if m.order.Uint64(raw[8:])>>32 == 0 {
				m.relocated[m.order.Uint64(raw)] = m.order.Uint64(raw[16:])
			}
		}
	}
	return nil
}

// section is the one that has n bytes at addr; nil for none.
func (m *memory) section(addr, n uint64) *elf.Section {
	for _, s := range m.sections {
		if addr >= s.Addr && addr-s.Addr < s.FileSize && n <= s.FileSize-(addr-s.Addr) {
			return s
		}
	}
	return nil
}

// file is where the file has what is at the addresses from addr to end, which are in one section.
func (m *memory) file(addr, end uint64) (from, to int64, ok bool) {
	if end <= addr {
		return 0, 0, false
	}
	s := m.section(addr, end-addr)
	if s == nil {
		return 0, 0, false
	}
	from = int64(s.Offset + addr - s.Addr)
	return from, from + int64(end-addr), true
}

// bytes are the n bytes at addr, for reading alone.
func (m *memory) bytes(addr uint64, n int) ([]byte, bool) {
	if n == 0 {
		return nil, true
	}
	from, to, ok := m.file(addr, addr+uint64(n))
	if !ok {
		return nil, false
	}
	number := from / pageSize
	page, ok := m.page(number)
	if !ok {
		return nil, false
	}
	if at := from % pageSize; at+int64(n) <= int64(len(page)) {
		return page[at : at+int64(n)], true
	}
	whole := make([]byte, n)
	if _, err := m.r.ReadAt(whole, from); err != nil || to < from {
		return nil, false
	}
	return whole, true
}

func (m *memory) page(number int64) ([]byte, bool) {
	if page, ok := m.pages[number]; ok {
		return page, true
	}
	if len(m.pages) == pageLimit {
		clear(m.pages)
	}
	page := make([]byte, pageSize)
	n, err := m.r.ReadAt(page, number*pageSize)
	if err != nil && err != io.EOF {
		return nil, false
	}
	m.pages[number] = page[:n]
	return page[:n], true
}

// word is the number of a pointer's size at addr.
func (m *memory) word(addr uint64) (uint64, bool) {
	if target, ok := m.relocated[addr]; ok {
		return target, true
	}
	raw, ok := m.bytes(addr, m.ptr)
	if !ok {
		return 0, false
	}
	if m.ptr == 4 {
		return uint64(m.order.Uint32(raw)), true
	}
	return m.order.Uint64(raw), true
}

func (m *memory) uint32(addr uint64) (uint32, bool) {
	raw, ok := m.bytes(addr, 4)
	if !ok {
		return 0, false
	}
	return m.order.Uint32(raw), true
}

// text is what ends with a zero byte at addr, without that, if it is no longer than limit.
func (m *memory) text(addr uint64, limit int) (string, bool) {
	s := m.section(addr, 1)
	if s == nil {
		return "", false
	}
	rest := s.FileSize - (addr - s.Addr)
	for _, n := range []int{128, limit + 1} {
		raw, ok := m.bytes(addr, int(min(uint64(n), rest)))
		if !ok {
			return "", false
		}
		if i := bytes.IndexByte(raw, 0); i >= 0 && i <= limit {
			return string(raw[:i]), true
		}
	}
	return "", false
}

// scanned is how much of a section is read at a time by scan.
const scanned = 1 << 20

// scan calls visit with every pointer of the data: its address and where it points to.
func (m *memory) scan(visit func(at, target uint64)) {
	if m.relocated != nil {
		for at, target := range m.relocated {
			visit(at, target)
		}
		return
	}
	raw, size := make([]byte, scanned), uint64(m.ptr)
	for _, s := range m.sections {
		if s.Flags&elf.SHF_EXECINSTR != 0 || s.Addr%size != 0 {
			continue
		}
		for off := uint64(0); off+size <= s.FileSize; off += scanned {
			part := raw[:min(scanned, s.FileSize-off)]
			if _, err := m.r.ReadAt(part, int64(s.Offset+off)); err != nil {
				break
			}
			for i := 0; i+m.ptr <= len(part); i += m.ptr {
				target := uint64(0)
				if m.ptr == 4 {
					target = uint64(m.order.Uint32(part[i:]))
				} else {
					target = m.order.Uint64(part[i:])
				}
				if target != 0 {
					visit(s.Addr+off+uint64(i), target)
				}
			}
		}
	}
}
