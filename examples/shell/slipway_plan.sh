#!/bin/sh
# See what a build would do
set -eu
dagger -m github.com/slipway-ci/slipway call plan
