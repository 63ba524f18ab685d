# syntax=docker/dockerfile:1
# Build with --build-context base=oci-layout://images/alpine

FROM base AS installed
USER 0
RUN apk add --no-cache curl

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

RUN --mount=type=bind,from=installed,target=/base <<"EOF"
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
extend /etc/group /rootfs/2/group app:x:1000:
extend /etc/passwd /rootfs/3/passwd app:x:1000:1000:app:/:/sbin/nologin
EOF

FROM installed
COPY --from=builder ["/rootfs/1/0/ca-certificates.cr[t]","/etc/ssl/certs/ca-certificates.crt"]
COPY --from=builder ["/rootfs/1/1/ca-bundle.cr[t]","/etc/pki/tls/certs/ca-bundle.crt"]
COPY --from=builder ["/rootfs/1/2/ca-bundle.pe[m]","/etc/ssl/ca-bundle.pem"]
COPY --from=builder ["/rootfs/1/3/cacert.pe[m]","/etc/pki/tls/cacert.pem"]
COPY --from=builder ["/rootfs/1/4/tls-ca-bundle.pe[m]","/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"]
COPY --from=builder ["/rootfs/1/5/cert.pe[m]","/etc/ssl/cert.pem"]
COPY --from=builder /rootfs/2/group /etc/group
COPY --from=builder /rootfs/3/passwd /etc/passwd
COPY --from=builder --chmod=0755 /out/app /app/app
WORKDIR /app
USER 1000:1000
LABEL org.opencontainers.image.title=app
ENTRYPOINT ["/app/app"]
