//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// damage changes files of a cache, or of a layout, that a build has filled. The next build gives the right image and mends it, or refuses
// what it cannot mend.
func damage(t *trial) verdict {
	layout := filepath.Join(t.out, "layout")
	if got := t.run(t.build(t.stamp, layout)...); got.err != nil {
		return isWrong("filling the cache: %s", got.last())
	}
	top := t.cache
	if t.IntN(4) == 0 {
		top = layout
	}
	var files []string
	err := filepath.WalkDir(top, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, name)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		return isWrong("there are no files to damage in %s: %v", top, err)
	}
	what := ""
	for range 1 + t.IntN(3) {
		name := files[t.IntN(len(files))]
		how, err := t.damageFile(name)
		if err != nil {
			return isWrong("%v", err)
		}
		relative, _ := filepath.Rel(t.room, name)
		what += fmt.Sprintf("%s %s; ", how, relative)
	}
	v := t.judge(t.run(t.build(t.stamp, layout)...), t.stamp)
	if v.outcome == right {
		if err := checkLayout(layout); err != nil {
			v = isWrong("the layout: %v", err)
		}
	} else if v.outcome == refused && top == t.cache {
		v = isWrong("a damaged cache is an error: %s", v.why)
	}
	v.why = what + v.why
	if err := os.RemoveAll(layout); err != nil {
		return isWrong("%v", err)
	}
	return t.afterwards(v)
}

// damageFile does something to a file, and says what.
func (t *trial) damageFile(name string) (string, error) {
	if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() { // damaged before: reading a pipe would never end
		return "nothing to", nil
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	switch how := t.IntN(7); how {
	case 0:
		if len(content) == 0 {
			return "nothing to", nil
		}
		content[t.IntN(len(content))] ^= 1 << t.IntN(8)
		return "a bit of", os.WriteFile(name, content, 0o644)
	case 1:
		return "the end of", os.Truncate(name, int64(t.IntN(len(content)+1)))
	case 2:
		return "other content in", os.WriteFile(name, []byte("other"), 0o644)
	case 3:
		return "more in", os.WriteFile(name, append(content, "more"...), 0o644)
	default:
		if err := os.Remove(name); err != nil {
			return "", err
		}
		switch how {
		case 4:
			return "a directory for", os.MkdirAll(filepath.Join(name, "with", "something"), 0o755)
		case 5:
			return "a link for", os.Symlink(filepath.Join(t.room, "elsewhere"), name)
		default:
			return "a pipe for", syscall.Mkfifo(name, 0o644)
		}
	}
}
