package oci

import (
	"io/fs"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"
)

func TestOtherDigestsAreRefused(t *testing.T) {
	_, err := getBlob(newCache(t), v1.Hash{Algorithm: "sha512", Hex: strings.Repeat("a", 128)})
	require.ErrorContains(t, err, "SHA-256")
	require.NotErrorIs(t, err, fs.ErrNotExist)
}
