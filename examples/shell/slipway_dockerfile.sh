#!/bin/sh
# Write the equivalent Dockerfile of a build
set -eu
dagger -m github.com/slipway-ci/slipway call dockerfile >Dockerfile
