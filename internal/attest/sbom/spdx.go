package sbom

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
)

const noAssertion = "NOASSERTION"

func (i *Inventory) spdx() ([]byte, error) {
	doc := v2_3.Document{
		SPDXVersion:       v2_3.Version,
		DataLicense:       v2_3.DataLicense,
		SPDXIdentifier:    "DOCUMENT",
		DocumentName:      i.components[0].name,
		DocumentNamespace: i.uuid(SPDX).URN(),
		CreationInfo: &v2_3.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: strings.TrimSuffix(tool+"-"+i.version, "-")}},
			Created:  i.created.Format(time.RFC3339),
		},
	}
	ids := map[string]common.ElementID{}
	for n, c := range i.components {
		ids[c.ref] = common.ElementID(strings.ReplaceAll(spdxPurposes[c.kind], "_", "-") + "-" + strconv.Itoa(n)) // ids have no _
	}
	relate := func(from common.ElementID, relationship string, to common.ElementID) {
		doc.Relationships = append(doc.Relationships, &v2_3.Relationship{
			RefA: common.DocElementID{ElementRefID: from}, RefB: common.DocElementID{ElementRefID: to}, Relationship: relationship,
		})
	}
	whole := i.components[0]
	relate("DOCUMENT", common.TypeRelationshipDescribe, ids[whole.ref])
	for _, c := range i.components {
		if c.kind == file {
			doc.Files = append(doc.Files, spdxFile(c, ids[c.ref]))
		} else {
			doc.Packages = append(doc.Packages, spdxPackage(c, ids[c.ref]))
		}
		switch c.kind {
		case container:
		case base:
			relate(ids[whole.ref], common.TypeRelationshipDescendantOf, ids[c.ref])
		default:
			relate(ids[whole.ref], common.TypeRelationshipContains, ids[c.ref])
		}
		if c.kind == program || c.kind == module || c.kind == osPackage {
			for _, need := range c.needs {
				relate(ids[c.ref], common.TypeRelationshipDependsOn, ids[need])
			}
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(doc); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// spdxPurposes are SPDX's primary package purposes, in the spelling of its JSON schema. Source:
// https://spdx.github.io/spdx-spec/v2.3/package-information/#724-primary-package-purpose-field
var spdxPurposes = map[kind]string{
	container: "CONTAINER",
	base:      "CONTAINER",
	system:    "OPERATING_SYSTEM",
	program:   "APPLICATION",
	module:    "LIBRARY",
	osPackage: "LIBRARY",
	file:      "FILE",
}

func checksums(c component) []common.Checksum {
	var sums []common.Checksum
	if c.sha1 != "" {
		sums = append(sums, common.Checksum{Algorithm: common.SHA1, Value: c.sha1})
	}
	if c.sha256 != "" {
		sums = append(sums, common.Checksum{Algorithm: common.SHA256, Value: c.sha256})
	}
	return sums
}

func spdxFile(c component, id common.ElementID) *v2_3.File {
	return &v2_3.File{
		FileName: "." + c.name, FileSPDXIdentifier: id, Checksums: checksums(c),
		LicenseConcluded: noAssertion, LicenseInfoInFiles: []string{noAssertion}, FileCopyrightText: noAssertion,
	}
}

func spdxPackage(c component, id common.ElementID) *v2_3.Package {
	p := &v2_3.Package{
		PackageName: c.name, PackageSPDXIdentifier: id, PackageVersion: c.version, PackageDownloadLocation: noAssertion,
		PackageChecksums: checksums(c), PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion,
		PackageCopyrightText: noAssertion, PrimaryPackagePurpose: spdxPurposes[c.kind],
	}
	switch {
	case c.licence.expression != "":
		p.PackageLicenseDeclared = c.licence.expression
	case c.licence.words != "":
		p.PackageLicenseComments = "Declared as: " + c.licence.words
	}
	if c.purl != "" {
		p.PackageExternalReferences = []*v2_3.PackageExternalReference{{
			Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: c.purl,
		}}
	}
	var lines []string
	for _, property := range c.properties {
		lines = append(lines, property.name+"="+property.value)
	}
	p.PackageComment = strings.Join(lines, "\n")
	return p
}
