package alpine

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func mustVersion(t testing.TB, text string) version {
	t.Helper()
	v, err := parseVersion(text)
	require.NoError(t, err)
	return v
}

func TestVersions(t *testing.T) {
	// Each line is in order, from old to new; what is joined by = is equal.
	for line := range strings.Lines(`
		0 1 2 9 10 11 100 123456789012345678901234567890 123456789012345678901234567891
		1 1.0 1.0.0 1.0.1 1.1 1.2 1.10 1.11 2
		1.0 1.0a 1.0b 1.0z 1.0.1 1.1
		1_alpha 1_alpha1 1_alpha2 1_alpha10 1_beta 1_pre 1_pre2 1_rc 1_rc1 1 1_cvs 1_svn 1_git 1_hg 1_p 1_p1 1_p20240101
		1.0_rc1 1.0_rc1_p1 1.0_rc2 1.0 1.0-r0 1.0-r1 1.0-r9 1.0-r10 1.0_git20240101-r0 1.0_p1-r0 1.0a-r0 1.0.1-r0
		1.00 1.000 1.001 1.0010 1.01 1.09 1.1 1.9 1.10
		01=1=001 2
		1.2_rc1_alpha 1.2_rc1 1.2_rc1_git1 1.2_rc2
		1.2_rc1-r1 1.2_rc2-r0
		1~0 1~a1 1~a1-r1 1~b0
		1.0~abc 1.0_p
		8.17.0-r0 8.17.0-r1 8.17.1-r0
		3.5.4-r0 3.5.4-r1 3.6.0-r0
		20240226-r0 20250619-r0
		0.0.0_alpha 0.0.0
	`) {
		groups := strings.Fields(line)
		for i, a := range groups {
			for j, b := range groups {
				for _, one := range strings.Split(a, "=") {
					for _, other := range strings.Split(b, "=") {
						is := mustVersion(t, one).compare(mustVersion(t, other))
						assert.Equal(t, i < j, is < 0, "%s and %s: %d", one, other, is)
						assert.Equal(t, i == j, is == 0, "%s and %s: %d", one, other, is)
					}
				}
			}
		}
	}
	for _, text := range []string{"", "a", "1.", "1..2", ".1", "1a1", "1ab", "1a.1", "1_", "1_foo", "1_rcx", "1-1", "1-r", "1-r1-r2", "1-r1_p1", "1~", "1~xyz", "1-r1~a", "v1", "1 ", "1:2", "1A"} {
		_, err := parseVersion(text)
		assert.Error(t, err, text)
	}
}

func TestVersionMatches(t *testing.T) {
	for text, want := range map[string]bool{
		"1.2 1.2": true, "1.2.3 1.2": true, "1.2.3-r4 1.2.3": true, "1.2.3-r4 1": true, "1.20 1.2": false, "1.2 1.2.3": false, "1.2_rc1 1.2": true,
		"1.3 1.2": false, "01.2 1": true,
	} {
		a, b, _ := strings.Cut(text, " ")
		assert.Equal(t, want, mustVersion(t, a).matches(mustVersion(t, b)), text)
	}
}

// Versions are in one order, whatever they are.
func FuzzVersions(f *testing.F) {
	f.Add("1.2.3-r4", "1.2_rc1", "1.2a_p1~abc-r0")
	f.Add("1.00", "1.0", "1.001")
	f.Add("1_alpha", "1", "1_p")
	f.Fuzz(func(t *testing.T, x, y, z string) {
		var all []version
		for _, text := range []string{x, y, z} {
			v, err := parseVersion(text)
			if err != nil {
				return
			}
			if v.compare(v) != 0 || !v.matches(v) {
				t.Errorf("%s is not itself", text)
			}
			all = append(all, v)
		}
		a, b, c := all[0], all[1], all[2]
		if (a.compare(b) < 0) != (b.compare(a) > 0) || (a.compare(b) == 0) != (b.compare(a) == 0) {
			t.Errorf("%s and %s: %d and %d", x, y, a.compare(b), b.compare(a))
		}
		if a.compare(b) == 0 && b.compare(c) == 0 && a.compare(c) != 0 {
			t.Errorf("%s, %s and %s are equal and not", x, y, z)
		}
	})
}
