package plan

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-ci/slipway/internal/fault"
)

var portsSetting = Setting{
	Flag: "port", Value: "PORT", Help: "port that the program listens on, like 8080 or 53/udp",
	Field: "Ports",
	read: func(c Config, s *settings, f *fault.Faults) {
		ports := each(f, "port", c.Ports, parsePort)
		slices.SortFunc(ports, comparePorts)
		s.image.Ports = slices.Compact(ports)
	},
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

var envSetting = Setting{
	Flag: "env", Argument: "environment", Value: "KEY=VALUE", Help: "environment variable of the image", Template: true,
	Field: "Env",
	read:  func(c Config, s *settings, f *fault.Faults) { s.image.Env = each(f, "env", c.Env, parseEnv) },
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

func parseEnv(s string) (string, error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok || !envName.MatchString(name) || strings.ContainsRune(value, 0) {
		return "", fmt.Errorf("not of the form KEY=VALUE: write it like LOG_LEVEL=info")
	}
	return s, nil
}

var argsSetting = Setting{
	Flag: "arg", Value: "ARGUMENT", Help: "default argument of the program, in place of which a user may give others",
	Field: "Args",
	read:  func(c Config, s *settings, _ *fault.Faults) { s.image.Args = c.Args },
}

var workdirSetting = Setting{
	Flag: "workdir", Argument: "workingDir", Value: "DIR", Help: "directory of the image that the program starts in, which is made if it is missing", Default: appDir + ", or / where no program is there",
	Field: "Workdir",
	read: func(c Config, s *settings, f *fault.Faults) {
		switch dir := path.Clean(c.Workdir); {
		case c.Workdir == "":
		case !path.IsAbs(dir) || strings.ContainsRune(dir, 0):
			f.Add("workdir", c.Workdir, "not an absolute path of the image", "write it like /srv")
		default:
			s.image.WorkingDir = dir
		}
	},
}

var stopSignalSetting = Setting{
	Flag: "stop-signal", Value: "SIGNAL", Help: "signal that asks the program to end, like SIGINT or 2", Default: "that of the base, or SIGTERM",
	Examples: []string{"SIGTERM", "SIGINT", "SIGQUIT"},
	Field:    "StopSignal",
	read: func(c Config, s *settings, f *fault.Faults) {
		if c.StopSignal == "" {
			return
		}
		name := strings.ToUpper(c.StopSignal)
		if number, err := strconv.Atoi(name); err == nil {
			if number < 1 || number > lastSignal || strconv.Itoa(number) != name {
				f.Add("stop-signal", c.StopSignal, "no signal of Linux", fmt.Sprintf("write a number from 1 to %d, or a name like SIGINT", lastSignal))
			}
		} else if name = "SIG" + strings.TrimPrefix(name, "SIG"); !signalName.MatchString(name) {
			f.Add("stop-signal", c.StopSignal, "no signal of Linux", "write its name, like SIGINT, or its number")
		}
		s.image.StopSignal = name
	},
}

// lastSignal is the highest number of a signal, and signalName its name. Source: signal(7) of Linux
const lastSignal = 64

var signalName = regexp.MustCompile(`^SIG(HUP|INT|QUIT|ILL|TRAP|ABRT|IOT|BUS|FPE|KILL|USR1|SEGV|USR2|PIPE|ALRM|TERM|STKFLT|CHLD|CLD|CONT|STOP|TSTP|TTIN|TTOU|` +
	`URG|XCPU|XFSZ|VTALRM|PROF|WINCH|IO|POLL|PWR|SYS|RTMIN(\+([1-9]|1[0-5]))?|RTMAX(-([1-9]|1[0-4]))?)$`)

var allowRootSetting = Setting{
	Flag: "allow-root", Help: "permit --user 0",
	Field: "AllowRoot",
}

var userSetting = Setting{
	Flag: "user", Value: "UID[:GID]", Help: "numeric user to run as, UID or UID:GID", Default: "65532:65532, and 1000:1000 on alpine and scratch",
	Field: "User",
	read:  func(c Config, s *settings, f *fault.Faults) { s.user = c.readUser(f, s.runtime) },
}

var userNameSetting = Setting{
	Flag: "user-name", Value: "NAME", Help: "name of the user in the image's /etc/passwd and /etc/group, whose home is /home/NAME", Default: "app on alpine and scratch, nonroot on debian; others have those of the base",
	Field: "UserName",
	read: func(c Config, s *settings, f *fault.Faults) {
		uid, _, _ := strings.Cut(s.user, ":")
		switch {
		case c.UserName == "":
		case !userName.MatchString(c.UserName):
			f.Add("user-name", c.UserName, "not a name of a user", "write up to 32 lower-case letters, digits, - and _, with no digit and no - at the beginning, like git")
		case uid == "0" || c.UserName == "root":
			f.Add("user-name", c.UserName, "root has that name alone, and no other user has it", "choose another, with --user like 1000:1000, or leave it out")
		case uid == nonroot && s.base == runtimes[s.runtime].base && (s.runtime == Distroless || s.runtime == DistrolessBase) && c.UserName != "nonroot":
			f.Add("user-name", c.UserName, "the base calls the user "+nonroot+" nonroot", "choose another number, like --user 1000:1000, or leave it out")
		default:
			s.userName = c.UserName
		}
	},
}

// userName is what useradd takes everywhere. Source: useradd(8) of Debian, "CAVEATS"
var userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)

// nonroot is the number of distroless' user.
const nonroot = "65532"

// readUser reads "UID" or "UID:GID". Names are refused: Kubernetes can check runAsNonRoot on a number only.
// Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
func (c Config) readUser(f *fault.Faults, runtime Runtime) string {
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
			f.Add("user", c.User, "not a numeric user", "write UID or UID:GID, like 1000:1000")
			return ""
		}
		ids[i] = strconv.FormatUint(n, 10)
	}
	if ids[0] == "0" && !c.AllowRoot {
		f.Add("user", c.User, "the program would run as root", "choose a user like 1000:1000, or add --allow-root if it must be")
	}
	return strings.Join(ids, ":")
}

var labelsSetting = Setting{
	Flag: "label", Value: "KEY=VALUE", Help: "label of the image", Template: true,
	Field: "Labels",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.labels = readMap(f, "label", c.Labels, describedExample)
	},
}

var annotationsSetting = Setting{
	Flag: "annotation", Value: "KEY=VALUE", Help: "annotation of manifests and index", Template: true,
	Field: "Annotations",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.annotations = readMap(f, "annotation", c.Annotations, describedExample)
	},
}

// describedExample is an example of labels and annotations.
const describedExample = "org.opencontainers.image.vendor=Example"

// readMap reads KEY=VALUE settings, of which each key may stand once.
func readMap(f *fault.Faults, field string, values []string, example string) map[string]string {
	m := map[string]string{}
	for _, v := range values {
		key, value, ok := strings.Cut(v, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" {
			f.Add(field, v, "not of the form KEY=VALUE", "write it like "+example)
			continue
		}
		if _, twice := m[key]; twice {
			f.Add(field, v, "set twice", "leave one out")
		}
		m[key] = value
	}
	return m
}

var filesSetting = Setting{
	Flag: "file", Value: "SOURCE:DESTINATION[:MODE]", Help: "file or directory of the source for the image, as SOURCE:DESTINATION or SOURCE:DESTINATION:MODE; SOURCE can be a pattern, like web/*.html:/www/, a template, like bin/tool-{{.Arch}}:/bin/tool, or an https URL, which slipway pin records",
	Field: "Files",
	read:  func(c Config, s *settings, f *fault.Faults) { s.files = each(f, "file", c.Files, parseFile) },
}

// file is a value of Config.Files.
type file struct {
	text, src, dst string
	into           string // the directory of dst, where that is what was given
	mode           Mode   // 0: the source's own
}

// parseFile reads "SOURCE:DESTINATION" or "SOURCE:DESTINATION:MODE".
func parseFile(s string) (file, error) {
	parts := strings.Split(s, ":")
	if isURL(s) {
		parts = splitURL(s)
	}
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return file{}, fmt.Errorf("not of the form SOURCE:DESTINATION[:MODE]: write it like config.yaml:/etc/app/config.yaml:0644")
	}
	if isTemplate(parts[1]) {
		return file{}, fmt.Errorf("%s is a template, and a path of the image is the same on all platforms: write it like /bin/tool", parts[1])
	}
	f := file{text: s, src: path.Clean(parts[0]), dst: path.Clean(parts[1])}
	name := path.Base(f.src)
	switch {
	case isURL(s):
		f.src = parts[0]
		if err := checkURL(f.src); err != nil && !isTemplate(f.src) {
			return file{}, err
		}
		name = Download{URL: f.src}.Name()
	case path.IsAbs(f.src) || f.src == ".." || strings.HasPrefix(f.src, "../"):
		return file{}, fmt.Errorf("%s is outside the source: name a file relative to the source, in it", parts[0])
	}
	if strings.HasSuffix(parts[1], "/") {
		f.into, f.dst = f.dst, path.Join(f.dst, name)
	}
	if !path.IsAbs(f.dst) || f.dst == "/" {
		return file{}, fmt.Errorf("%s is not the absolute path of a file in the image: write it like /etc/app/config.yaml", parts[1])
	}
	if len(parts) == 3 {
		if err := f.mode.UnmarshalText([]byte(parts[2])); err != nil || f.mode == 0 {
			return file{}, fmt.Errorf("%s is not a file mode: write it in octal, like 0644", parts[2])
		}
	}
	return f, nil
}

var volumesSetting = Setting{
	Flag: "volume", Value: "DIR", Help: "directory of the image that a volume is mounted at, like /data, which --writable gives to the user",
	Field: "Volumes",
	read: func(c Config, s *settings, f *fault.Faults) {
		s.image.Volumes = sorted(each(f, "volume", c.Volumes, func(text string) (string, error) {
			dir := path.Clean(text)
			if !path.IsAbs(dir) || dir == "/" || strings.ContainsRune(dir, 0) {
				return "", fmt.Errorf("not an absolute path of a directory in the image: write it like /data")
			}
			return dir, nil
		}))
	},
}

// mounted are filled by the container's runtime.
var mounted = []string{"/dev", "/proc", "/sys"}

var compressionSetting = Setting{
	Flag: "compression", Value: "FORMAT[:LEVEL]", Help: "compression of the layers that are made",
	More: "a level is up to 9 for gzip, and up to 22 for zstd", Default: "gzip",
	Choices: []Choice{{Gzip, "What every registry and runtime takes."}, {Zstd, "Smaller and faster to unpack, but not every registry and runtime takes it."}},
	Field:   "Compression",
	read:    func(c Config, s *settings, f *fault.Faults) { s.image.Compression = c.readCompression(f) },
}

// levels are the highest of the formats of compression. Sources: gzip(1), zstd(1)
var levels = map[string]int{Gzip: 9, Zstd: 22}

// readCompression gives what is asked for by default one form, so that it is the same plan.
func (c Config) readCompression(f *fault.Faults) Compression {
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
		f.Add("compression", c.Compression, "no such compression", "choose gzip or zstd, with a level if you like, as in zstd:19")
	case err != nil || leveled && (level < 1 || level > highest):
		f.Add("compression", c.Compression, "no level of "+format, fmt.Sprintf("choose one from 1 to %d, or leave it out", highest))
	case leveled && c.Engine.NoLevels:
		f.Add("compression", c.Compression, "the engine pushes, and chooses its own level", "leave the level out: "+format+", or give a login, so that Slipway pushes")
	default:
		return Compression{format, level}
	}
	return Compression{}
}

var revisionSetting = Setting{
	Flag: "revision", Value: "COMMIT", Help: "commit that labels, annotations and provenance name, by its hash",
	More:    "auto asks git",
	Default: "none, so that a commit that changes nothing in the program changes nothing in the image",
	Field:   "Revision",
	read: func(c Config, _ *settings, f *fault.Faults) {
		if c.Revision != "" && !revision.MatchString(c.Revision) {
			f.Add("revision", c.Revision, "not a commit", "write its hash, as git rev-parse HEAD prints it")
		}
	},
}

// revision is a commit's hash, with what git describe calls it when the work tree differs.
var revision = regexp.MustCompile(`^[0-9a-f]{7,64}(-dirty)?$`)

// Source: https://reproducible-builds.org/specs/source-date-epoch/
var epochSetting = Setting{
	Number: true, Help: "time of everything in the image, in seconds since 1970", Default: "0",
	Field: "SourceDateEpoch",
	read:  func(c Config, s *settings, f *fault.Faults) { s.image.Created = c.readEpoch(f) },
}

// lastEpoch is the last second that the tar format and RFC 3339 both can hold.
var lastEpoch = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()

func (c Config) readEpoch(f *fault.Faults) int64 {
	text := strings.TrimSpace(c.SourceDateEpoch)
	if text == "" {
		return 0
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 || seconds > lastEpoch {
		f.Add("SOURCE_DATE_EPOCH", c.SourceDateEpoch, "not a time in whole seconds since 1970",
			"set it like SOURCE_DATE_EPOCH=$(git log -1 --format=%ct), or unset it")
		return 0
	}
	return seconds
}
