module github.com/slipway-ci/slipway/examples/cgo-sqlite

go 1.26.8

toolchain go1.26.11

require github.com/mattn/go-sqlite3 v1.14.53
