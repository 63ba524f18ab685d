package enginetest

import (
	"archive/tar"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A hard link stays with the file that it was made to, whichever name comes first and whatever is put in its place.
func TestFilesWithHardLinks(t *testing.T) {
	link := func(name, target string) Entry {
		return Entry{Header: tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o755}}
	}
	for name, layers := range map[string][][]Entry{
		"first":    {{Regular("a", 0o755, 7, "old"), link("b", "a"), link("c", "a")}},
		"last":     {{Regular("c", 0o755, 7, "old"), link("b", "c"), link("a", "c")}},
		"replaced": {{Regular("0", 0o755, 7, "old"), link("a", "0"), link("b", "0"), link("c", "0")}, {Regular("0", 0o600, 0, "new")}},
		"removed":  {{Regular("0", 0o755, 7, "old"), link("a", "0"), link("b", "0"), link("c", "0")}, {Regular(".wh.0", 0o600, 0, "")}},
	} {
		t.Run(name, func(t *testing.T) {
			index, err := layout.ImageIndexFromPath(WriteBase(t, layers...))
			require.NoError(t, err)
			manifest, err := index.IndexManifest()
			require.NoError(t, err)
			img, err := index.Image(manifest.Manifests[0].Digest)
			require.NoError(t, err)
			files := Files(t, img)
			for name, link := range map[string]string{"/a": "", "/b": "/a", "/c": "/a"} {
				assert.Equal(t, "-rwxr-xr-x 7:7 old "+link, files[name].Owned()+" "+files[name].Content+" "+files[name].Link, name)
			}
			assert.Equal(t, name == "replaced", files["/0"].Content == "new")
		})
	}
}
