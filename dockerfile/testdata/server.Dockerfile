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
# A file of the base with one line more, unless one has the same first or third field.
extend() {
  there=$(at "$1")
  mkdir -p "${2%/*}"
  if [ -e "$there" ]; then cp -p "$there" "$2"; else install -m 0644 /dev/null "$2"; fi
  if ! awk -F: -v line="$3" 'BEGIN { split(line, own) } $1 == own[1] || $3 == own[3] { found = 1 } END { exit !found }' "$2"; then
    if [ -n "$(tail -c 1 "$2")" ]; then echo >> "$2"; fi
    printf '%s\n' "$3" >> "$2"
  fi
}
# A bundle of the base with the certificates of a file that it lacks; each bundle once, whatever it is called.
seen=:
add() {
  mkdir -p "${2%/*}" # COPY wants it, whether there is anything in it or not
  there=$(at "$1")
  case $seen in *":$there:"*) return ;; esac
  if [ ! -f "$there" ]; then return; fi
  seen=$seen$there:
  cp -p "$there" "$2"
  lacking=$(awk '
    /-----BEGIN CERTIFICATE-----/ { block = $0; key = ""; inside = 1; next }
    !inside { next }
    { block = block "\n" $0 }
    !/-----END CERTIFICATE-----/ { sub(/[ \t\r]+$/, ""); key = key $0; next }
    { inside = 0 }
    !(key in known) { known[key]; if (more) print block }
  ' "$there" more=1 "$3")
  if [ -z "$lacking" ]; then return; fi
  if [ -n "$(tail -c 1 "$2")" ]; then echo >> "$2"; fi
  printf '%s\n' "$lacking" >> "$2"
}
mkdir -p /rootfs/1/0
cat /etc/ssl/certs/ca-certificates.crt > /rootfs/1/more.pem
add /etc/ssl/certs/ca-certificates.crt /rootfs/1/0/ca-certificates.crt /rootfs/1/more.pem
add /etc/pki/tls/certs/ca-bundle.crt /rootfs/1/1/ca-bundle.crt /rootfs/1/more.pem
add /etc/ssl/ca-bundle.pem /rootfs/1/2/ca-bundle.pem /rootfs/1/more.pem
add /etc/pki/tls/cacert.pem /rootfs/1/3/cacert.pem /rootfs/1/more.pem
add /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem /rootfs/1/4/tls-ca-bundle.pem /rootfs/1/more.pem
add /etc/ssl/cert.pem /rootfs/1/5/cert.pem /rootfs/1/more.pem
if [ $seen = : ]; then cat /etc/ssl/certs/ca-certificates.crt > /rootfs/1/0/ca-certificates.crt; chmod 0644 /rootfs/1/0/ca-certificates.crt; fi
extend /etc/group /rootfs/2/group app:x:4000:
extend /etc/passwd /rootfs/3/passwd app:x:4000:4000:app:/:/sbin/nologin
mkdir -p /rootfs/empty
EOF

FROM docker.io/library/alpine:3.24.2
COPY --from=builder ["/rootfs/1/0/ca-certificates.cr[t]","/etc/ssl/certs/ca-certificates.crt"]
COPY --from=builder ["/rootfs/1/1/ca-bundle.cr[t]","/etc/pki/tls/certs/ca-bundle.crt"]
COPY --from=builder ["/rootfs/1/2/ca-bundle.pe[m]","/etc/ssl/ca-bundle.pem"]
COPY --from=builder ["/rootfs/1/3/cacert.pe[m]","/etc/pki/tls/cacert.pem"]
COPY --from=builder ["/rootfs/1/4/tls-ca-bundle.pe[m]","/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"]
COPY --from=builder ["/rootfs/1/5/cert.pe[m]","/etc/ssl/cert.pem"]
COPY --from=builder /rootfs/2/group /etc/group
COPY --from=builder /rootfs/3/passwd /etc/passwd
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
