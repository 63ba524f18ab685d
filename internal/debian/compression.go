package debian

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"pault.ag/go/debian/deb"
)

// zstdWindow is the most memory in bytes that a zstd stream may ask for.
const zstdWindow = 128 << 20

// decompress unpacks what has an extension: that of xz, of which up to 64 MiB of memory are granted, zstd, gzip, or none.
func decompress(packed io.Reader, extension string) (io.ReadCloser, error) {
	switch extension {
	case ".xz":
		return deb.DecompressorFor(extension)(packed)
	case ".zst":
		plain, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, err
		}
		return plain.IOReadCloser(), nil
	case ".gz":
		return gzip.NewReader(packed)
	case "":
		return io.NopCloser(packed), nil
	}
	return nil, fmt.Errorf("it is compressed as %s, which is not supported", extension)
}
