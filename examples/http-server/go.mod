module github.com/slipway-ci/slipway/examples/http-server

go 1.26.8
