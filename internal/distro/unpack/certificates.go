package unpack

import (
	"bytes"
	"path"
	"strings"

	"github.com/slipway-ci/slipway/internal/cache"
	"github.com/slipway-ci/slipway/internal/oci"
)

// Certificates is the directory of the certificates that ca-certificates has, and bundle the file of them all.
const (
	Certificates = "/usr/share/ca-certificates/mozilla/"
	bundle       = "/etc/ssl/certs/ca-certificates.crt"
)

// AddCertificates puts all certificates of packages into one file, in the order of their names, unless there is one.
func (t *Tree) AddCertificates(c *cache.Cache) error {
	var each []oci.File
	key := "bundle of certificates 1:"
	for _, f := range t.Files() {
		if strings.HasPrefix(f.Path, Certificates) && path.Ext(f.Path) == ".crt" {
			each = append(each, f)
			key += " " + f.ID
		}
	}
	if each == nil {
		return nil
	}
	var all []byte
	if !c.Get(key, &all) {
		for _, f := range each {
			content, err := Read(f)
			if err != nil {
				return err
			}
			if all = append(all, content...); !bytes.HasSuffix(content, []byte("\n")) {
				all = append(all, '\n')
			}
		}
		if err := c.Put(key, all); err != nil {
			return err
		}
	}
	t.Add(oci.FromBytes(bundle, 0o644, all))
	return nil
}
