# syntax=docker/dockerfile:1

FROM gcr.io/distroless/static-debian13:nonroot AS base

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
    *) echo "no part of the plan: $TARGETPLATFORM" >&2; exit 1 ;; \
    esac && \
    go build -mod=readonly -trimpath -buildvcs=false '-ldflags=-s -w' -o /out/ .

RUN --mount=type=bind,from=base,target=/base \
    install -d -m 0755 -o 65532 -g 65532 /rootfs/1/data && \
    if [ -d /base/data ]; then chmod "$(stat -c %a /base/data)" /rootfs/1/data && chmod u+rwx /rootfs/1/data; fi && \
    mkdir -p /rootfs/empty

FROM base
COPY --from=builder /rootfs/1/ /
COPY --from=builder /rootfs/empty/ /srv/app/
COPY --from=builder --chmod=0755 /out/app /app/app
WORKDIR /srv/app
USER 65532:65532
STOPSIGNAL SIGINT
VOLUME ["/cache","/data"]
LABEL org.opencontainers.image.title=app
ENTRYPOINT ["/app/app"]
