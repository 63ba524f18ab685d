package progress

import (
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	lipglosstable "charm.land/lipgloss/v2/table"

	"github.com/slipway-ci/slipway/internal/console"
)

// Row is the image of one platform in the summary. Sizes are in bytes.
type Row struct {
	// Name is the image's, where there are several.
	Name string `json:"name,omitempty"`
	// Failed says that the image of that name was not built or did not get where it should.
	Failed   bool   `json:"failed,omitempty"`
	Platform string `json:"platform"`
	// Binary is the size of the program, of all together where the image has several.
	Binary int64 `json:"binarySize"`
	// Image is the size of the image as it is pulled, compressed.
	Image int64 `json:"imageSize"`
	// Unpacked is the size of the image on a node's disk.
	Unpacked int64  `json:"unpackedSize"`
	Digest   string `json:"digest"`
}

// Lengths of digests: the whole, and what docker shows of one, both after "sha256:".
const (
	fullDigest  = 64
	shortDigest = 12
)

// summaryLines are a summary but for its last line: a table, or, of many images, what matters.
func summaryLines(e event, digits int, c colours) []string {
	if e.many {
		return e.summary.short()
	}
	return table(e.summary.rows, digits, c)
}

// table returns the lines of the summary for people, each digest cut to so many hexadecimal digits.
func table(rows []Row, digits int, c colours) []string {
	headers := []string{"PLATFORM", "BINARY", "IMAGE", "UNPACKED", "DIGEST"}
	names := slices.ContainsFunc(rows, func(r Row) bool { return r.Name != "" })
	if names {
		headers = append([]string{"NAME"}, headers...)
	}
	t := lipglosstable.New().
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderColumn(false).BorderHeader(false).
		Headers(headers...).
		StyleFunc(func(row, col int) lipgloss.Style {
			style := lipgloss.NewStyle()
			if row == lipglosstable.HeaderRow {
				style = c.dim
			}
			if n := len(headers) - col; 2 <= n && n <= 4 {
				style = style.Align(lipgloss.Right)
			}
			return style.PaddingLeft(2)
		})
	for _, r := range rows {
		digest := r.Digest
		if algorithm, hex, ok := strings.Cut(digest, ":"); ok {
			digest = algorithm + ":" + hex[:min(digits, len(hex))]
		}
		cells := []string{r.Platform, console.Size(r.Binary), console.Size(r.Image), console.Size(r.Unpacked), digest}
		if r.Failed {
			cells = []string{c.bad.Render("failed"), "", "", "", ""}
		}
		if names {
			cells = append([]string{r.Name}, cells...)
		}
		t.Row(cells...)
	}
	lines := strings.Split(t.Render(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return lines
}
