module github.com/slipway-ci/slipway/examples/private-module

go 1.26.8

toolchain go1.26.11

require git.example.com/team/greeting v1.0.0
