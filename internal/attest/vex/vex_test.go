package vex_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/attest/vex"
	"github.com/slipway-ci/slipway/internal/fault"
)

func one(statement string) string {
	return `{"@context":"https://openvex.dev/ns/v0.2.0","statements":[` + statement + `]}`
}

func TestParse(t *testing.T) {
	const undated = `{"vulnerability":{"name":"GO-1"},"status":"not_affected","justification":"component_not_present"}`
	dated := strings.Replace(undated, `"component_not_present"`, `"component_not_present","expires":"2027-01-31"`, 1)
	at := fault.Fault{Field: "vex", Value: "x.json"}

	all, err := vex.ParseSuppressions("api/"+vex.File, one(dated))
	require.NoError(t, err)
	assert.Equal(t, []vex.Statement{{Vulnerability: vex.Vulnerability{Name: "GO-1"}, Status: "not_affected", Justification: "component_not_present", Expires: "2027-01-31"}}, all)
	all, err = vex.Parse(at, one(undated))
	require.NoError(t, err)
	assert.Len(t, all, 1)
	none, err := vex.ParseSuppressions(vex.File, "")
	require.NoError(t, err)
	assert.Empty(t, none)

	_, err = vex.ParseSuppressions("api/"+vex.File, one(undated))
	require.EqualError(t, err, `api/.slipway-vex.json: GO-1: "expires" is "": write the last day on which this holds, like 2027-01-31`)
	assert.NotNil(t, fault.As(err))
	for text, want := range map[string]string{
		"{":          "unexpected end of JSON input",
		`{}`:         `its "@context" is ""`,
		one(`{}`):    "statement 1 names no vulnerability",
		one(`null`):  "statement 1 names no vulnerability",
		one(`[]`):    "cannot unmarshal array",
		one(undated): "",
		one(strings.Replace(dated, "2027-01-31", "soon", 1)):                             `"expires" is "soon"`,
		one(strings.Replace(dated, "not_affected", "affected", 1)):                       `the status "affected" suppresses nothing`,
		one(strings.Replace(undated, `"justification":"component_not_present"`, "", 1)):  "invalid character",
		one(strings.Replace(undated, `,"justification":"component_not_present"`, "", 1)): "there is no justification",
		one(strings.Replace(undated, "component_not_present", "we do not call it", 1)):   `OpenVEX has no justification "we do not call it"`,
		one(undated + "," + strings.Replace(undated, "GO-1", "", 1)):                     "statement 2 names no vulnerability",
		strings.Replace(one(undated), "openvex.dev", "example.com", 1):                   `its "@context" is "https://example.com/ns/v0.2.0"`,
	} {
		_, err := vex.Parse(at, text)
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, `vex "x.json": `, text)
		assert.ErrorContains(t, err, want, text)
	}
}

func TestExpired(t *testing.T) {
	now := time.Date(2026, 5, 5, 23, 0, 0, 0, time.UTC)
	for expires, want := range map[string]bool{"2026-05-04": true, "2026-05-05": false, "": false} {
		assert.Equal(t, want, vex.Statement{Expires: expires}.Expired(now), expires)
	}
}

func TestNew(t *testing.T) {
	statements := []vex.Statement{
		{Vulnerability: vex.Vulnerability{Name: "GO-1", Aliases: []string{"CVE-1"}}, Status: vex.NotAffected, Justification: "component_not_present", Expires: "2027-01-31"},
		{
			Vulnerability: vex.Vulnerability{Name: "GO-2"}, Status: vex.NotAffected, Justification: "component_not_present", Notes: "seen", Expires: "2027-01-31",
			Products: []vex.Product{
				{Component: vex.Component{ID: "other"}, Subcomponents: []vex.Component{{ID: vex.Module("golang.org/x/text")}}},
				{Component: vex.Component{ID: "another"}, Subcomponents: []vex.Component{{ID: vex.Module("golang.org/x/text")}, {ID: vex.Module("stdlib")}}},
			},
		},
	}
	document, err := vex.New(statements, []string{"pkg:oci/a", "pkg:oci/b"}, "me", time.Unix(0, 0))
	require.NoError(t, err)
	assert.Regexp(t, "^urn:uuid:[0-9a-f-]{36}$", document.ID)
	again, err := vex.New(statements, []string{"pkg:oci/a", "pkg:oci/b"}, "me", time.Unix(0, 0))
	require.NoError(t, err)
	assert.Equal(t, document, again)
	other, err := vex.New(statements[:1], []string{"pkg:oci/a", "pkg:oci/b"}, "me", time.Unix(0, 0))
	require.NoError(t, err)
	assert.NotEqual(t, document.ID, other.ID)

	document.ID = "id"
	text, err := json.Marshal(document)
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"@context": "https://openvex.dev/ns/v0.2.0", "@id": "id", "author": "me", "timestamp": "1970-01-01T00:00:00Z", "version": 1,
		"statements": [
			{"vulnerability": {"name": "GO-1", "aliases": ["CVE-1"]}, "products": [{"@id": "pkg:oci/a"}, {"@id": "pkg:oci/b"}],
				"status": "not_affected", "status_notes": "holds until 2027-01-31", "justification": "component_not_present"},
			{"vulnerability": {"name": "GO-2"}, "status": "not_affected", "status_notes": "seen; holds until 2027-01-31", "justification": "component_not_present", "products": [
				{"@id": "pkg:oci/a", "subcomponents": [{"@id": "pkg:golang/golang.org/x/text"}, {"@id": "pkg:golang/stdlib"}]},
				{"@id": "pkg:oci/b", "subcomponents": [{"@id": "pkg:golang/golang.org/x/text"}, {"@id": "pkg:golang/stdlib"}]}
			]}
		]
	}`, string(text))
}

func FuzzParse(f *testing.F) {
	f.Add(one(`{"vulnerability":{"name":"CVE-1"},"status":"not_affected","justification":"component_not_present","expires":"2026-01-01"},null`))
	f.Fuzz(func(t *testing.T, text string) {
		all, err := vex.ParseSuppressions(vex.File, text)
		if err != nil {
			return
		}
		for _, s := range all {
			// What suppresses says what, why and until when.
			if s.Vulnerability.Name == "" || s.Justification == "" || s.Status != "not_affected" {
				t.Errorf("%q is taken", text)
			}
			if _, err := time.Parse(time.DateOnly, s.Expires); err != nil {
				t.Errorf("%q is taken", text)
			}
		}
	})
}
