# syntax=docker/dockerfile:1

FROM docker.io/library/alpine:3.24.2 AS base

FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26.3-alpine AS files
RUN --mount=type=bind,target=/context <<"EOF"
set -e
mkdir /files
mkdir /files/0
cp -RL /context/static/. /files/0
find /files/0 -name .git -prune -exec rm -rf {} +
find /files/0 -type d -exec chmod 0755 {} +
find /files/0 -type f -perm -100 -exec chmod 0755 {} +
find /files/0 -type f ! -perm -100 -exec chmod 0644 {} +
EOF

FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26.3-alpine AS builder
ENV CGO_ENABLED=0
ENV GO111MODULE=on
ENV GOENV=off
ENV GOFLAGS=""
ENV GOTOOLCHAIN=go1.26.3
ENV GOWORK=off
WORKDIR /src

# The modules alone: no edit of the source repeats this.
COPY go.mod go.sum /src/
COPY third_party/local/go.mod /src/third_party/local/
# Private modules: docker build --secret id=netrc,src=$HOME/.netrc --build-arg GOPRIVATE=git.example.com …
# A module that cannot be had is an error below, if go build needs it; one that go.sum does not fit is one here.
ARG GOPRIVATE
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=secret,id=netrc,target=/root/.netrc \
    out=$(go mod download 2>&1) || { echo "$out" >&2; ! echo "$out" | grep -q -e 'SECURITY ERROR' -e '^[^ :]* v[^ ]*: '; } && printf %s "$out" >/tmp/undownloaded
RUN --mount=type=cache,target=/go/pkg/mod \
    out=$(go mod verify 2>&1) || { echo "$out" >&2; ! echo "$out" | grep -q -e 'SECURITY ERROR' -e '^[^ :]* v[^ ]*: '; }

COPY . /src
ARG TARGETPLATFORM
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=secret,id=netrc,target=/root/.netrc \
    [ ! -s /tmp/undownloaded ] || go list -mod=readonly -trimpath -buildvcs=false '-ldflags=-s -w -X main.version=v1.2.3 -X "example.com/shop/internal/build.Note=it'\''s two words" -X main.own=1' -tags=extra,netgo -deps ./cmd/server >/dev/null
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    case "$TARGETPLATFORM" in \
    linux/amd64) export GOAMD64=v1 GOARCH=amd64 GOOS=linux ;; \
    linux/amd64/v3) export GOAMD64=v3 GOARCH=amd64 GOOS=linux ;; \
    linux/arm/v7) export GOARCH=arm GOARM=7 GOOS=linux ;; \
    linux/arm64) export GOARCH=arm64 GOARM64=v8.0 GOOS=linux ;; \
    *) echo "no part of the plan: $TARGETPLATFORM" >&2; exit 1 ;; \
    esac && \
    go build -mod=readonly -trimpath -buildvcs=false '-ldflags=-s -w -X main.version=v1.2.3 -X "example.com/shop/internal/build.Note=it'\''s two words" -X main.own=1' -tags=extra,netgo -o /out/ ./cmd/server

COPY --from=base /etc/group /etc/passwd /rootfs/
RUN echo app:x:4000: >> /rootfs/group && \
    echo app:x:4000:4000:app:/:/sbin/nologin >> /rootfs/passwd && \
    mkdir -p /rootfs/empty

FROM base
COPY --from=builder /rootfs/group /rootfs/passwd /etc/
COPY --from=builder /rootfs/empty/ /etc/shop/
COPY --from=files /files/0/ /srv/static/
COPY --chmod=0600 config.yaml /etc/shop/config.yaml
COPY --from=builder --chmod=0755 /out/server /app/server
ENV LOG_LEVEL=info
ENV GREETING="hello, world"
WORKDIR /app
USER 4000:4000
EXPOSE 53/udp
EXPOSE 8080/tcp
EXPOSE 8443/tcp
LABEL org.opencontainers.image.revision=0123456789abcdef0123456789abcdef01234567
LABEL org.opencontainers.image.title=server
LABEL org.opencontainers.image.vendor=Example
ENTRYPOINT ["/app/server"]
CMD ["--verbose","--name=a b"]
