#!/bin/sh
# Build an image with nothing in it but the program and what it needs
set -eu
dagger -m github.com/slipway-ci/slipway call --runtime SCRATCH --ports 8080 --stamps main.version=v1.2.3 build export --path image.tar
