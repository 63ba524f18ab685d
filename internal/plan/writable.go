package plan

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-ci/slipway/internal/fault"
)

var writableSetting = Setting{
	Flag: "writable", Value: "DIR[:GROUP[:MODE]]",
	Help:    "directory of the image that the user owns and may write to, like /data, or like /data:0:0775 with a numeric group and a mode",
	Default: "/tmp and the user's home alone",
	Field:   "Writable",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.writable = each(f, "writable", c.Writable, parseWritable)
		slices.SortFunc(s.writable, func(a, b writable) int { return cmp.Or(strings.Compare(a.dir, b.dir), strings.Compare(a.text, b.text)) })
		s.writable = slices.CompactFunc(s.writable, func(a, b writable) bool {
			same := a.dir == b.dir
			if same && (a.group != b.group || a.mode != b.mode) {
				f.Add("writable", b.text, "another one is "+a.text, "leave one out")
			}
			return same
		})
	},
}

// writable is a directory that the user of the image is to own.
type writable struct {
	text, dir string
	group     string // empty: the user's
	mode      Mode   // 0: that of the base, and 0755 where the base has no such directory
}

// systemDirectories are those that every image may have, or gets when it runs. Source:
// https://refspecs.linuxfoundation.org/FHS_3.0/fhs/ch03.html
var systemDirectories = []string{
	"/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/srv",
	"/sys", "/tmp", "/usr", "/var",
}

// parseWritable reads "DIR", "DIR:GROUP" or "DIR:GROUP:MODE".
func parseWritable(s string) (writable, error) {
	name, rest, grouped := strings.Cut(s, ":")
	group, mode, moded := strings.Cut(rest, ":")
	w := writable{text: s, dir: path.Clean(name), group: group}
	switch dir := w.dir; {
	case !path.IsAbs(name) || dir == "/" || strings.ContainsRune(name, 0):
		return w, fmt.Errorf("not an absolute path of a directory in the image: write it like /data")
	case dir == "/tmp":
		return w, fmt.Errorf("every user may write there: leave it out")
	case slices.Contains(systemDirectories, dir):
		return w, fmt.Errorf("a directory of the system: name another one, like %s", path.Join(dir, "data"))
	case slices.ContainsFunc(mounted, func(m string) bool { return within(m, dir) }):
		return w, fmt.Errorf("the container's runtime fills this directory: name another, like /data")
	}
	if n, err := strconv.ParseUint(group, 10, 31); grouped && (err != nil || strconv.FormatUint(n, 10) != group) {
		return w, fmt.Errorf("%q is not the number of a group: write it like /data:0:0775", group)
	}
	if err := w.mode.UnmarshalText([]byte(mode)); moded && (err != nil || w.mode&0o700 != 0o700) {
		return w, fmt.Errorf("%q is not the mode of a directory that its owner may write to: write it in octal, like 0775", mode)
	}
	return w, nil
}

// place is f in the directory w: the user's.
func (w writable) place(f File, user string) File {
	f.Owner = user
	if w.group != "" {
		uid, _, _ := strings.Cut(user, ":")
		f.Owner = uid + ":" + w.group
	}
	if f.Dir && w.mode != 0 {
		f.Mode, f.Exact = w.mode, true
	}
	return f
}

// writableDirs adds the directories that belong to the image's user to files, of which those below them are the user's, too. Others of the
// image's files may not be in them, where the user could put something else in their place.
func (r resolver) writableDirs(files, others []File) []File {
	owned := map[string]writable{}
	for _, w := range r.writable {
		in := func(f File) bool { return within(w.dir, f.Path) && (f.Path != w.dir || f.Owner == "") } // but for the user's home
		above := func(f File) bool { return !f.Dir && within(f.Path, w.dir) }
		i := slices.IndexFunc(others, func(f File) bool { return in(f) || above(f) })
		j := slices.IndexFunc(files, above)
		switch {
		case i >= 0:
			r.add("writable", w.text, others[i].Path+" of the image is there", "choose another directory")
		case j >= 0:
			r.add("writable", w.text, files[j].Path+" of the image is there", "choose another directory")
		}
		owned[w.dir] = w
	}
	all := map[string]File{}
	for _, f := range files {
		dir := f.Path
		for dir != "/" && owned[dir].dir == "" {
			dir = path.Dir(dir)
		}
		if dir == "/" {
			all[f.Path] = f
			continue
		}
		all[f.Path] = owned[dir].place(f, r.user)
		for above := path.Dir(f.Path); within(dir, above); above = path.Dir(above) {
			all[above] = owned[dir].place(File{Path: above, Mode: 0o755, Dir: true}, r.user)
		}
	}
	for dir, w := range owned {
		all[dir] = w.place(File{Path: dir, Mode: 0o755, Dir: true}, r.user)
	}
	return slices.SortedFunc(maps.Values(all), func(a, b File) int { return strings.Compare(a.Path, b.Path) })
}
