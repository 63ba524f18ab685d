package program

import (
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"
)

// fileLimit is the most files of one embed.FS that are read.
const fileLimit = 1 << 20

// embeddedFiles are the claims of files in variables of the type embed.FS. The compiler writes a slice that lies before its own elements,
// which makes it stand out: a name, content and digest for each file. Files in strings and slices of bytes have no names in the program.
// Source: WriteEmbed in https://go.dev/src/cmd/compile/internal/staticdata/embed.go
func embeddedFiles(m *memory, symbols symbols) []claim {
	size := uint64(m.ptr)
	var found []uint64
	m.scan(func(at, target uint64) {
		if target == at+3*size {
			found = append(found, at)
		}
	})
	slices.Sort(found)
	var claims []claim
	for _, at := range found {
		count, ok1 := m.word(at + size)
		capacity, ok2 := m.word(at + 2*size)
		if !ok1 || !ok2 || count != capacity || count == 0 || count > fileLimit {
			continue
		}
		pkg := symbols.pkgAt(at)
		var files []claim
		for i := range count {
			file, ok := embeddedFile(m, at+3*size+i*(4*size+16), pkg)
			if !ok {
				files = nil
				break
			}
			if file.end > file.off {
				files = append(files, file)
			}
		}
		claims = append(claims, files...)
	}
	return claims
}

// embeddedFile is the claim for the content of a file, which a directory does not have.
func embeddedFile(m *memory, at uint64, pkg string) (claim, bool) {
	size := uint64(m.ptr)
	var words [4]uint64
	for i := range words {
		var ok bool
		if words[i], ok = m.word(at + uint64(i)*size); !ok {
			return claim{}, false
		}
	}
	if words[1] == 0 || words[1] > 4096 {
		return claim{}, false
	}
	raw, ok := m.bytes(words[0], int(words[1]))
	if !ok || !utf8.Valid(raw) || !fs.ValidPath(strings.TrimSuffix(string(raw), "/")) {
		return claim{}, false
	}
	c := claim{kind: EmbeddedFiles, name: string(raw), pkg: pkg}
	if strings.HasSuffix(c.name, "/") || words[3] == 0 {
		return c, words[3] == 0
	}
	c.off, c.end, ok = m.file(words[2], words[2]+words[3])
	return c, ok
}
