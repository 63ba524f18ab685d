#!/bin/sh
# Build an OCI archive of two programs for two platforms
set -eu
dagger -m github.com/slipway-ci/slipway call --packages ./cmd/server,./cmd/migrate --platforms linux/amd64,linux/arm64 image-archive -o image.tar
