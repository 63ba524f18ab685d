# syntax=docker/dockerfile:1

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
    linux/arm64) export GOARCH=arm64 GOARM64=v8.0 GOOS=linux ;; \
    *) echo "no part of the plan: $TARGETPLATFORM" >&2; exit 1 ;; \
    esac && \
    go build -mod=readonly -trimpath -buildvcs=false '-gcflags=all=-N -l' -o /out/ . && \
    (cd / && CGO_ENABLED=0 GOWORK=off go mod download github.com/go-delve/delve@v1.27.2) && \
    CGO_ENABLED=0 GOWORK=off go build -C /go/pkg/mod/github.com/go-delve/delve@v1.27.2 -mod=readonly -trimpath -buildvcs=false '-ldflags=-s -w' -o /out/dlv ./cmd/dlv

FROM gcr.io/distroless/static-debian13:nonroot
COPY --from=builder --chmod=0755 /out/app /app/app
COPY --from=builder --chmod=0755 /out/dlv /app/dlv
WORKDIR /app
USER 65532:65532
EXPOSE 8080/tcp
EXPOSE 40000/tcp
LABEL org.opencontainers.image.title=app
ENTRYPOINT ["/app/dlv","exec","--headless","--accept-multiclient","--continue","--api-version=2","--listen=:40000","/app/app","--"]
CMD ["--verbose"]
