module github.com/slipway-ci/slipway/examples/worker

go 1.26.8
