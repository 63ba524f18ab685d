package slot_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/build/slot"
)

// What is compressed is the same bytes each time, and is read back; what asks its reader for more memory is not.
func TestCompress(t *testing.T) {
	text := make([]byte, 5<<20)
	for i := range text {
		text[i] = byte(rand.IntN(4))
	}
	write := func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}
	var once, again bytes.Buffer
	require.NoError(t, slot.Compress(t.Context(), &once, write))
	require.NoError(t, slot.Compress(t.Context(), &again, write))
	assert.Equal(t, once.Bytes(), again.Bytes())
	assert.Less(t, once.Len(), len(text)/3)
	d, err := slot.Decompress(&once)
	require.NoError(t, err)
	defer d.Close()
	got, err := io.ReadAll(d)
	require.NoError(t, err)
	assert.Equal(t, text, got)

	var wide bytes.Buffer
	z, err := zstd.NewWriter(&wide, zstd.WithWindowSize(64<<20))
	require.NoError(t, err)
	require.NoError(t, write(z))
	require.NoError(t, z.Close())
	d, err = slot.Decompress(&wide)
	require.NoError(t, err)
	defer d.Close()
	_, err = io.Copy(io.Discard, d)
	assert.ErrorIs(t, err, zstd.ErrWindowSizeExceeded)
}

// However many have something to compress, the memory for it is that of a few. Who waits does so no longer than its context.
func TestCompressFewAtATime(t *testing.T) {
	most := int32(max(1, runtime.GOMAXPROCS(0)/2))
	var now, peak atomic.Int32
	var group sync.WaitGroup
	for range 4 * most {
		group.Go(func() {
			assert.NoError(t, slot.Compress(t.Context(), io.Discard, func(io.Writer) error {
				if n := now.Add(1); n > peak.Load() {
					peak.Store(n)
				}
				runtime.Gosched()
				now.Add(-1)
				return nil
			}))
		})
	}
	group.Wait()
	assert.LessOrEqual(t, peak.Load(), most)

	hold, held := make(chan struct{}), make(chan struct{}, most)
	for range most {
		group.Go(func() {
			assert.NoError(t, slot.Compress(t.Context(), io.Discard, func(io.Writer) error {
				held <- struct{}{}
				<-hold
				return nil
			}))
		})
	}
	for range most {
		<-held
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, slot.Compress(ctx, io.Discard, func(io.Writer) error { return nil }), context.Canceled)
	close(hold)
	group.Wait()
}
