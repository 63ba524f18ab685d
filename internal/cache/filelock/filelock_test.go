package filelock_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/slipway-ci/slipway/internal/cache/filelock"
)

func TestTry(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	first, err := filelock.Try(name)
	require.NoError(t, err)
	require.NotNil(t, first)
	second, err := filelock.Try(name)
	require.NoError(t, err)
	assert.Nil(t, second, "somebody else has it")

	require.NoError(t, first.Unlock())
	second, err = filelock.Try(name)
	require.NoError(t, err)
	require.NotNil(t, second)
	require.NoError(t, second.Remove())
	assert.NoFileExists(t, name)
}

func TestWait(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	lock, err := filelock.Wait(t.Context(), name)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := filelock.Wait(ctx, name)
		ended <- err
	}()
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.NoError(t, lock.Unlock())
	lock, err = filelock.Wait(t.Context(), name)
	require.NoError(t, err)
	require.NoError(t, lock.Unlock())
}

// A file that is removed while others are about to lock it must not give two of them a lock.
func TestRemovedFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	var inside sync.Mutex
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				lock, err := filelock.Try(name)
				if !assert.NoError(t, err) {
					return
				}
				if lock == nil {
					continue
				}
				if assert.True(t, inside.TryLock(), "two have the lock") {
					runtime.Gosched()
					inside.Unlock()
				}
				assert.NoError(t, lock.Remove())
			}
		})
	}
	group.Wait()
}

func TestForeign(t *testing.T) {
	dir := t.TempDir()
	elsewhere := filepath.Join(dir, "elsewhere")
	link, directory := filepath.Join(dir, "link"), filepath.Join(dir, "directory")
	require.NoError(t, os.Mkdir(directory, 0o755))
	names := []string{directory}
	if os.Symlink(elsewhere, link) == nil {
		names = append(names, link)
	}
	for _, name := range names {
		_, err := filelock.Try(name)
		require.ErrorIs(t, err, filelock.ErrForeign)
		assert.ErrorContains(t, err, name)
	}
	assert.NoFileExists(t, elsewhere)
	_, err := filelock.Try(filepath.Join(dir, "absent", "lock"))
	assert.True(t, errors.Is(err, os.ErrNotExist))
}
