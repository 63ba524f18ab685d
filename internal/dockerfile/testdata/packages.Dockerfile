# syntax=docker/dockerfile:1

FROM docker.io/library/alpine:3.24.2 AS installed
USER 0
RUN apk add --no-cache curl=8.17.0-r1 jq

FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26.8-bookworm AS builder
ENV CGO_CFLAGS=-O2
ENV CGO_CXXFLAGS=-O2
ENV CGO_ENABLED=1
ENV CGO_FFLAGS=-O2
ENV GO111MODULE=on
ENV GOENV=off
ENV GOFLAGS=""
ENV GOTOOLCHAIN=go1.26.8
ENV GOWORK=off
RUN sh -c 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends protobuf-compiler'
WORKDIR /src

ARG TARGETPLATFORM
RUN case "$TARGETPLATFORM" in \
    linux/amd64) sh -c 'command -v x86_64-linux-gnu-g++ || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends g++-x86-64-linux-gnu libc6-dev-amd64-cross; }' ;; \
    esac
COPY . /src
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    go generate ./...
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    case "$TARGETPLATFORM" in \
    linux/amd64) export CC=x86_64-linux-gnu-gcc CXX=x86_64-linux-gnu-g++ GOAMD64=v1 GOARCH=amd64 GOOS=linux ;; \
    *) echo "no part of the plan: $TARGETPLATFORM" >&2; exit 1 ;; \
    esac && \
    go build -mod=readonly -trimpath -buildvcs=false '-ldflags=-s -w -extldflags=-static' -o /out/ .

COPY --from=installed /etc/group /etc/passwd /rootfs/
RUN echo app:x:1000: >> /rootfs/group && \
    echo app:x:1000:1000:app:/:/sbin/nologin >> /rootfs/passwd

FROM installed
COPY --from=builder /rootfs/group /rootfs/passwd /etc/
COPY --from=builder --chmod=0755 /out/app /app/app
WORKDIR /app
USER 1000:1000
LABEL org.opencontainers.image.title=app
ENTRYPOINT ["/app/app"]
