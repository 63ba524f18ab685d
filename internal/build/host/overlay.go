package host

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// overlay has the Go command see the source with other files in the place of those that are replaced, and without Slipway's own output,
// for a program may embed whatever lies in a directory. Source: go help build, -overlay
func (c *compiler) overlay() error {
	hidden, err := c.plan.Source.Outputs.In(os.DirFS(c.source))
	c.flags = ""
	if err != nil || len(hidden)+len(c.replaced) == 0 {
		return err
	}
	replace := map[string]string{}
	for name, with := range c.replaced {
		replace[filepath.Join(c.source, filepath.FromSlash(name))] = with
	}
	for _, name := range hidden {
		replace[filepath.Join(c.source, filepath.FromSlash(name))] = ""
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return err
	}
	list := filepath.Join(c.dir, "overlay.json")
	c.flags = "'-overlay=" + list + "'"
	return os.WriteFile(list, text, 0o644)
}
