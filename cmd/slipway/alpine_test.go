package main

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/slipway-ci/slipway/internal/test/alpinetest"
)

// alpineRepository is the key of a script's repository.
const alpineRepository = "alpine repository"

// Those in testdata/alpine install packages from a repository that they change, on a base that trusts it:
//
//   - apk package NAME VERSION [LINE…] publishes a package with the file /usr/share/NAME, and lines of its .PKGINFO
//   - apk scripted NAME VERSION SCRIPT publishes one with a script
//   - apk tamper NAME VERSION changes a package after it was signed, and apk gone NAME VERSION removes it from the repository
//   - apk forge changes the index after it was signed
//   - apk sign later signs the index anew, a day later, and apk sign earlier a day earlier
func TestAlpineScripts(t *testing.T) {
	maps.Copy(commands, map[string]func(ts *testscript.TestScript, neg bool, args []string){"apk": apkCommand})
	runScripts(t, "testdata/alpine", func(e *testscript.Env) error {
		r := alpinetest.Start(t)
		pushBase(t, e.Getenv("REGISTRY"), "library/alpine:3.24.2", func(*testing.T, string) []tarFile {
			var files []tarFile
			base := r.Base()
			for _, name := range slices.Sorted(maps.Keys(base)) {
				files = append(files, tarFile{strings.TrimPrefix(name, "/"), 0o644, base[name]})
			}
			return append(files, tarFile{"etc/os-release", 0o644, "ID=alpine\nVERSION_ID=3.24.2\n"})
		})
		e.Values[alpineRepository] = r
		e.Setenv("SLIPWAY_MIRRORS", e.Getenv("SLIPWAY_MIRRORS")+","+alpinetest.Host+"="+r.Address)
		return nil
	})
}

func apkCommand(ts *testscript.TestScript, _ bool, args []string) {
	r := ts.Value(alpineRepository).(*alpinetest.Repository)
	path := func() string {
		return strings.TrimPrefix(alpinetest.Main, alpinetest.Host) + "/x86_64/" + args[1] + "-" + args[2] + ".apk"
	}
	switch args[0] {
	case "package":
		with := []func(*alpinetest.Package){alpinetest.Regular("usr/share/"+args[1], args[2]+"\n")}
		for _, line := range args[3:] {
			key, value, _ := strings.Cut(line, " = ")
			with = append(with, alpinetest.Info(key, value))
		}
		r.Add(args[1], args[2], with...)
	case "scripted":
		r.Add(args[1], args[2], alpinetest.Script("post-install", "#!/bin/sh\n"+args[3]+"\n"))
	case "tamper":
		r.Files[path()] = tampered(r.Files[path()])
	case "gone":
		delete(r.Files, path())
	case "forge":
		r.Files[alpinetest.Index("x86_64")] = tampered(r.Files[alpinetest.Index("x86_64")])
	case "sign":
		r.Date = r.Date.AddDate(0, 0, map[string]int{"later": 1, "earlier": -1}[args[1]])
		r.Publish()
	default:
		ts.Fatalf("no such command: %s", args[0])
	}
}

// tampered is content with another byte near its end.
func tampered(content []byte) []byte {
	content = bytes.Clone(content)
	content[len(content)-20] ^= 1
	return content
}
