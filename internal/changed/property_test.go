package changed_test

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build/results"
	"github.com/slipway-ci/slipway/internal/changed"
	"github.com/slipway-ci/slipway/internal/fault"
	"github.com/slipway-ci/slipway/internal/goenv"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

var (
	seed  = flag.Uint64("changed.seed", 0, "one more seed for TestProperty, which prints those that it uses")
	edits = flag.Int("changed.edits", testtool.Trials(4, 16), "how often TestProperty edits each of its repositories")
)

// An image that is out is the same, to the byte, when it is built from the revision and when it is built now. The repositories
// are generated, and so are the edits; both are built whatever Since reports.
func TestProperty(t *testing.T) {
	began := time.Now()
	seeds := []uint64{1, 2, 3}[:testtool.Trials(1, 3)]
	if *seed != 0 {
		seeds = append(seeds, *seed)
	}
	var all, same, out, found, taken atomic.Int64
	t.Run("seeds", func(t *testing.T) {
		for _, seed := range seeds {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, seed)
				for i := range *edits {
					w.edit()
					a, s, o := w.check(i)
					all.Add(a)
					same.Add(s)
					out.Add(o)
				}
				found.Add(int64(w.hits))
				taken.Add(int64(w.shared.taken))
			})
		}
	})
	t.Logf("%d verdicts in %v; %d of images that stayed the same, of which %d were found to be out", all.Load(), time.Since(began), same.Load(), out.Load())
	t.Logf("%d would have come from a cache of results, and %d programs were compiled from shared packages", found.Load(), taken.Load())
	require.Positive(t, taken.Load())
	require.Greater(t, found.Load(), same.Load()/4)
	// To say of all images that they are in would be no use.
	require.Greater(t, out.Load(), same.Load()/2)
	require.Less(t, same.Load(), all.Load()*9/10, "the edits change next to nothing")
}

// world is a generated repository, with the digests of its images at v1.
type world struct {
	*repo
	random *rand.Rand
	images map[string]plan.Config
	was    map[string]string
	// keys are those of results, of images that have any.
	keys map[string]string
	out  string // for programs
	log  []string
	// hits is how often a result would have been found.
	hits   int
	shared sharedPackages
}

// Libraries import those of lower numbers, programs import any. What a package is made of, its function V returns, so that each
// program holds a trace of everything that is compiled into it.
func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		repo:   &repo{t, t.TempDir()},
		random: rand.New(rand.NewPCG(seed, 0)),
		images: map[string]plan.Config{},
		out:    t.TempDir(),
		shared: sharedPackages{dir: filepath.Join(t.TempDir(), "cache")},
	}
	w.git("init", "-q", "-b", "main")
	kind := []string{"replace", "workspace", "vendor"}[seed%3]
	w.write(".gitignore", "ignored*\n")
	w.write("README.md", "v1\n")
	w.write("docs/guide.md", "v1\n")
	w.write("shared/code.txt", "package replaced\n\nconst shared = \"v1\"\n\nfunc init() { trace += shared }\n")
	w.write("shared/conf.txt", "v1\n")
	w.write("inc/k.inc", "#define K 1 // v1\n")
	goMod := "module example.com/m\n\ngo 1.26.8\n"
	second := "module example.com/second\n\ngo 1.26.8\n"
	switch kind {
	case "workspace":
		w.write("go.work", "go 1.26.8\n\nuse (\n\t.\n\t./second\n)\n")
	default:
		goMod += "\nrequire example.com/second v0.0.0\n\nreplace example.com/second => ./second\n"
	}
	w.write("go.mod", goMod)
	w.write("second/go.mod", second)

	var libraries []string
	for i := range 7 {
		dir, importPath := fmt.Sprintf("internal/l%d", i), fmt.Sprintf("example.com/m/internal/l%d", i)
		if i < 2 { // which import nothing of the other module
			dir, importPath = fmt.Sprintf("second/l%d", i), fmt.Sprintf("example.com/second/l%d", i)
		}
		w.library(dir, w.some(libraries, 2), i)
		libraries = append(libraries, importPath)
	}
	for i := range 4 {
		name := fmt.Sprintf("p%d", i)
		w.write("cmd/"+name+"/main.go", goFile("main", w.some(libraries, 2), "func main() { print(V()) }\n"))
		w.write("cmd/"+name+"/README.md", "v1\n")
		w.write("conf/"+name+"/a.yaml", "v1\n")
		w.write("conf/"+name+"/sub/b.yaml", "v1\n")
		config := plan.Config{Packages: []string{"cmd/" + name}, Files: []string{"conf/" + name + ":/etc/" + name}}
		if i == 0 {
			config.Files = append(config.Files, "conf/link:/etc/link", "conf/p1/a.yaml:/etc/other:0600")
		}
		if i == 1 {
			config.BuildTags = []string{"special"}
		}
		if i == 2 {
			config.Platforms = []string{"linux/amd64", "linux/arm64"}
		}
		w.images[name] = config
	}
	w.symlink("../shared", "conf/link")
	w.images["both"] = plan.Config{Packages: []string{"cmd/p0", "./cmd/p3"}}
	if kind == "vendor" {
		cmd := exec.Command("go", "mod", "vendor")
		cmd.Dir, cmd.Env = w.dir, append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	w.commit()
	w.git("tag", "v1")

	clean := &repo{t, filepath.Join(t.TempDir(), "clean")}
	w.git("clone", "-q", w.dir, clean.dir)
	var failed map[string]error
	images := w.plan(clean.dir)
	w.was, failed = w.digests(clean.dir, images)
	w.keys = w.resultKeys(clean.dir, images)
	require.NotEmpty(t, w.keys)
	require.Empty(t, failed)
	require.Len(t, w.was, len(w.images))
	return w
}

// library writes a library; each is of another kind.
func (w *world) library(dir string, imports []string, i int) {
	name := path.Base(dir)
	w.write(dir+"/lib.go", goFile(name, imports, ""))
	w.write(dir+"/lib_test.go", "package "+name+"\n\nconst test = \"v1\"\n")
	w.write(dir+"/README.md", "v1\n")
	switch i {
	case 0:
		w.write(dir+"/text.go", embedFile(name, "data.txt", "string"))
		w.write(dir+"/data.txt", "v1\n")
	case 2:
		w.write(dir+"/directory.go", embedFile(name, "static pages/*.html", "embed.FS"))
		w.write(dir+"/static/a.txt", "v1\n")
		w.write(dir+"/static/sub/b.txt", "v1\n")
		w.write(dir+"/pages/index.html", "v1\n")
		w.write(dir+"/pages/notes.txt", "v1\n")
	case 1:
		for _, system := range []string{"linux", "windows"} {
			w.write(dir+"/os_"+system+".go", "package "+name+"\n\nfunc init() { trace += \""+system+" v1\" }\n")
		}
		w.write(dir+"/tag.go", "//go:build special\n\npackage "+name+"\n\nfunc init() { trace += \"v1\" }\n")
	case 3:
		w.write(dir+"/f_amd64.s", "#include \"textflag.h\"\n#include \"../../inc/k.inc\"\n\nTEXT ·f(SB),NOSPLIT,$0-8\n\tMOVQ $K, ret+0(FP)\n\tRET\n")
		w.write(dir+"/f_amd64.go", "package "+name+"\n\nfunc f() int\n\nfunc init() { print(f()) }\n")
	case 4:
		w.write("shared/lib4.txt", "package "+name+"\n\nfunc init() { trace += \"v1\" }\n")
		w.symlink("../../shared/lib4.txt", dir+"/linked.go")
	case 5:
		w.write(dir+"/static/a.txt", "v1\n")
		w.write(dir+"/directory.go", embedFile(name, "all:static", "embed.FS"))
	}
}

func goFile(name string, imports []string, rest string) string {
	var b strings.Builder
	b.WriteString("package " + name + "\n\n")
	calls := "trace + \"" + name + " v1\""
	for _, i := range imports {
		b.WriteString("import \"" + i + "\"\n")
		calls += " + " + path.Base(i) + ".V()"
	}
	b.WriteString("\nvar trace string\n\nfunc V() string { return " + calls + " }\n" + rest)
	return b.String()
}

func embedFile(name, patterns, typ string) string {
	text := "package " + name + "\n\nimport \"embed\"\n\nvar _ embed.FS\n\n//go:embed " + patterns + "\nvar data " + typ + "\n\n"
	if typ == "string" {
		return text + "func init() { trace += data }\n"
	}
	return text + "func init() {\n\tif _, err := data.ReadDir(\".\"); err != nil {\n\t\ttrace += err.Error()\n\t}\n}\n"
}

// some are up to n of a list.
func (w *world) some(list []string, n int) []string {
	list = slices.Clone(list)
	w.random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	list = list[:min(len(list), 1+w.random.IntN(n))]
	slices.Sort(list)
	return list
}

// edit goes back to v1, at times, and then changes one thing or a few.
func (w *world) edit() {
	if w.random.IntN(8) > 0 {
		w.git("reset", "-q", "--hard", "v1")
		w.git("clean", "-qfdx")
		w.log = nil
	}
	for range 1 + w.random.IntN(3)/2 {
		w.editOne()
	}
	switch w.random.IntN(4) {
	case 0:
		w.note("add")
		w.git("add", "-A")
	case 1:
		w.note("commit")
		w.commit()
	}
}

func (w *world) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

// files are the names of all files, and of symbolic links, which some condition holds for.
func (w *world) files(condition func(name string) bool) []string {
	var names []string
	require.NoError(w.t, filepath.WalkDir(w.dir, func(at string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			if e != nil && e.Name() == ".git" {
				return fs.SkipDir
			}
			return err
		}
		name, err := filepath.Rel(w.dir, at)
		if name = filepath.ToSlash(name); condition(name) {
			names = append(names, name)
		}
		return err
	}))
	return names
}

func (w *world) pick(names []string) string { return names[w.random.IntN(len(names))] }

var version = regexp.MustCompile(`v[0-9]+`)

// change changes the version in a file, so that what it stands for changes too.
func (w *world) change(name string) {
	if info, err := os.Stat(w.path(name)); err != nil || info.IsDir() {
		return // a symbolic link, to a directory or to nothing
	}
	text := w.read(name)
	version := fmt.Sprintf("v%d", 2+w.random.IntN(8)) // of the same length: the size is no help
	if at := versionIn(text); at != nil {
		text = text[:at[0]] + version + text[at[1]:]
	} else {
		text += "// " + version + "\n"
	}
	w.write(name, text)
}

func versionIn(text string) []int {
	for _, at := range version.FindAllStringIndex(text, -1) {
		if !strings.HasPrefix(text[at[1]:], ".") { // of a module
			return at
		}
	}
	return nil
}

func (w *world) editOne() {
	any := func(string) bool { return true }
	isGo := func(name string) bool {
		_, err := os.Stat(w.path(name))
		return strings.HasSuffix(name, ".go") && err == nil
	}
	of := func(parts ...string) func(string) bool {
		return func(name string) bool {
			return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(name, part) })
		}
	}
	all := w.files(any)
	directory := func(condition func(string) bool) string { return path.Dir(w.pick(w.files(condition))) }
	switch n := w.random.IntN(30); n {
	case 0, 1, 2, 3:
		name := w.pick(w.files(isGo))
		w.note("change %s", name)
		w.change(name)
	case 4, 5:
		name := w.pick(w.files(of("static/", "pages/", "data.txt", "inc/")))
		if w.random.IntN(2) == 0 {
			w.note("remove %s", name)
			w.remove(name)
			return
		}
		w.note("change %s", name)
		w.change(name)
	case 6:
		name := w.pick(all)
		w.note("change %s", name)
		w.change(name)
	case 7, 8:
		name := w.pick(w.files(of("_test.go", "README", "docs/")))
		w.note("change %s", name)
		w.change(name)
	case 9, 10:
		name := w.pick(all)
		w.note("remove %s", name)
		w.remove(name)
	case 11, 12:
		dir := directory(isGo)
		name := dir + "/" + w.pick([]string{"new.go", "new_arm64.go", "new_windows.go", "ignored.go", "new_test.go", "_new.go", "new.txt", "ignored.s", "new_special.go"})
		w.note("add %s", name)
		w.write(name, "package "+w.packageName(dir)+"\n\nfunc init() { print(\"v1\") }\n")
		if strings.HasSuffix(name, ".s") {
			w.write(name, "#include \"textflag.h\"\nDATA ·x(SB)/1, $1\nGLOBL ·x(SB), RODATA, $1\n")
		}
	case 13, 14, 18:
		dir := directory(of("static/", "pages/", "data.txt"))
		name := dir + "/" + w.pick([]string{"new.txt", ".hidden", "new/sub/file", "new.html", "ignored.html", "go.mod"})
		w.note("add %s", name)
		w.write(name, "v1\n")
	case 15:
		from := w.pick(all)
		to := path.Join(path.Dir(from), "renamed"+path.Ext(from))
		w.note("rename %s to %s", from, to)
		w.rename(from, to)
	case 16:
		from, dir := w.pick(all), path.Dir(w.pick(all))
		w.note("move %s to %s", from, dir)
		w.rename(from, path.Join(dir, path.Base(from)))
	case 17:
		name := w.pick(all)
		if w.random.IntN(2) == 0 {
			name = w.pick(w.files(of("conf/")))
		}
		mode := w.pick([]string{"755", "700", "600"})
		w.note("chmod %s %s", mode, name)
		w.chmod(name, map[string]fs.FileMode{"755": 0o755, "700": 0o700, "600": 0o600}[mode])
	case 19:
		name := w.pick(all)
		to := "moved/" + path.Base(name)
		w.note("move %s to %s and leave a link", name, to)
		if info, err := os.Lstat(w.path(name)); err == nil && info.Mode().IsRegular() {
			w.rename(name, to)
			w.symlink(strings.Repeat("../", strings.Count(name, "/"))+to, name)
		}
	case 20:
		w.note("link conf/link to elsewhere")
		w.remove("conf/link")
		w.symlink("../docs", "conf/link")
	case 21:
		name := w.pick(w.files(of("go.mod", "go.work", "modules.txt")))
		w.note("comment in %s", name)
		if _, err := os.Stat(w.path(name)); err == nil {
			w.write(name, w.read(name)+"\n// comment\n")
		}
	case 22:
		name := w.pick([]string{".", "internal", "internal/l2", "cmd", "second/l0"}) + "/" + w.pick([]string{"go.mod", "go.sum", "go.work"})
		w.note("remove or add %s", name)
		if _, err := os.Stat(w.path(name)); err == nil {
			w.remove(name)
		} else {
			w.write(name, map[string]string{"go.mod": "module example.com/other\n", "go.sum": "\n", "go.work": "go 1.26.8\n"}[path.Base(name)])
		}
	case 23, 24:
		dir := directory(of("conf/", "shared/"))
		name := dir + "/" + w.pick([]string{"new", "ignored", ".hidden", "empty/"})
		w.note("add %s", name)
		if strings.HasSuffix(name, "/") {
			require.NoError(w.t, os.MkdirAll(w.path(name), 0o755))
		} else {
			w.write(name, "v1\n")
		}
	case 25:
		name := w.pick(w.files(isGo))
		constraint := w.pick([]string{"special", "!special", "linux", "windows", "arm64", "amd64"})
		w.note("//go:build %s in %s", constraint, name)
		text := w.read(name)
		if strings.HasPrefix(text, "//go:build") {
			_, text, _ = strings.Cut(text, "\n")
		}
		w.write(name, "//go:build "+constraint+"\n\n"+text)
	case 26:
		name := w.pick(w.files(isGo))
		w.note("drop an import of %s", name)
		text := w.read(name)
		if m := regexp.MustCompile(`import "(.*)/(l\d)"\n`).FindStringSubmatch(text); m != nil {
			text = strings.Replace(strings.Replace(text, m[0], "", 1), " + "+m[2]+".V()", "", 1)
		}
		w.write(name, text)
	case 27:
		// Git is told to trust that a file stays as it is.
		name := w.pick(w.files(isGo))
		w.note("change %s where git sees nothing", name)
		if strings.Contains(w.git("ls-files", "--", name), name) {
			w.git("update-index", w.pick([]string{"--assume-unchanged", "--skip-worktree"}), name)
		}
		w.change(name)
	case 28:
		// Of the same size, and with the same time.
		name := w.pick(w.files(isGo))
		w.note("change %s in secret", name)
		info, err := os.Stat(w.path(name))
		require.NoError(w.t, err)
		w.change(name)
		require.NoError(w.t, os.Chtimes(w.path(name), info.ModTime(), info.ModTime()))
	case 29:
		name := w.pick(all)
		w.note("back to v1: %s", name)
		if strings.Contains(w.git("ls-tree", "-r", "--name-only", "v1"), name) {
			w.git("checkout", "-q", "v1", "--", name)
		}
	}
}

// packageName is what the package in a directory is called.
func (w *world) packageName(dir string) string {
	if strings.HasPrefix(dir, "cmd/") {
		return "main"
	}
	return path.Base(dir)
}

// plan plans the images that can be planned: of others nobody would ask.
func (w *world) plan(source string) []changed.Image {
	var images []changed.Image
	for _, name := range slices.Sorted(maps.Keys(w.images)) {
		config := w.images[name]
		config.Runtime = "scratch"
		if len(config.Platforms) == 0 {
			config.Platforms = []string{"linux/amd64"}
		}
		p, err := plan.Resolve(w.t.Context(), os.DirFS(source), config)
		if fault.As(err) != nil {
			continue
		}
		require.NoError(w.t, err)
		images = append(images, changed.Image{Name: name, Plan: p, Config: config})
	}
	return images
}

// check holds the verdicts on all images against what they are when they are built. It counts images, those that are the same,
// and those of them that are out.
func (w *world) check(step int) (all, same, out int64) {
	images := w.plan(w.dir)
	verdicts, err := changed.Since(w.t.Context(), w.dir, "v1", images, lister(w.dir))
	require.NoError(w.t, err, w.log)
	digests, failed := w.digests(w.dir, images)
	keys := w.resultKeys(w.dir, images)
	for _, v := range verdicts {
		all++
		isSame := digests[v.Name] == w.was[v.Name]
		if isSame {
			same++
		}
		if !v.In && isSame {
			out++
		}
		if !v.In && !isSame {
			w.t.Errorf("step %d: %s is out (%s) and not the same (%v) after:\n%s", step, v.Name, v.Reason, failed[v.Name], strings.Join(w.log, "\n"))
		}
		hits := keys[v.Name] != "" && keys[v.Name] == w.keys[v.Name]
		if hits && !isSame {
			w.t.Errorf("step %d: %s would come from the cache, and is not the same (%v) after:\n%s", step, v.Name, failed[v.Name], strings.Join(w.log, "\n"))
		}
		if hits {
			w.hits++
		}
		if testing.Verbose() {
			w.t.Logf("%v %v: %s", w.log, v, map[bool]string{true: "same", false: "different"}[isSame])
		}
	}
	w.checkShared(step, images, digests)
	return all, same, out
}

// resultKeys are the keys by which results of images are found in a cache, without their bases.
func (w *world) resultKeys(source string, images []changed.Image) map[string]string {
	inputs := plan.NewInputs(os.DirFS(source))
	keys := map[string]string{}
	for _, img := range images {
		p := *img.Plan
		p.Image.Base = ""
		if of, err := (&results.Engine{}).Keys(w.t.Context(), &p, inputs); err == nil {
			keys[img.Name] = fmt.Sprint(of)
		}
	}
	return keys
}

// digests are those of everything that images hold: their programs, for all platforms, and their files. An image that cannot be built has
// none.
func (w *world) digests(source string, images []changed.Image) (digests map[string]string, failed map[string]error) {
	digests, failed = map[string]string{}, map[string]error{}
	built := map[string]string{}
	for _, img := range images {
		digest, err := w.digest(source, img.Plan, built, here)
		if err != nil {
			failed[img.Name] = err
			continue
		}
		digests[img.Name] = digest
	}
	return digests, failed
}

// compiling calls run with what the environment of the Go command needs besides.
type compiling func(p *plan.Plan, c plan.Compile, run func(environ map[string]string) error) error

// here is how this machine compiles.
func here(_ *plan.Plan, _ plan.Compile, run func(environ map[string]string) error) error {
	return run(nil)
}

func (w *world) digest(source string, plan *plan.Plan, built map[string]string, compile compiling) (string, error) {
	sum := sha256.New()
	for _, c := range plan.Compile {
		for _, program := range plan.Programs {
			c.Packages = []string{program.Package}
			digest, err := w.program(source, plan, c, program.Name, built, compile)
			if err != nil {
				return "", err
			}
			fmt.Fprintln(sum, program.Name, digest)
		}
	}
	for _, layer := range plan.Image.Layers {
		for _, f := range layer.Files {
			content, from := []byte(f.Text), f.Source
			f.Source = "" // where a file comes from is not in the image
			if from != "" {
				var err error
				if content, err = os.ReadFile(filepath.Join(source, from)); err != nil {
					return "", err
				}
			}
			fmt.Fprintf(sum, "%+v %x\n", f, sha256.Sum256(content))
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}

// program builds one; built has those that were built of the same source.
func (w *world) program(source string, plan *plan.Plan, c plan.Compile, name string, built map[string]string, compile compiling) (string, error) {
	out := filepath.Join(w.out, strings.ReplaceAll(c.Platform.String(), "/", "-"), strings.Join(plan.Compile[0].Flags, ""))
	args := c.Command(out)
	key := fmt.Sprint(source, plan.Source.Dir, plan.Env, c.Env, args)
	if digest, ok := built[key]; ok {
		return digest, nil
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return "", err
	}
	err := compile(plan, c, func(environ map[string]string) error {
		cmd := exec.CommandContext(w.t.Context(), args[0], args[1:]...)
		cmd.Dir = filepath.Join(source, plan.Source.Dir)
		for _, env := range []map[string]string{goenv.Caller(os.Environ()), plan.Env, c.Env, environ, {"PWD": cmd.Dir}} {
			for name, value := range env {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
		}
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(filepath.Join(out, name))
	if err != nil {
		return "", err
	}
	built[key] = fmt.Sprintf("%x", sha256.Sum256(content))
	return built[key], nil
}
