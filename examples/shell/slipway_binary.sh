#!/bin/sh
# Compile for another platform
set -eu
dagger -m github.com/slipway-ci/slipway call --platforms linux/arm/v7 binary --platform linux/arm/v7 -o server
