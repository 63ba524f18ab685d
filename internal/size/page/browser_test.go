package page

import (
	"bytes"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/size"
	"github.com/slipway-ci/slipway/internal/test/testtool"
)

// driver goes through the page by keyboard and mouse, and leaves in it what it saw, a line each.
const driver = `<script>
const seen = [];
const path = () => [...document.querySelectorAll("#path li")].map((l) => l.textContent).join("/");
const focused = () => document.activeElement.title || document.activeElement.textContent;
const note = (what) => seen.push(what + ": " + path() + ": " + focused());
const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
addEventListener("error", (e) => seen.push("error: " + e.message));
document.querySelector(".tile[tabindex='0']").focus();
note("first");
document.activeElement.click();
note("Enter");
document.activeElement.click();
note("Enter");
press("ArrowRight");
note("ArrowRight");
press("ArrowLeft");
note("ArrowLeft");
press("Escape");
note("Escape");
press("Escape");
note("Escape");
seen.push("tab stops: " + document.querySelectorAll(".tile[tabindex='0']").length);
seen.push("status: " + document.getElementById("status").textContent);
document.querySelector("#rows button").click();
note("row");
document.querySelector("#path button").click();
note("up");
seen.push("rows: " + [...document.querySelectorAll("#rows tr")].map((r) => [...r.cells].map((c) => c.textContent).join(", ")).join("; "));
document.body.append(Object.assign(document.createElement("pre"), { id: "seen", textContent: seen.join("\n") }));
</script>`

// browse writes the page of reports, and returns what the driver saw in it.
func browse(t *testing.T, reports ...*size.Report) []string {
	t.Helper()
	chromium := testtool.Need(t, "chromium", "chromium")
	var b bytes.Buffer
	require.NoError(t, Write(&b, reports))
	file := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(b.String(), "</body>", driver+"</body>", 1)), 0o644))
	cmd := exec.CommandContext(t.Context(), chromium, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,800",
		"--user-data-dir="+t.TempDir(), "--dump-dom", "file://"+file)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	require.NoError(t, err)
	_, text, found := strings.Cut(string(out), `<pre id="seen">`)
	require.True(t, found, "the page's script failed")
	text, _, _ = strings.Cut(text, "</pre>")
	return strings.Split(html.UnescapeString(text), "\n")
}

func TestBrowser(t *testing.T) {
	r := report("program", 3)
	r.Platforms[0].Programs[0].Modules[0].Packages[0].Path = "example.com/a/b"
	assert.Equal(t, []string{
		"first: everything: example.com/a, 30.0 kB, 100.0 %",
		"Enter: everything/example.com/a: example.com/a/b, 30.0 kB, 100.0 %",
		"Enter: everything/example.com/a/example.com/a/b: f0, 10.0 kB, 33.3 %",
		"ArrowRight: everything/example.com/a/example.com/a/b: f1, 10.0 kB, 33.3 %",
		"ArrowLeft: everything/example.com/a/example.com/a/b: f0, 10.0 kB, 33.3 %",
		"Escape: everything/example.com/a: example.com/a/b, 30.0 kB, 100.0 %",
		"Escape: everything: example.com/a, 30.0 kB, 100.0 %",
		"tab stops: 1",
		"status: everything: 30.0 kB",
		"row: everything/example.com/a: example.com/a",
		"up: everything: everything",
		"rows: example.com/a, module, 30.0 kB, 100.0 %; padding, padding, 7 B, 0.0 %",
	}, browse(t, r))
}

func TestBrowserWithTwo(t *testing.T) {
	before, after := report("before", 3), report("after", 4)
	seen := browse(t, before, after)
	assert.Equal(t, "first: everything: example.com/a, 30.0 kB, 100.0 %, +10.0 kB", seen[0])
	assert.Contains(t, seen, "tab stops: 2")
	assert.Contains(t, seen, "status: everything: 30.0 kB and 40.0 kB")
	assert.Equal(t, "rows: example.com/a, module, 30.0 kB, 40.0 kB, +10.0 kB; padding, padding, 7 B, 7 B, ±0 B", seen[len(seen)-1])
}
