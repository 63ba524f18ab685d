package slot

import (
	"context"
	"errors"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
)

// window is the most memory in bytes that what is compressed may ask its reader for: several are read at a time. Twice as much would make compiled
// packages 2 % smaller.
const window = 2 << 20

// compressing holds whoever compresses: each takes 9 MiB, and a build may have an image for each of many platforms. The other processors are for
// what goes on beside it.
var compressing = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))

// Compress compresses what fill writes. The level makes compiled packages a tenth smaller than the fastest one, for 1 % of the time that it
// takes to compile them: they are compressed once, and read by every new machine.
func Compress(ctx context.Context, to io.Writer, fill func(io.Writer) error) error {
	select {
	case compressing <- struct{}{}:
		defer func() { <-compressing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	z, err := zstd.NewWriter(to, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		return err
	}
	return errors.Join(fill(z), z.Close())
}

// Decompress reads what [Compress] wrote, or anything else, in bounded memory. The caller closes it.
func Decompress(from io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))
}
