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

RUN --mount=type=bind,from=base,target=/base <<"EOF"
set -e
# Where a path leads in the base: links are followed, and none leads out of it.
at() {
  rest=$1/ found= links=0
  while [ -n "$rest" ]; do
    part=${rest%%/*} rest=${rest#*/}
    case $part in
      ''|.) ;;
      ..) found=${found%/*} ;;
      *)
        if [ -L "/base$found/$part" ] && [ $links -lt 40 ]; then
          links=$((links+1)) link=$(readlink "/base$found/$part")
          case $link in /*) found= ;; esac
          rest=$link/$rest
        else
          found=$found/$part
        fi ;;
    esac
  done
  echo "/base$found"
}
mkdir -p /rootfs/1
install -d -m 0755 -o 65532 -g 65532 /rootfs/1/data
there=$(at /data)
if [ -d "$there" ]; then chmod "$(stat -c %a "$there")" /rootfs/1/data; chmod u+rwx /rootfs/1/data; fi
mkdir -p /rootfs/2
install -d -m 0755 -o 65532 -g 65532 /rootfs/2/app
there=$(at /var/lib/app)
if [ -d "$there" ]; then chmod "$(stat -c %a "$there")" /rootfs/2/app; chmod u+rwx /rootfs/2/app; fi
mkdir -p /rootfs/empty
EOF

FROM gcr.io/distroless/static-debian13:nonroot
COPY --from=builder /rootfs/1/ /
COPY --from=builder /rootfs/2/ /var/lib/
COPY --from=builder /rootfs/empty/ /doc/
COPY --chmod=0644 go.mod /doc/go.mod
COPY --from=builder --chmod=0755 /out/app /app/app
WORKDIR /app
USER 65532:65532
LABEL org.opencontainers.image.title=app
ENTRYPOINT ["/app/app"]
