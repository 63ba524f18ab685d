# syntax=docker/dockerfile:1

FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26.8-alpine AS builder
ENV CGO_ENABLED=0
ENV GO111MODULE=on
ENV GOENV=off
ENV GOFLAGS=""
ENV GOTOOLCHAIN=go1.26.8
ENV GOWORK=off
WORKDIR /src

COPY . /src
ARG TARGETPLATFORM
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    case "$TARGETPLATFORM" in \
    linux/amd64) export GOAMD64=v1 GOARCH=amd64 GOOS=linux ;; \
    linux/arm64) export GOARCH=arm64 GOARM64=v8.0 GOOS=linux ;; \
    *) echo "no part of the plan: $TARGETPLATFORM" >&2; exit 1 ;; \
    esac && \
    go build -mod=readonly -trimpath -buildvcs=false '-ldflags=-s -w' -tags=a -o /out/ ./cmd/b ./cmd/a

FROM registry.example:5000/team/base@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
COPY --from=builder --chmod=0755 /out/b /app/b
COPY --from=builder --chmod=0755 /out/a /app/a
WORKDIR /app
USER 0:0
LABEL io.github.slipway-ci.root=allowed
LABEL org.opencontainers.image.title=b
ENTRYPOINT ["/app/b"]
