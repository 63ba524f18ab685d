package changed

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEmbeds(t *testing.T) {
	for _, test := range []struct {
		patterns, name string
		want           bool
	}{
		{"a.txt", "a.txt", true},
		{"a.txt", "b/a.txt", false},
		{"a", "a/b/c", true},
		{"a", "ab", false},
		{"a/b", "a/b/.hidden", true},
		{"all:a", "a/b", true},
		{"*.html", "x.html", true},
		{"*.html", "x.html/y", true},
		{"*.html", "y/x.html", false},
		{"a/*.txt b", "b/x", true},
		{"a/[bc]", "a/c/d", true},
		{".", "any/thing", true},
		{"[", "any", true}, // Go says what is wrong with it
	} {
		assert.Equal(t, test.want, embeds(strings.Fields(test.patterns), test.name), "%s of %s", test.name, test.patterns)
	}
}

// The hashes are those that git hash-object prints.
func TestBlob(t *testing.T) {
	for _, hash := range []string{
		"9daeafb9864cf43055ae93beb0afd6c7d144bfa4",
		"999f24152159e51756a944d32257bf22080ff8608fff87ca9a4a823764e13dbe",
	} {
		e := entry{hash: hash}
		assert.True(t, e.blob(5, strings.NewReader("test\n")), hash)
		assert.False(t, e.blob(5, strings.NewReader("Test\n")))
		assert.False(t, e.blob(4, strings.NewReader("test\n")))
	}
}

func FuzzTree(f *testing.F) {
	const hash = "587be6b4c3f93f93c489c0111bba5596147a26cb"
	for _, s := range []string{"", "100644 blob " + hash + "\tname\x00", "160000 commit " + hash + "\ta/b\tc\x00", "100644 blob x\t../y\x00", "x", "\x00", "a b c\t\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, out string) {
		entries, err := parseTree(out)
		if err != nil {
			return
		}
		for name, e := range entries {
			assert.Contains(t, out, e.mode+" ")
			assert.Contains(t, out, " "+e.hash+"\t"+name+"\x00")
			assert.NotContains(t, "/"+name+"/", "/../", "no name leads out of the source")
			assert.False(t, strings.HasPrefix(name, "/"))
		}
		again, err := parseTree(out + "100644 blob " + hash + "\tone more\x00")
		require.NoError(t, err)
		assert.Equal(t, hash, again["one more"].hash)
	})
}

func FuzzPackages(f *testing.F) {
	for _, s := range []string{"", "{}", `{"ImportPath":"a","Module":{"Replace":{"Version":"v1"}},"Error":{"Err":""}}{"Deps":["a"]}`, `{"DepsErrors":[null]}`, "{"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, out string) {
		packages, err := parsePackages(strings.NewReader(out))
		if err != nil {
			return
		}
		for _, p := range packages {
			p.problem()
			p.inSource(false)
		}
	})
}
