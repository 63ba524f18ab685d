package plan

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/fault"
)

// What cannot be in one image is refused before anything is built.
func TestPathsOfAnImage(t *testing.T) {
	source := fstest.MapFS{
		"go.mod": {Data: []byte("module example.com/hello\n\ngo 1.26.8\n")}, "main.go": {Data: []byte("package main\n")},
		"x": {Data: []byte("x")}, "y": {Data: []byte("y")}, "web/a/b": {Data: []byte("b")}, "deleting/.wh.passwd": {},
	}
	for name, test := range map[string]struct {
		config Config
		want   []string
	}{
		"file below file":        {Config{Files: []string{"x:/etc/x", "y:/etc/x/y"}}, []string{"/etc/x is a file, and /etc/x/y of the image would be in it"}},
		"deep below file":        {Config{Files: []string{"x:/x", "web:/x/web"}}, []string{"/x is a file, and /x/web/a/b of"}},
		"program below file":     {Config{Files: []string{"x:/app"}}, []string{"/app is a file, and /app/hello of"}},
		"file below program":     {Config{Files: []string{"x:/app/hello/x"}}, []string{"/app/hello is a file, and /app/hello/x of"}},
		"file on program":        {Config{Files: []string{"x:/app/hello"}}, []string{"the program itself goes there"}},
		"directory on program":   {Config{Files: []string{"web:/app/hello"}}, []string{"the program itself goes there"}},
		"runtime below file":     {Config{Runtime: "scratch", Files: []string{"x:/etc"}}, []string{"/etc is a file, and /etc/passwd of"}},
		"writable below file":    {Config{Files: []string{"x:/data"}, Writable: []string{"/data/in"}}, []string{"/data of the image is there"}},
		"writable on file":       {Config{Files: []string{"x:/data"}, Writable: []string{"/data"}}, []string{"/data of the image is there"}},
		"twice":                  {Config{Files: []string{"x:/x", "y:/x"}}, []string{"/x is placed twice"}},
		"twice in other words":   {Config{Files: []string{"x:/d/x", "x:/d/"}}, []string{"/d/x is placed twice"}},
		"mounted":                {Config{Files: []string{"x:/proc/x", "y:/sys/", "web:/dev"}}, []string{"fills /proc/x", "fills /sys/y", "fills /dev:"}},
		"whiteout":               {Config{Files: []string{"deleting:/etc"}}, []string{"/etc/.wh.passwd would delete a file"}},
		"zero byte":              {Config{Files: []string{"x:/a\x00b"}}, []string{"zero byte"}},
		"all of it at once":      {Config{Files: []string{"x:/proc/x", "x:/b", "y:/b/y"}}, []string{"/proc/x", "/b/y"}},
		"files beside directory": {Config{Files: []string{"x:/web/x", "web:/web"}}, nil},
		"in place of runtime's":  {Config{Runtime: "scratch", Files: []string{"x:/etc/passwd"}}, nil},
		"like system's":          {Config{Files: []string{"x:/process/x", "y:/device"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Resolve(t.Context(), source, test.config)
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			assert.IsType(t, fault.Faults{}, err)
		})
	}
}

// Programs that have no place of their own are found by their names, unless the user says where programs are.
func TestSearchPath(t *testing.T) {
	source := fstest.MapFS{
		"go.mod": {Data: []byte("module example.com/hello\n\ngo 1.26.8\n")}, "main.go": {Data: []byte("package main\n\nfunc main() {}\n")},
	}
	for _, test := range []struct {
		config Config
		want   []string
	}{
		{Config{}, []string{"/app"}},
		{Config{Env: []string{"A=1", "XPATH=/bin"}}, []string{"/app"}},
		{Config{Env: []string{"PATH=/bin"}}, nil},
		{Config{Packages: []string{".=/usr/bin/hello"}}, nil},
		{Config{Packages: []string{".=/app/bin/hello"}}, nil},
		{Config{Packages: []string{".=/app/other"}, Runtime: "debian"}, []string{"/app"}},
		{Config{Packages: []string{".=/hello"}, Debug: true}, []string{"/app"}},
	} {
		p, err := Resolve(t.Context(), source, test.config)
		require.NoError(t, err)
		assert.Equal(t, test.want, p.Image.Path, "%+v", test.config)
	}
}

// The user's home may be named as a directory of the user's.
func TestWritableHome(t *testing.T) {
	source := fstest.MapFS{
		"go.mod": {Data: []byte("module example.com/hello\n\ngo 1.26.8\n")}, "main.go": {Data: []byte("package main\n\nfunc main() {}\n")},
	}
	for _, runtime := range []string{"scratch", "alpine"} {
		p, err := Resolve(t.Context(), source, Config{Runtime: runtime, Writable: []string{"/home/app", "/home/app/data"}})
		require.NoError(t, err)
		assert.Equal(t, "1000:1000", p.Image.Layers[1].Files[0].Owner)
	}
	p, err := Resolve(t.Context(), source, Config{Runtime: "scratch", User: "0:0", AllowRoot: true})
	require.NoError(t, err)
	for _, f := range p.Image.Layers[0].Files {
		assert.NotEqual(t, "/home/app", f.Path, "root has no home of its own")
	}
}
