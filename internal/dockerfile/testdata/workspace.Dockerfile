# syntax=docker/dockerfile:1

FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26.11-alpine AS builder
ENV CGO_ENABLED=0
ENV GO111MODULE=on
ENV GOENV=off
ENV GOFLAGS=""
ENV GOTOOLCHAIN=go1.26.11
ENV GOWORK=""
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
    go build -mod=readonly -trimpath -buildvcs=false '-ldflags=-s -w' -o /out/ ./app/cmd/tool

RUN mkdir -p /rootfs/etc/ssl/certs && \
    install -d -m 1777 /rootfs/tmp

FROM scratch
COPY --from=builder /rootfs/ /
COPY --chmod=0644 <<"EOF" /etc/group
root:x:0:
app:x:1000:
EOF
COPY --chmod=0644 <<"EOF" /etc/passwd
root:x:0:0:root:/:/sbin/nologin
app:x:1000:1000:app:/:/sbin/nologin
EOF
COPY --from=builder --chmod=0644 /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=builder --chmod=0755 /out/tool /app/tool
WORKDIR /app
USER 1000:1000
LABEL org.opencontainers.image.title=tool
ENTRYPOINT ["/app/tool"]
