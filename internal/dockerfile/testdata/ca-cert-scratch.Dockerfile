# syntax=docker/dockerfile:1

FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26.8-alpine AS builder
ENV CGO_ENABLED=0
ENV GO111MODULE=on
ENV GOENV=off
ENV GOFLAGS=""
ENV GOTOOLCHAIN=go1.26.8
ENV GOWORK=off
COPY <<"EOF" /ca-certs.pem
-----BEGIN CERTIFICATE-----
MIIBhDCCASugAwIBAgIUbzsCnDyEe8wC1U31AgVPkLjYZQQwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMRXhhbXBsZSBSb290MCAXDTI2MTEyMzIwMDk0MloYDzIxMjYx
MDMwMjAwOTQyWjAXMRUwEwYDVQQDDAxFeGFtcGxlIFJvb3QwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAAR8TlRpDQ/Iee8i7VHTg94iDHOMB8Qvdnv/c9Lx1Wl2nDx/
6NZOedLclq9ZBF2NreO7EuVX76F+j5t47cgnQ4nBo1MwUTAdBgNVHQ4EFgQUryDM
mntZeaYAZJvg5T0lViXYm8wwHwYDVR0jBBgwFoAUryDMmntZeaYAZJvg5T0lViXY
m8wwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBTrq6DCBBq04Ru
xQK/2CHq4/4Kl1tr9BkNxugrcAwicAIgFCJ7481JQkGHFY2XN4Ltz7aats/biWsO
mvmhLTnvIl8=
-----END CERTIFICATE-----
EOF
RUN cat /ca-certs.pem >> /etc/ssl/certs/ca-certificates.crt
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
