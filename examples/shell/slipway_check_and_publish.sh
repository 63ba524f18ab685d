#!/bin/sh
# Check a program, and publish it if it passes
set -eu
dagger -m github.com/slipway-ci/slipway call with-login --username me --password env:TOKEN ci --repository ghcr.io/me/api --tags v1.2.3,latest reference
