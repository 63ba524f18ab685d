package sbom

import (
	"bytes"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// tool is the maker of documents.
const tool = "slipway"

// uuid is the same for the same image and format: documents of one content have one name.
func (i *Inventory) uuid(format Format) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(format.MediaType()+" "+i.components[0].ref))
}

func (i *Inventory) cycloneDX() ([]byte, error) {
	whole := cycloneComponent(i.components[0])
	bom := cyclonedx.NewBOM()
	bom.SerialNumber = i.uuid(CycloneDX).URN()
	bom.Metadata = &cyclonedx.Metadata{
		Timestamp: i.created.Format(time.RFC3339),
		Tools:     &cyclonedx.ToolsChoice{Components: &[]cyclonedx.Component{{Type: cyclonedx.ComponentTypeApplication, Name: tool, Version: i.version}}},
		Component: &whole,
	}
	components := []cyclonedx.Component{}
	dependencies := []cyclonedx.Dependency{}
	for n, c := range i.components {
		if n > 0 {
			components = append(components, cycloneComponent(c))
		}
		if c.kind != file {
			dependency := cyclonedx.Dependency{Ref: c.ref}
			if len(c.needs) > 0 {
				dependency.Dependencies = &c.needs
			}
			dependencies = append(dependencies, dependency)
		}
	}
	bom.Components, bom.Dependencies = &components, &dependencies
	var out bytes.Buffer
	encoder := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false)
	if err := encoder.EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

var cycloneTypes = map[kind]cyclonedx.ComponentType{
	container: cyclonedx.ComponentTypeContainer,
	base:      cyclonedx.ComponentTypeContainer,
	system:    cyclonedx.ComponentTypeOS,
	program:   cyclonedx.ComponentTypeApplication,
	module:    cyclonedx.ComponentTypeLibrary,
	osPackage: cyclonedx.ComponentTypeLibrary,
	file:      cyclonedx.ComponentTypeFile,
}

func cycloneComponent(c component) cyclonedx.Component {
	out := cyclonedx.Component{BOMRef: c.ref, Type: cycloneTypes[c.kind], Name: c.name, Version: c.version, PackageURL: c.purl}
	var hashes []cyclonedx.Hash
	if c.sha1 != "" {
		hashes = append(hashes, cyclonedx.Hash{Algorithm: cyclonedx.HashAlgoSHA1, Value: c.sha1})
	}
	if c.sha256 != "" {
		hashes = append(hashes, cyclonedx.Hash{Algorithm: cyclonedx.HashAlgoSHA256, Value: c.sha256})
	}
	if hashes != nil {
		out.Hashes = &hashes
	}
	switch {
	case c.licence.expression != "":
		out.Licenses = &cyclonedx.Licenses{{Expression: c.licence.expression}}
	case c.licence.words != "":
		out.Licenses = &cyclonedx.Licenses{{License: &cyclonedx.License{Name: c.licence.words}}}
	}
	if len(c.properties) > 0 {
		properties := make([]cyclonedx.Property, len(c.properties))
		for i, p := range c.properties {
			properties[i] = cyclonedx.Property{Name: p.name, Value: p.value}
		}
		out.Properties = &properties
	}
	return out
}
