#!/bin/sh
# Try an image of the engine's own platform
set -eu
dagger -m github.com/slipway-ci/slipway call --runtime ALPINE build terminal
