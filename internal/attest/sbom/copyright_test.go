package sbom

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDebianLicence(t *testing.T) {
	head := "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: app\nLicense: whole\n\n"
	for text, want := range map[string]licence{
		head + "Files: *\nCopyright: 2026 A\nLicense: Expat\n Permission is\n .\n granted\n\nFiles: debian/*\nLicense: GPL-2+\n\nLicense: GPL-2+\n The text.\n": {expression: "GPL-2.0-or-later AND MIT"},
		head + "Files: *\nLicense: GPL-3 or Apache-2.0\n\nFiles: x\nLicense: BSD-3-clause and ISC\n":                                                            {expression: "(GPL-3.0-only OR Apache-2.0) AND BSD-3-Clause AND ISC"},
		head + "Files: *\nLicense: LGPL-2.1+ or MPL-1.1\n":                                                                                                      {expression: "LGPL-2.1-or-later OR MPL-1.1"},
		head + "Files: *\nLicense: GPL-2+ with OpenSSL exception\n\nFiles: x\nLicense: Expat\n":                                                                 {words: "Expat; GPL-2+ with OpenSSL exception"},
		head + "Files: *\nLicense: GPL-2 or GPL-3 and Expat\n":                                                                                                  {words: "GPL-2 or GPL-3 and Expat"},
		"This package is free.\nFiles: *\nLicense: Expat\n":                                                                                                     {},
		"": {},
	} {
		assert.Equal(t, want, debianLicence(copyrightLicences([]byte(text))), text)
	}
	for name, want := range map[string]bool{"/usr/share/doc/a/copyright": true, "/usr/share/doc/copyright": false, "/usr/share/doc/a/b/copyright": false, "/copyright": false} {
		assert.Equal(t, want, isCopyright(name), name)
	}
}
