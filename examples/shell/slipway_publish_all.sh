#!/bin/sh
# Publish all images of slipway.yaml, signed
set -eu
dagger -m github.com/slipway-ci/slipway call with-login --username me --password env:TOKEN with-attestations --sign-key file:cosign.key --sign-password env:COSIGN_PASSWORD publish-all images reference
