# syntax=docker/dockerfile:1

FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26.0-trixie AS builder
ENV CGO_CFLAGS=-O2
ENV CGO_CXXFLAGS=-O2
ENV CGO_ENABLED=1
ENV CGO_FFLAGS=-O2
ENV GO111MODULE=on
ENV GOENV=off
ENV GOFLAGS=""
ENV GOTOOLCHAIN=go1.26.0
ENV GOWORK=off
WORKDIR /src

ARG TARGETPLATFORM
RUN case "$TARGETPLATFORM" in \
    linux/amd64) sh -c 'command -v x86_64-linux-gnu-g++ || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends g++-x86-64-linux-gnu libc6-dev-amd64-cross; }' ;; \
    linux/arm64) sh -c 'command -v aarch64-linux-gnu-g++ || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends g++-aarch64-linux-gnu libc6-dev-arm64-cross; }' ;; \
    esac
COPY . /src
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    case "$TARGETPLATFORM" in \
    linux/amd64) export CC=x86_64-linux-gnu-gcc CXX=x86_64-linux-gnu-g++ GOAMD64=v1 GOARCH=amd64 GOOS=linux ;; \
    linux/arm64) export CC=aarch64-linux-gnu-gcc CXX=aarch64-linux-gnu-g++ GOARCH=arm64 GOARM64=v8.0 GOOS=linux ;; \
    *) echo "no part of the plan: $TARGETPLATFORM" >&2; exit 1 ;; \
    esac && \
    go build -mod=vendor -trimpath -buildvcs=false '-ldflags=-s -w' -o /out/ .

FROM gcr.io/distroless/base-debian13:nonroot
COPY --from=builder --chmod=0755 /out/app /app/app
WORKDIR /app
USER 65532:65532
LABEL org.opencontainers.image.title=app
ENTRYPOINT ["/app/app"]
