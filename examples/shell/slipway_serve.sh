#!/bin/sh
# Run the program, on port 8080 of your machine
set -eu
dagger -m github.com/slipway-ci/slipway call --ports 8080 serve up
