package plan

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/slipway-ci/slipway/internal/fault"
)

func TestCompression(t *testing.T) {
	for text, want := range map[string]Compression{
		"": {}, "gzip": {}, " gzip ": {}, "gzip:1": {Gzip, 1}, "gzip:9": {Gzip, 9}, "zstd": {Zstd, 0}, "zstd:22": {Zstd, 22},
	} {
		f := &fault.Faults{}
		assert.Equal(t, want, Config{Compression: text}.readCompression(f), text)
		assert.Empty(t, *f, text)
	}
	for text, problem := range map[string]string{
		"xz": "no such compression", ":9": "no such compression", "ZSTD": "no such compression", "estargz:3": "no such compression",
		"gzip:0": "no level of gzip", "gzip:10": "no level of gzip", "zstd:": "no level of zstd", "zstd:23": "no level of zstd",
		"zstd:-1": "no level of zstd", "zstd:9:9": "no level of zstd", "zstd:best": "no level of zstd",
	} {
		f := &fault.Faults{}
		assert.Zero(t, Config{Compression: text}.readCompression(f), text)
		if assert.Len(t, *f, 1, text) {
			assert.Equal(t, problem, (*f)[0].Problem, text)
		}
	}
	assert.Equal(t, "zstd", Compression{Zstd, 0}.String())
	assert.Equal(t, "gzip:9", Compression{Gzip, 9}.String())
}
