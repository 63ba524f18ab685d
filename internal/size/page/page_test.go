package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/size"
	"github.com/slipway-ci/slipway/internal/size/program"
)

// report is one of a program with many functions, and names that HTML would take for something else.
func report(name string, functions int) *size.Report {
	pkg := &program.Package{Path: "example.com/a</script><b>\u202e"}
	for i := range functions {
		f := program.Function{Name: fmt.Sprintf("f%d", i), Code: int64(10_000 - i), Table: 5}
		pkg.Functions = append(pkg.Functions, f)
		pkg.Size += f.Size()
	}
	p := &program.Program{
		Size: pkg.Size + 7, Modules: []*program.Module{{Path: "example.com/a", Size: pkg.Size, Packages: []*program.Package{pkg}}},
		Other: []program.Part{{Kind: program.Padding, Size: 7}},
	}
	return &size.Report{Name: name, Platforms: []*size.Platform{{Platform: "linux/amd64", Unpacked: p.Size, Programs: []*size.Program{{Path: name, Program: p}}}}}
}

// write returns the page, and the data in it.
func write(t *testing.T, reports ...*size.Report) (page string, data struct {
	Levels, Kinds []string
	Images        []struct {
		Name      string
		Platforms []struct{ Tree []any }
	}
},
) {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Write(&b, reports))
	_, rest, found := strings.Cut(b.String(), `<script type="application/json" id="data">`)
	require.True(t, found)
	text, _, found := strings.Cut(rest, "</script>")
	require.True(t, found)
	require.NoError(t, json.Unmarshal([]byte(text), &data))
	return b.String(), data
}

// adds checks that parts add up, and returns the nodes by name.
func adds(t *testing.T, node []any, into map[string][]any) map[string][]any {
	t.Helper()
	into[node[0].(string)] = node
	if len(node) == 5 {
		total := 0.0
		for _, part := range node[4].([]any) {
			adds(t, part.([]any), into)
			total += part.([]any)[3].(float64)
		}
		assert.Equal(t, node[3], total)
	}
	return into
}

func TestWrite(t *testing.T) {
	r := report("x<i>", 500)
	page, data := write(t, r)
	require.Len(t, data.Images, 1)
	nodes := adds(t, data.Images[0].Platforms[0].Tree, map[string][]any{})
	assert.Equal(t, float64(r.Platforms[0].Unpacked), data.Images[0].Platforms[0].Tree[3])
	assert.Contains(t, nodes, "f0")
	assert.NotContains(t, nodes, "f499", "it is among the smaller ones")
	assert.Contains(t, nodes, "smaller ones")
	assert.Less(t, len(nodes), 40)
	assert.Contains(t, page, "<title>Size of x&lt;i&gt;</title>")
	assert.NotContains(t, page, "<b>")
	assert.NotContains(t, page, "\u202e")
	assert.Equal(t, "function", data.Levels[int(nodes["f0"][1].(float64))])
	assert.Equal(t, "code", data.Kinds[int(nodes["f0"][2].(float64))])
}

// Nothing in the page leads to a network.
func TestSelfContained(t *testing.T) {
	page, _ := write(t, report("x", 1))
	assert.Contains(t, page, `content="default-src 'none';`)
	assert.NotRegexp(t, regexp.MustCompile(`(?i)https?:|src=|@import|url\(|fetch\(`), strings.ReplaceAll(page, "default-src", ""))
}

// What is shown of one image is shown of the other, too.
func TestTwo(t *testing.T) {
	before, after := report("a", 100), report("b", 100)
	functions := after.Platforms[0].Programs[0].Modules[0].Packages[0].Functions
	functions[99].Code, functions[99].Table = 20_000, 0
	_, data := write(t, before, after)
	require.Len(t, data.Images, 2)
	for i, image := range data.Images {
		nodes := adds(t, image.Platforms[0].Tree, map[string][]any{})
		assert.Contains(t, nodes, "f99", "%d", i)
		assert.Contains(t, nodes, "f0")
		assert.NotContains(t, nodes, "f98")
	}
}

func TestDeterministic(t *testing.T) {
	first, _ := write(t, report("a", 50), report("b", 60))
	second, _ := write(t, report("a", 50), report("b", 60))
	assert.Equal(t, first, second)
}
