package plan

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-ci/slipway/internal/fault"
)

// Healthcheck is a command that Docker runs in a container, to see whether it is healthy. Zero times and retries are Docker's: 30s, 30s, 0s
// and 3.
type Healthcheck struct {
	Command []string `json:"command"`
	// Interval is from one run to the next, Timeout how long a run may take, and StartPeriod how long failures do not count at first.
	Interval    Duration `json:"interval,omitzero"`
	Timeout     Duration `json:"timeout,omitzero"`
	StartPeriod Duration `json:"startPeriod,omitzero"`
	// Retries is how many failures in a row make a container unhealthy.
	Retries int `json:"retries,omitempty"`
}

// Duration is a time in the notation of package time, such as "1m30s".
type Duration time.Duration

// String is the duration as Go and Docker write it.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText makes a duration a string in JSON.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

var healthcheckSetting = Setting{
	Flag: "healthcheck", Value: "WORD", Help: "word of the command that Docker runs in a container, to see whether it is healthy, like /app/server healthcheck",
	More:  "Kubernetes and Podman ignore it",
	Field: "Healthcheck",
	read: func(c Config, s *settings, f *fault.Faults) {
		for i, word := range c.Healthcheck {
			switch {
			case i == 0 && (word == "" || strings.Contains(word, "/") && !path.IsAbs(word)):
				f.Add("healthcheck", word, "neither the absolute path nor the name of a program in the image", "write it like /app/server")
			case i == 0 && strings.ContainsAny(word, " \t"):
				f.Add("healthcheck", word, "a command line, and no shell reads it", "give each word its own --healthcheck")
			case strings.ContainsRune(word, 0):
				f.Add("healthcheck", word, "holds a zero byte, which no argument can have", "leave it out")
			}
		}
		if len(c.Healthcheck) > 0 {
			s.image.Healthcheck = &Healthcheck{Command: c.Healthcheck}
		}
	},
}

var healthcheckOptionsSetting = Setting{
	Flag: "healthcheck-option", Value: "OPTION=VALUE",
	Help:    "option of the health check: interval=30s, timeout=3s, start-period=10s or retries=3",
	Default: "Docker's: 30s, 30s, 0s and 3",
	Field:   "HealthcheckOptions",
	read: func(c Config, s *settings, f *fault.Faults) {
		if len(c.HealthcheckOptions) > 0 && s.image.Healthcheck == nil {
			f.Add("healthcheck-option", c.HealthcheckOptions[0], "there is no health check that it is for", "add --healthcheck")
			return
		}
		options := readMap(f, "healthcheck-option", c.HealthcheckOptions, "interval=30s")
		for _, option := range sortedKeys(options) {
			if err := s.image.Healthcheck.set(option, options[option]); err != nil {
				f.Add("healthcheck-option", option+"="+options[option], err.Error(), "")
			}
		}
	},
}

// set gives an option its value.
func (h *Healthcheck) set(option, value string) error {
	times := map[string]*Duration{"interval": &h.Interval, "timeout": &h.Timeout, "start-period": &h.StartPeriod}
	switch d := times[option]; {
	case option == "retries":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return fmt.Errorf("not a number of failures: write one from 1")
		}
		h.Retries = n
	case d == nil:
		return fmt.Errorf("no such option: choose from interval, timeout, start-period and retries")
	case d.UnmarshalText([]byte(value)) != nil || time.Duration(*d) < time.Millisecond:
		return fmt.Errorf("not a time of at least a millisecond: write it like 30s or 1m30s")
	}
	return nil
}

// Options are those that are not Docker's own, in the notation of a Dockerfile's HEALTHCHECK.
func (h *Healthcheck) Options() []string {
	var all []string
	add := func(name string, d Duration) {
		if d != 0 {
			all = append(all, name+"="+d.String())
		}
	}
	add("interval", h.Interval)
	add("timeout", h.Timeout)
	add("start-period", h.StartPeriod)
	if h.Retries != 0 {
		all = append(all, "retries="+strconv.Itoa(h.Retries))
	}
	return all
}

// checkHealthcheck faults a health check of a program that an image without a base cannot have.
func (r resolver) checkHealthcheck(image Image, files []File) {
	if image.Healthcheck == nil || r.base != "" || r.ownDebian() {
		return
	}
	name := image.Healthcheck.Command[0]
	if !strings.ContainsAny(name, " \t") && !slices.ContainsFunc(files, func(f File) bool { return f.Path == name || path.Dir(f.Path) == appDir && path.Base(f.Path) == name }) {
		r.add("healthcheck", name, "the image has no such file", "name the path of a program, or bring a file with --file")
	}
}
