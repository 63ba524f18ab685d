package shell

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorder knows every command that begins with ok, and the file /there.
type recorder struct{ done []string }

func (r *recorder) Command(_ *Script, words []string, input string) (int, string, error) {
	if !strings.HasPrefix(words[0], "ok") {
		return 0, "", ErrUnknown
	}
	r.done = append(r.done, strings.Join(words, "|")+input)
	return map[bool]int{true: 1}[words[0] == "okno"], "printed\n", nil
}

func (r *recorder) Exists(_, name string) bool { return name == "/there" }

func (r *recorder) Write(name, content string, _ fs.FileMode) error {
	r.done = append(r.done, name+"="+content)
	return nil
}

func TestRun(t *testing.T) {
	for script, want := range map[string]string{
		"ok a 'b c' \"d e\" f\\ g \\\n h\n":                                          "ok|a|b c|d e|f g|h",
		"x=1; y=\"$x 2\"; ok \"$y\" $x ${none:-3} ${x:+4} \"${z}\"\n":                "ok|1 2|1|3|4|",
		"if [ \"$1\" = configure ] && [ -z \"$2\" ]; then ok a; else bad; fi\n":      "ok|a",
		"if okno; then bad; elif ok b; then ok c; fi\n":                              "okno ok|b ok|c",
		"case \"$1\" in upgrade|install) bad ;; configure) ok a ;; *) bad ;; esac\n": "ok|a",
		"f() { ok \"$@\"; [ \"$1\" = x ] && return 0; ok more; }\nf x y\nf z\n":      "ok|x|y ok|z ok|more",
		"for i in a \"b c\"; do ok $i; done\n":                                       "ok|a ok|b|c",
		"ok a > /dev/null 2>&1 || true\nokno b || ok c\n! okno d && ok e\n":          "ok|a okno|b ok|c okno|d ok|e",
		"[ -e /gone ] || ok a\n[ ! -x /there ] || ok b\ntest -n \"\" && bad\n":       "ok|a ok|b",
		"x=$(ok a)\nok \"$x\" `ok b`\n":                                              "ok|a ok|b ok|printed|printed",
		"cat > /file <<EOF\ntext $1\nEOF\n":                                          "/file=text configure\n",
		"(x=2; ok $x)\nok \"$x\"\n":                                                  "ok|2 ok|",
		"ok a\nexit 0\nbad\n":                                                        "ok|a",
		"ok a | ok b\n":                                                              "ok|a ok|bprinted\n",
	} {
		r := &recorder{}
		require.NoError(t, Run(r, []byte("#!/bin/sh\nset -e\n"+script), "configure"), script)
		assert.Equal(t, want, strings.Join(r.done, " "), script)
	}
}

func TestRunRefuses(t *testing.T) {
	for script, want := range map[string]string{
		"bad a b\n": "line 2: bad a b", "if ok; then bad; fi\n": "line 2: bad", "ok $(bad)\n": "line 2: bad", "ok a & ok b\n": "line 2: a command in the background",
		"while ok; do :; done\n": "line 2: what the shell has here", "ok *\n": "line 2: a pattern", "ok ~\n": "line 2: a pattern", "ok $PATH\n": "line 2: the variable PATH",
		"ok >> /file\n": "line 2: a redirection", "ok < /file\n": "line 2: a redirection", "x='*'; ok $x\n": "line 2: a value that the shell splits",
		"IFS=,\n": "line 2: an assignment", "ok ${x#a}\n": "line 2: an expansion", "ok $((1))\n": "line 2: an expansion", "exit 1\n": "it fails",
		"f() { f; }\nf\n": "line 2: a script that takes so long", "eval ok\n": "line 2: eval ok", "[ a -nt b ]\n": "line 2: [ a -nt b ]", "trap x EXIT\n": "line 2: trap x EXIT",
		"case $1 in c*) ok ;; esac\n": "line 2: a pattern", "ok (\n": "must be followed by )",
	} {
		err := Run(&recorder{}, []byte("#!/bin/sh\n"+script), "configure")
		require.ErrorIs(t, err, ErrUnknown, script)
		assert.Contains(t, err.Error(), want, script)
	}
	for _, script := range []string{"", "\x7fELF", "#!/usr/bin/perl\nexit 0\n", "exit 0\n"} {
		require.ErrorIs(t, Run(&recorder{}, []byte(script)), ErrUnknown)
	}
}

// Whatever a script is, it is evaluated or unknown.
func FuzzRun(f *testing.F) {
	f.Add("if [ \"$1\" = a ]; then ok \"$@\"; fi")
	f.Add("f() { f; }; f; case $1 in a) exit 0;; esac <<E\n$x\nE")
	f.Fuzz(func(t *testing.T, script string) {
		if err := Run(&recorder{}, []byte("#!/bin/sh\n"+script), "a"); err != nil && !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
	})
}
