module github.com/slipway-ci/slipway/examples/shop

go 1.26.8
