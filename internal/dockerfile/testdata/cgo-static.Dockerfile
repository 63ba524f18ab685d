# syntax=docker/dockerfile:1

# Platforms that are not the machine's own are compiled on an emulator, by binfmt_misc and QEMU.
FROM docker.io/library/golang:1.26.8-alpine AS builder
ENV CGO_CFLAGS=-O2
ENV CGO_CXXFLAGS=-O2
ENV CGO_ENABLED=1
ENV CGO_FFLAGS=-O2
ENV GO111MODULE=on
ENV GOENV=off
ENV GOFLAGS=""
ENV GOTOOLCHAIN=go1.26.8
ENV GOWORK=off
RUN apk add --no-cache g++ musl-dev
WORKDIR /src

COPY . /src
ARG TARGETPLATFORM
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    case "$TARGETPLATFORM" in \
    linux/amd64) export CC=x86_64-alpine-linux-musl-gcc CXX=x86_64-alpine-linux-musl-g++ GOAMD64=v1 GOARCH=amd64 GOOS=linux ;; \
    linux/arm64) export CC=aarch64-alpine-linux-musl-gcc CXX=aarch64-alpine-linux-musl-g++ GOARCH=arm64 GOARM64=v8.0 GOOS=linux ;; \
    *) echo "no part of the plan: $TARGETPLATFORM" >&2; exit 1 ;; \
    esac && \
    go build -mod=readonly -trimpath -buildvcs=false '-ldflags=-s -w -linkmode external -extldflags -static' -tags=netgo,osusergo,sqlite_omit_load_extension -o /out/ .

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
COPY --from=builder --chmod=0755 /out/app /app/app
WORKDIR /app
USER 1000:1000
LABEL org.opencontainers.image.title=app
ENTRYPOINT ["/app/app"]
