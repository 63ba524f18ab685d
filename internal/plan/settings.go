package plan

import (
	"fmt"
	"go/token"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are a Config's values, read and checked, in the form that a plan has them. What needs the source tree, such as
// packages and files, is only checked for its form.
type settings struct {
	packages        []string
	builderPackages []string
	runtimePackages []string
	platforms       []Platform
	runtime         Runtime
	base            string
	cgo             string
	tags            []string
	fips            string
	experiments     []string
	caCerts         string
	ports           []string
	env             []string
	user            string
	labels          map[string]string
	annotations     map[string]string
	files           []file
	writable        []string
	created         int64
	compression     Compression
}

// file is a value of Config.Files.
type file struct {
	text, src, dst string
	mode           Mode // 0: the source's own
}

// settings reads c. Each fault that it finds goes to f, and the setting is left out.
func (c Config) settings(f *faulty) settings {
	var s settings
	s.packages = each(f, "package", c.Packages, parsePackage)
	s.platforms = each(f, "platform", c.Platforms, ParsePlatform)
	if len(c.Platforms) == 0 {
		s.platforms = []Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
	}
	// The order has no meaning, so that two users who list the same platforms get the same image.
	slices.SortFunc(s.platforms, func(a, b Platform) int { return strings.Compare(a.String(), b.String()) })
	s.platforms = slices.Compact(s.platforms)

	s.runtime, s.base = c.readRuntime(f)
	s.builderPackages = sorted(each(f, "builder-package", c.BuilderPackages, parseSystemPackage))
	s.runtimePackages = sorted(each(f, "runtime-package", c.RuntimePackages, parseSystemPackage))
	if len(c.RuntimePackages) > 0 && s.runtime != Alpine {
		f.add("runtime-package", strings.Join(c.RuntimePackages, ","), "the runtime "+string(s.runtime)+" has no package manager that Slipway knows",
			"add --runtime alpine, also to an Alpine image of your own in --base")
	}
	s.tags = each(f, "build-tags", c.BuildTags, parseBuildTag)
	if c.TZData {
		s.tags = append(s.tags, "timetzdata") // Source: https://pkg.go.dev/time/tzdata
	}
	s.cgo = c.readCGO(f)
	s.checkLibc(f, c)
	if s.cgo == cgoStatic {
		// Without these, net and os/user ask a C library that is not at hand where the program runs.
		s.tags = append(s.tags, "netgo", "osusergo")
	}
	s.tags = sorted(s.tags)
	s.fips = c.readFIPS(f)
	s.experiments = sorted(each(f, "go-experiment", c.GoExperiments, parseExperiment))
	// Templates are read when what they name is known.
	_ = each(f, "stamp", slices.DeleteFunc(slices.Clone(c.Stamps), isTemplate), parseStamp)
	s.caCerts = c.readCACerts(f)
	s.ports = each(f, "port", c.Ports, parsePort)
	slices.SortFunc(s.ports, comparePorts)
	s.ports = slices.Compact(s.ports)
	s.env = each(f, "env", c.Env, parseEnv)
	s.user = c.readUser(f, s.runtime)
	s.labels = c.readMap(f, "label", c.Labels)
	s.annotations = c.readMap(f, "annotation", c.Annotations)
	s.files = each(f, "file", c.Files, parseFile)
	s.writable = sorted(each(f, "writable", c.Writable, parseWritable))
	if db, err := url.Parse(c.VulnDB); c.VulnDB != "" && (err != nil || !slices.Contains([]string{"http", "https", "file"}, db.Scheme)) {
		f.add("vulndb", c.VulnDB, "not the URL of a database", "write it like https://vuln.example.com or file:///srv/vulndb")
	}
	if c.Name != "" && !imageName.MatchString(c.Name) {
		f.add("name", c.Name, "not a name of an image", "write lower-case letters and digits, with . _ __ or any number of - between them")
	}
	if c.Revision != "" && !revision.MatchString(c.Revision) {
		f.add("revision", c.Revision, "not a commit", "write its hash, as git rev-parse HEAD prints it")
	}
	s.created = c.readEpoch(f)
	s.compression = c.readCompression(f)
	return s
}

// imageName can be part of a file's name, and of a repository's. Source: OCI distribution specification, "Pulling manifests"
var imageName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$`)

// separators are what stands between the letters and digits of a program's name, of which an image's may have some.
var (
	separators = regexp.MustCompile(`[^a-z0-9]+`)
	separator  = regexp.MustCompile(`^(\.|_|__|-+)$`)
)

// nameOf is the name of the image of a program: the program's own in lower case, with a - for what cannot be in it; empty if nothing can.
func nameOf(program string) string {
	name := separators.ReplaceAllStringFunc(strings.ToLower(program), func(between string) string {
		if separator.MatchString(between) {
			return between
		}
		return "-"
	})
	return strings.Trim(name, "._-")
}

// sorted is a list whose order has no meaning, in one order and with nothing twice.
func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// systemPackage is the name of a package, with a version where the package managers of Alpine and Debian take one.
var systemPackage = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._:=~@-]*$`)

func parseSystemPackage(s string) (string, error) {
	if !systemPackage.MatchString(s) {
		return "", fmt.Errorf("not the name of a package: write it like protobuf-dev or curl=8.17.0-r1")
	}
	return s, nil
}

// each reads every value of a list.
func each[T any](f *faulty, field string, values []string, parse func(string) (T, error)) []T {
	var parsed []T
	for _, v := range values {
		if t, err := parse(strings.TrimSpace(v)); err != nil {
			f.add(field, v, err.Error(), "")
		} else {
			parsed = append(parsed, t)
		}
	}
	return parsed
}

func (c Config) readRuntime(f *faulty) (Runtime, string) {
	var base string
	if c.Base != "" {
		var err error
		if base, err = parseBase(c.Base); err != nil {
			f.add("base", c.Base, err.Error(), "")
		}
	}
	switch {
	case c.Runtime == "" && c.Base != "":
		return Custom, base
	case c.Runtime == "":
		return Distroless, runtimes[Distroless].base
	case !slices.Contains(Runtimes(), c.Runtime):
		f.add("runtime", c.Runtime, "no such runtime", "choose from "+strings.Join(Runtimes(), ", ")+", or name an image with --base")
		return Custom, base
	case c.Runtime == string(Scratch) && c.Base != "":
		f.add("base", c.Base, "the runtime scratch has no base", "leave out one of the two")
		return Scratch, ""
	case c.Base != "":
		return Runtime(c.Runtime), base
	default:
		return Runtime(c.Runtime), runtimes[Runtime(c.Runtime)].base
	}
}

func parsePackage(s string) (string, error) {
	switch {
	case s == "":
		return "", fmt.Errorf("names nothing: write the directory, like ./cmd/server")
	case strings.Contains(s, "..."):
		return "", fmt.Errorf("a pattern: name each main package by its directory, like ./cmd/server")
	case strings.HasSuffix(s, ".go"):
		return "", fmt.Errorf("a file: name the directory that it is in, like ./cmd/server")
	case path.IsAbs(s) || strings.Contains(s, `\`):
		return "", fmt.Errorf("not a directory relative to the source: write it like ./cmd/server")
	}
	clean := path.Clean(s)
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("outside the source: make a directory above both the source")
	}
	return clean, nil
}

var buildTag = regexp.MustCompile(`^[\p{L}\p{N}_.]+$`)

func parseBuildTag(s string) (string, error) {
	if !buildTag.MatchString(s) {
		return "", fmt.Errorf("not a build tag: letters, digits, underscores and dots make one")
	}
	return s, nil
}

// linkerFlags joins the linker's flags: without symbol table and debug data, then the stamps, then the user's own, which
// the linker reads last.
func (r resolver) linkerFlags(p Platform, names map[string]any) string {
	names = maps.Clone(names)
	names["Platform"], names["OS"], names["Arch"] = p.String(), p.OS, p.Architecture
	var flags []string
	if !r.config.Debug {
		flags = append(flags, "-s", "-w")
	}
	if r.cgo == cgoStatic {
		flags = append(flags, "-linkmode", "external", "-extldflags", "-static")
	}
	for _, stamp := range each(r.faulty, "stamp", r.expandAll("stamp", r.config.Stamps, names), parseStamp) {
		flags = append(flags, "-X", stamp)
	}
	for _, own := range r.expandAll("ldflags", []string{r.config.LDFlags}, names) {
		flags = append(flags, strings.TrimSpace(own))
	}
	return strings.TrimSpace(strings.Join(flags, " "))
}

// parseStamp reads "importpath.name=value" and quotes it for go build's -ldflags, which knows quotes but no escapes.
func parseStamp(s string) (string, error) {
	variable, value, ok := strings.Cut(s, "=")
	dot := strings.LastIndex(variable, ".")
	if !ok || dot < 1 || !token.IsIdentifier(variable[dot+1:]) || strings.ContainsAny(variable, " \t\n'\"") {
		return "", fmt.Errorf("not of the form IMPORTPATH.NAME=VALUE: write it like main.version=v1.2.3")
	}
	switch {
	case strings.ContainsRune(value, 0):
		return "", fmt.Errorf("holds a zero byte: leave it out")
	case !strings.ContainsAny(s, " \t\r\n'\""):
		return s, nil
	case !strings.Contains(s, "'"):
		return "'" + s + "'", nil
	case !strings.Contains(s, `"`):
		return `"` + s + `"`, nil
	default:
		return "", fmt.Errorf("has both kinds of quotes, which go build cannot take: use one kind")
	}
}

func parsePort(s string) (string, error) {
	number, protocol, ok := strings.Cut(s, "/")
	if !ok {
		protocol = "tcp"
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != number || !slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) {
		return "", fmt.Errorf("not a port: write a number from 1 to 65535, with /udp or /sctp where it is not TCP")
	}
	return number + "/" + protocol, nil
}

func comparePorts(a, b string) int {
	if d := len(strings.Split(a, "/")[0]) - len(strings.Split(b, "/")[0]); d != 0 {
		return d // decimal numbers without leading zeros: the longer is the larger
	}
	return strings.Compare(a, b)
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

func parseEnv(s string) (string, error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok || !envName.MatchString(name) || strings.ContainsRune(value, 0) {
		return "", fmt.Errorf("not of the form KEY=VALUE: write it like LOG_LEVEL=info")
	}
	return s, nil
}

// readMap reads KEY=VALUE settings, of which each key may stand once.
func (c Config) readMap(f *faulty, field string, values []string) map[string]string {
	m := map[string]string{}
	for _, v := range values {
		key, value, ok := strings.Cut(v, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" {
			f.add(field, v, "not of the form KEY=VALUE", "write it like org.opencontainers.image.vendor=Example")
			continue
		}
		if _, twice := m[key]; twice {
			f.add(field, v, "set twice", "leave one out")
		}
		m[key] = value
	}
	return m
}

// readUser reads "UID" or "UID:GID". Names are refused: Kubernetes can check runAsNonRoot on a number only.
// Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
func (c Config) readUser(f *faulty, runtime Runtime) string {
	user := strings.TrimSpace(c.User)
	if user == "" {
		return runtimes[runtime].user
	}
	if user == "root" || user == "root:root" {
		user = "0:0"
	}
	ids := strings.Split(user, ":")
	if len(ids) == 1 {
		ids = append(ids, ids[0])
	}
	for i, id := range ids {
		n, err := strconv.ParseUint(id, 10, 31)
		if err != nil || len(ids) > 2 {
			f.add("user", c.User, "not a numeric user", "write UID or UID:GID, like 1000:1000")
			return ""
		}
		ids[i] = strconv.FormatUint(n, 10)
	}
	if ids[0] == "0" && !c.AllowRoot {
		f.add("user", c.User, "the program would run as root", "choose a user like 1000:1000, or add --allow-root if it must be")
	}
	return strings.Join(ids, ":")
}

// revision is a commit's hash, with what git describe calls it when the work tree differs.
var revision = regexp.MustCompile(`^[0-9a-f]{7,64}(-dirty)?$`)

// parseFile reads "SOURCE:DESTINATION" or "SOURCE:DESTINATION:MODE".
func parseFile(s string) (file, error) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return file{}, fmt.Errorf("not of the form SOURCE:DESTINATION[:MODE]: write it like config.yaml:/etc/app/config.yaml:0644")
	}
	f := file{text: s, src: path.Clean(parts[0]), dst: path.Clean(parts[1])}
	if path.IsAbs(f.src) || f.src == ".." || strings.HasPrefix(f.src, "../") {
		return file{}, fmt.Errorf("%s is outside the source: name a file relative to the source, in it", parts[0])
	}
	if !path.IsAbs(f.dst) || f.dst == "/" {
		return file{}, fmt.Errorf("%s is not an absolute path in the image: write it like /etc/app/config.yaml", parts[1])
	}
	if strings.HasSuffix(parts[1], "/") {
		f.dst = path.Join(f.dst, path.Base(f.src))
	}
	if len(parts) == 3 {
		if err := f.mode.UnmarshalText([]byte(parts[2])); err != nil || f.mode == 0 {
			return file{}, fmt.Errorf("%s is not a file mode: write it in octal, like 0644", parts[2])
		}
	}
	return f, nil
}

// systemDirectories are those that every image may have, or gets when it runs. Source:
// https://refspecs.linuxfoundation.org/FHS_3.0/fhs/ch03.html
var systemDirectories = []string{
	"/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/srv",
	"/sys", "/tmp", "/usr", "/var",
}

// mounted are filled by the container's runtime.
var mounted = []string{"/dev", "/proc", "/sys"}

// parseWritable reads a directory that the user of the image is to own.
func parseWritable(s string) (string, error) {
	dir := path.Clean(s)
	switch {
	case !path.IsAbs(s) || dir == "/" || strings.ContainsRune(s, 0):
		return "", fmt.Errorf("not an absolute path of a directory in the image: write it like /data")
	case dir == "/tmp":
		return "", fmt.Errorf("every user may write there: leave it out")
	case slices.Contains(systemDirectories, dir):
		return "", fmt.Errorf("a directory of the system: name one of the program's own, like %s", path.Join(dir, "data"))
	case slices.ContainsFunc(mounted, func(m string) bool { return within(m, dir) }):
		return "", fmt.Errorf("the container's runtime fills this directory: name another, like /data")
	}
	return dir, nil
}

// lastEpoch is the last second that the tar format and RFC 3339 both can hold.
var lastEpoch = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()

// levels are the highest of the formats of compression. Sources: gzip(1), zstd(1)
var levels = map[string]int{Gzip: 9, Zstd: 22}

// readCompression gives what is asked for by default one form, so that it is the same plan.
func (c Config) readCompression(f *faulty) Compression {
	format, text, leveled := strings.Cut(strings.TrimSpace(c.Compression), ":")
	if format == "" && !leveled || format == Gzip && !leveled {
		return Compression{}
	}
	level, err := 0, error(nil)
	if leveled {
		level, err = strconv.Atoi(text)
	}
	switch highest, known := levels[format]; {
	case !known:
		f.add("compression", c.Compression, "no such compression", "choose gzip or zstd, with a level if you like, as in zstd:19")
	case err != nil || leveled && (level < 1 || level > highest):
		f.add("compression", c.Compression, "no level of "+format, fmt.Sprintf("choose one from 1 to %d, or leave it out", highest))
	default:
		return Compression{format, level}
	}
	return Compression{}
}

func (c Config) readEpoch(f *faulty) int64 {
	text := strings.TrimSpace(c.SourceDateEpoch)
	if text == "" {
		return 0
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 || seconds > lastEpoch {
		f.add("SOURCE_DATE_EPOCH", c.SourceDateEpoch, "not a time in whole seconds since 1970",
			"set it like SOURCE_DATE_EPOCH=$(git log -1 --format=%ct), or unset it")
		return 0
	}
	return seconds
}
