package plan

import (
	"fmt"
	"go/version"
	"strconv"
	"strings"
)

//go:generate go run ../goversions goversions.go

var goSetting = Setting{
	Flag: "go", Argument: "goVersion", Value: "VERSION", Help: "version of Go to compile with; 1.26 is its newest patch release, latest-patch that of what go.mod says",
	Default: "what go.mod says", Examples: []string{latestPatch},
	Field: "Go",
}

// oldestGo is the first version that can be picked by GOTOOLCHAIN. Source: https://go.dev/doc/toolchain
const oldestGo = "go1.21"

// exactGo turns a version as users and go.mod write it into an exact release: a minor version alone becomes the newest
// patch release in Slipway's table, which notes it.
func exactGo(v string) (exact string, err error) {
	v = strings.TrimPrefix(v, "go")
	switch full := "go" + v; {
	case v == "latest" || v == "stable":
		return "", fmt.Errorf("what it means changes from day to day: give a version, like %s, or %s", newestGo(), latestPatch)
	case !version.IsValid(full) || strings.ContainsAny(v, "-+"):
		return "", fmt.Errorf("not a version of Go: write it like %s", newestGo())
	case version.Compare(full, oldestGo) < 0:
		return "", fmt.Errorf("Go before 1.21 cannot be picked for a build: newer releases compile older modules, so set --go %s", newestGo())
	case version.Lang(full) != full:
		return v, nil // it names a patch release or a release candidate
	}
	patch, known := newestPatch[v]
	if !known {
		return "", fmt.Errorf("not in the table of releases, so its newest patch is unknown: name one exactly with --go, like %s.0", v)
	}
	return v + "." + strconv.Itoa(patch), nil
}

// latestPatch, as the setting of the version of Go, takes the newest patch release of the minor version that the source names.
const latestPatch = "latest-patch"

// newestPatchOf is the newest patch release in the table of a version's minor version; empty where the version is as new, or where
// the table has none.
func newestPatchOf(v string) string {
	minor := strings.TrimPrefix(version.Lang("go"+v), "go")
	patch, known := newestPatch[minor]
	newest := minor + "." + strconv.Itoa(patch)
	if !known || compareGo(newest, v) <= 0 {
		return ""
	}
	return newest
}

// newestGo is the newest release in the table.
func newestGo() string {
	newest := ""
	for minor := range newestPatch {
		if version.Compare("go"+minor, "go"+newest) > 0 {
			newest = minor
		}
	}
	return newest + "." + strconv.Itoa(newestPatch[newest])
}

func compareGo(a, b string) int { return version.Compare("go"+a, "go"+b) }
