module github.com/slipway-ci/slipway/examples/http-server

go 1.26.8

toolchain go1.26.11
