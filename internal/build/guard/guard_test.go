package guard_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build/guard"
	"github.com/slipway-ci/slipway/internal/plan"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// compile builds a program as no plan would, if asked to.
func compile(t *testing.T, env []string, flags ...string) *os.File {
	t.Helper()
	return compileProgram(t, "package main\n\nfunc main() {}\n", env, flags...)
}

func compileProgram(t *testing.T, program string, env []string, flags ...string) *os.File {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/hello\n\ngo 1.26.0\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644))
	out := filepath.Join(dir, "hello")
	cmd := exec.Command("go", append([]string{"build", "-trimpath", "-buildvcs=false", "-o", out}, append(flags, ".")...)...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64"), env...)
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, string(text))
	f, err := os.Open(out)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Close()) })
	return f
}

var amd64 = plan.Platform{OS: "linux", Architecture: "amd64"}

func planFor(t *testing.T) (*plan.Plan, plan.Compile, plan.Program) {
	t.Helper()
	program := plan.Program{Name: "hello", ImportPath: "example.com/hello", Module: "example.com/hello", Package: "."}
	compile := plan.Compile{Platform: amd64, Env: map[string]string{"GOOS": "linux", "GOARCH": "amd64", "GOAMD64": "v1"}}
	return &plan.Plan{
		Go:       plan.Go{Version: strings.TrimPrefix(runtime.Version(), "go")},
		Env:      map[string]string{"CGO_ENABLED": "0"},
		Programs: []plan.Program{program}, Compile: []plan.Compile{compile},
		Guard: plan.Guard{Static: true, Runtime: plan.Distroless},
	}, compile, program
}

const stripped = "-ldflags=-s -w"

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		env    []string
		flags  []string
		change func(*plan.Plan, *plan.Compile, *plan.Program)
		want   []string // nothing: it passes
	}{
		"right":          {flags: []string{stripped}},
		"symbols":        {flags: []string{"-ldflags=-w"}, want: []string{"not stripped", ".symtab", "--ldflags"}},
		"debug data":     {want: []string{"not stripped"}},
		"for a debugger": {change: func(p *plan.Plan, _ *plan.Compile, _ *plan.Program) { p.Guard.Symbols = true }},
		"nothing for a debugger": {
			flags:  []string{stripped},
			change: func(p *plan.Plan, _ *plan.Compile, _ *plan.Program) { p.Guard.Symbols = true },
			want:   []string{"no symbols for a debugger", "--ldflags"},
		},
		"another architecture":   {env: []string{"GOARCH=arm64"}, flags: []string{stripped}, want: []string{"EM_AARCH64", "GOARCH=arm64 and not amd64"}},
		"another variant":        {env: []string{"GOAMD64=v2"}, flags: []string{stripped}, want: []string{"GOAMD64=v2 and not v1"}},
		"position independent":   {flags: []string{stripped, "-buildmode=pie"}, want: []string{"/lib64/ld-linux-x86-64.so.2", "runtime distroless does not have", "leave out --ldflags"}},
		"libraries where any go": {flags: []string{stripped, "-buildmode=pie"}, change: func(p *plan.Plan, _ *plan.Compile, _ *plan.Program) { p.Guard.Static = false }},
		"cgo is to blame": {
			flags:  []string{stripped, "-buildmode=pie"},
			change: func(_ *plan.Plan, c *plan.Compile, _ *plan.Program) { c.C = &plan.C{} },
			want:   []string{"leave out --cgo, link it with --cgo=static, or choose --runtime distroless-base"},
		},
		"static, and yet not": {
			flags:  []string{stripped, "-buildmode=pie"},
			change: func(_ *plan.Plan, c *plan.Compile, _ *plan.Program) { c.C = &plan.C{Static: true} },
			want:   []string{"leave out --ldflags that link dynamically"},
		},
		"another Go": {
			flags:  []string{stripped},
			change: func(p *plan.Plan, _ *plan.Compile, _ *plan.Program) { p.Go.Version = "1.21.0" },
			want:   []string{runtime.Version() + " and not go1.21.0", "PATH"},
		},
		"without the module that was asked for": {
			flags: []string{stripped},
			change: func(p *plan.Plan, _ *plan.Compile, _ *plan.Program) {
				p.Env = map[string]string{"GOFIPS140": "v1.0.0"}
			},
			want: []string{"without GOFIPS140=v1.0.0"},
		},
		"another program": {
			flags:  []string{stripped},
			change: func(_ *plan.Plan, _ *plan.Compile, p *plan.Program) { p.ImportPath += "/cmd/x" },
			want:   []string{"example.com/hello/cmd/x"},
		},
		"another commit": {
			flags: []string{stripped},
			change: func(p *plan.Plan, _ *plan.Compile, _ *plan.Program) {
				p.Source.VCS = &plan.VCS{Revision: "0123", Time: "2026-01-31T12:00:00Z"}
			},
			want: []string{`stamped with the commit "" of "", and not with 0123 of 2026-01-31T12:00:00Z`},
		},
		"several faults": {env: []string{"GOARCH=arm64"}, want: []string{"not stripped", "EM_AARCH64"}},
	} {
		t.Run(name, func(t *testing.T) {
			plan, compiled, program := planFor(t)
			if test.change != nil {
				test.change(plan, &compiled, &program)
			}
			err := guard.Check(compile(t, test.env, test.flags...), plan, compiled, program)
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			for _, want := range test.want {
				assert.ErrorContains(t, err, want)
			}
			assert.ErrorContains(t, err, "hello for linux/amd64")
		})
	}
}

// Every platform that a plan can have passes for itself, and for no other.
func TestEveryArchitecture(t *testing.T) {
	testtool.NeedTime(t, "the standard library is compiled for eight architectures")
	for _, text := range []string{"linux/386", "linux/arm/v6", "linux/arm64", "linux/loong64", "linux/mips64le", "linux/ppc64le", "linux/riscv64", "linux/s390x"} {
		t.Run(text, func(t *testing.T) {
			platform, err := plan.ParsePlatform(text)
			require.NoError(t, err)
			plan, compiled, program := planFor(t)
			program.ImportPath = "example.com/hello"
			env := map[string]string{"GOOS": "linux", "GOARCH": platform.Architecture}
			if platform.Variant != "" {
				env["GOARM"] = strings.TrimPrefix(platform.Variant, "v")
			}
			var list []string
			for k, v := range env {
				list = append(list, k+"="+v)
			}
			binary := compile(t, list, stripped)
			compiled.Platform, compiled.Env = platform, maps.Clone(env)
			require.NoError(t, guard.Check(binary, plan, compiled, program))
			compiled.Platform, compiled.Env = amd64, nil
			require.ErrorContains(t, guard.Check(binary, plan, compiled, program), "was compiled for")
		})
	}
}

func TestCheckOfWhatIsNoProgram(t *testing.T) {
	plan, compiled, program := planFor(t)
	require.ErrorContains(t, guard.Check(bytes.NewReader([]byte("#!/bin/sh\n")), plan, compiled, program), "not a Linux program")
	sh, err := os.Open("/bin/sh")
	require.NoError(t, err)
	defer sh.Close()
	require.ErrorContains(t, guard.Check(sh, plan, compiled, program), "how it was built")
}

// A C library that is newer than the runtime's fails here, and not when the program starts.
func TestGLIBC(t *testing.T) {
	testtool.Need(t, "gcc", "gcc")
	if runtime.GOARCH != "amd64" || runtime.GOOS != "linux" {
		testtool.Skip(t, "a machine of the type linux/amd64")
	}
	// The symbol is of 2.17: https://sourceware.org/glibc/wiki/Glibc%20Timeline
	const program = "package main\n\n// #include <stdlib.h>\n// static void *f(void) { return secure_getenv(\"X\"); }\nimport \"C\"\n\nfunc main() { println(C.f() == nil) }\n"
	binary := compileProgram(t, program, []string{"CGO_ENABLED=1", "CC=gcc"}, stripped)
	decided, compiled, p := planFor(t)
	decided.Guard = plan.Guard{Runtime: plan.DistrolessBase}
	require.NoError(t, guard.Check(binary, decided, compiled, p), "a base of which nothing is known")
	decided.Guard.GLIBC = "2.99"
	require.NoError(t, guard.Check(binary, decided, compiled, p))
	decided.Guard.GLIBC = "2.5" // which is older than 2.17: these are no decimals
	err := guard.Check(binary, decided, compiled, p)
	require.ErrorContains(t, err, "hello for linux/amd64 needs glibc 2.")
	require.ErrorContains(t, err, "and the runtime distroless-base has 2.5: compile where the C library is no newer")
	require.ErrorContains(t, err, "--cgo=static")

	decided.Guard.GLIBC = "2.1"
	require.NoError(t, guard.Check(compile(t, nil, stripped), decided, compiled, p), "a program without C needs none")
}

// A program with C++ loads its library, which no runtime for C has.
func TestLibraryOfCXX(t *testing.T) {
	testtool.Need(t, "g++", "g++")
	const program = "package main\n\n// #cgo LDFLAGS: -Wl,--no-as-needed -lstdc++\nimport \"C\"\n\nfunc main() {}\n"
	binary := compileProgram(t, program, []string{"CGO_ENABLED=1"}, stripped)
	decided, compiled, p := planFor(t)
	decided.Env["CGO_ENABLED"] = "1"
	decided.Guard = plan.Guard{Runtime: plan.DistrolessBase}
	require.NoError(t, guard.Check(binary, decided, compiled, p))
	decided.Guard.Lacks = []string{"libstdc++.so.6", "libnever.so"}
	err := guard.Check(binary, decided, compiled, p)
	require.ErrorContains(t, err, "hello for linux/amd64 needs libstdc++.so.6, which the runtime distroless-base does not have")
	require.NotContains(t, err.Error(), "libnever")
	decided.Image.Layers = []plan.Layer{{Name: plan.FilesLayer, Files: []plan.File{{Path: "/usr/lib/libstdc++.so.6", Source: "x"}}}}
	require.NoError(t, guard.Check(binary, decided, compiled, p), "it is placed")
}
