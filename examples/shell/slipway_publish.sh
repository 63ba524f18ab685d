#!/bin/sh
# Publish an image for two platforms
set -eu
dagger -m github.com/slipway-ci/slipway call with-login --username me --password env:TOKEN publish --repository ghcr.io/me/api --tags v1.2.3 reference
