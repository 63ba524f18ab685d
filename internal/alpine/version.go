package alpine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// version is a version of a package in its parts. Its form is
//
//	number{.number}{letter}{_suffix{number}}{~hash}{-rnumber}
//
// Source: apk-package(5)
type version []part

// part is a part of a version: its kind, and its text without what introduces it.
type part struct {
	kind partKind
	text string
}

// partKind is the kind of a part. Where two versions are the same up to parts of different kinds, that of the lower kind is the newer one,
// unless a suffix says otherwise.
type partKind int

const (
	firstNumber partKind = iota
	number
	letter
	suffix
	suffixNumber
	commitHash
	revision
	end
)

// suffixes are in their order; a version without any is in the place of the empty one.
var suffixes = []string{"alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"}

// parseVersion reads a version.
func parseVersion(text string) (version, error) {
	rest := text
	v := version{}
	take := func(kind partKind, characters string) bool {
		n := len(rest) - len(strings.TrimLeft(rest, characters))
		v, rest = append(v, part{kind, rest[:n]}), rest[n:]
		return n > 0
	}
	const digits, letters, hexDigits = "0123456789", "abcdefghijklmnopqrstuvwxyz", "0123456789abcdef"
	ok := take(firstNumber, digits)
	for ok && rest != "" {
		last, next := v[len(v)-1].kind, rest[0]
		switch {
		case next == '.' && last <= number:
			rest = rest[1:]
			ok = take(number, digits)
		case strings.IndexByte(letters, next) >= 0 && last <= number:
			v, rest = append(v, part{letter, rest[:1]}), rest[1:]
		case next == '_' && last <= suffixNumber:
			rest = rest[1:]
			ok = take(suffix, letters) && slices.Contains(suffixes, v[len(v)-1].text)
		case strings.IndexByte(digits, next) >= 0 && last == suffix:
			ok = take(suffixNumber, digits)
		case next == '~' && last < commitHash:
			rest = rest[1:]
			ok = take(commitHash, hexDigits)
		case strings.HasPrefix(rest, "-r") && last < revision:
			rest = rest[2:]
			ok = take(revision, digits)
		default:
			ok = false
		}
	}
	if !ok {
		return nil, fmt.Errorf("%q is no version of a package", text)
	}
	return v, nil
}

// at is the part with that number; the end, behind the last.
func (v version) at(i int) part {
	if i < len(v) {
		return v[i]
	}
	return part{kind: end}
}

// compare is negative if v is older than o, and positive if it is newer.
func (v version) compare(o version) int {
	for i := 0; ; i++ {
		a, b := v.at(i), o.at(i)
		switch {
		case a.kind == b.kind && a.kind == end:
			return 0
		case a.kind == b.kind:
			if c := a.compare(b); c != 0 {
				return c
			}
		case a.before():
			return -1
		case b.before():
			return 1
		default:
			return cmp.Compare(b.kind, a.kind)
		}
	}
}

// matches reports whether v is o, or begins with its parts.
func (v version) matches(o version) bool {
	return len(v) >= len(o) && v[:len(o)].compare(o) == 0
}

// compare compares two parts of one kind. Numbers behind the first that begin with a zero are fractions.
func (p part) compare(o part) int {
	switch {
	case p.kind == suffix:
		return slices.Index(suffixes, p.text) - slices.Index(suffixes, o.text)
	case p.kind == letter || p.kind == commitHash || p.kind == number && (p.text[0] == '0' || o.text[0] == '0'):
		return strings.Compare(p.text, o.text)
	}
	a, b := strings.TrimLeft(p.text, "0"), strings.TrimLeft(o.text, "0")
	return cmp.Or(len(a)-len(b), strings.Compare(a, b))
}

// before reports whether a part makes a version older than one without it.
func (p part) before() bool {
	return p.kind == suffix && slices.Index(suffixes, p.text) < slices.Index(suffixes, "")
}
