#!/bin/sh
# Installs the released slipway command:
#
#     sh install.sh [DIRECTORY]
#
# DIRECTORY is made if it is missing; the default is /usr/local/bin for root, else ~/.local/bin. The program is downloaded and
# installed only if it has the digest below, so whoever has read this script knows what it installs. Needs curl or wget.
#
# --this-source installs only what was built from the source beside this script, and else exits with status 3: the GitHub action
# calls it so. SLIPWAY_DOWNLOADS is the URL of a mirror of the releases, which holds VERSION/FILE.
set -eu

# internal/release writes these lines.
# release: begin
version=
source=
digests=
# release: end

main() {
  same=
  [ "${1-}" != --this-source ] || { same=yes; shift; }
  case ${1-} in -*) fail 2 "unknown flag $1: the only one is --this-source" ;; esac
  [ $# -le 1 ] || fail 2 "more than one directory: name one"
  if [ "$(id -u)" = 0 ]; then default=/usr/local/bin; else default=$HOME/.local/bin; fi
  directory=${1:-$default}

  [ -n "$version" ] || fail 3 "this version of Slipway has no released programs: go install github.com/slipway-ci/slipway/cmd/slipway@latest compiles it"
  if [ -n "$same" ] && [ "$(source_digest "$(dirname "$0")")" != "$source" ]; then
    fail 3 "the source has changed since $version: go build ./cmd/slipway compiles it"
  fi

  system=$(system)
  file=slipway_$system
  case $system in windows_*) file=$file.exe suffix=.exe ;; *) suffix= ;; esac
  want=$(printf '%s\n' "$digests" | awk -v file="$file" '$2 == file { print $1 }')
  [ -n "$want" ] || fail 3 "there is no released program for $system: go install github.com/slipway-ci/slipway/cmd/slipway@$version compiles it"

  mkdir -p "$directory"
  # Beside its destination, so that the program is there wholly or not at all.
  temp=$(mktemp -d "$directory/.slipway.XXXXXX")
  trap 'rm -rf "$temp"' EXIT
  trap 'exit 1' HUP INT TERM
  url=${SLIPWAY_DOWNLOADS:-https://github.com/slipway-ci/slipway/releases/download}/$version/$file
  download "$url" "$temp/slipway"
  got=$(digests_of "$temp/slipway" | awk '{ print $1 }')
  [ "$got" = "$want" ] || fail 1 "$url has the digest $got instead of $want, so it was not installed: report it, unless a mirror of yours is at fault"
  chmod 755 "$temp/slipway"
  mv -f "$temp/slipway" "$directory/slipway$suffix"
  echo "installed slipway $version as $directory/slipway$suffix" >&2
}

fail() {
  echo "install.sh: $2" >&2
  exit "$1"
}

# system prints the system and processor in Go's words.
system() {
  case $(uname -s) in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    MINGW* | MSYS* | CYGWIN*) os=windows ;;
    *) os=$(uname -s) ;;
  esac
  case $(uname -m) in
    x86_64 | amd64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) arch=$(uname -m) ;;
  esac
  echo "${os}_$arch"
}

download() {
  if command -v curl >/dev/null; then
    curl -fsSL --retry 3 -o "$2" "$1" || fail 1 "downloading $1 failed: check the network, or name a mirror in SLIPWAY_DOWNLOADS"
  elif command -v wget >/dev/null; then
    wget -q -O "$2" "$1" || fail 1 "downloading $1 failed: check the network, or name a mirror in SLIPWAY_DOWNLOADS"
  else
    fail 1 "neither curl nor wget is installed: install one of them"
  fi
}

# digests_of prints a line for each file, its digest first.
digests_of() {
  if command -v sha256sum >/dev/null; then sha256sum -- "$@"; else shasum -a 256 -- "$@"; fi
}

# source_digest prints one digest of all that the command is compiled from, in the clone DIRECTORY.
source_digest() (
  cd "$1"
  # shellcheck disable=SC2046 # no name of a source has a space in it
  digests_of $(find go.mod go.sum ./*.go cmd internal -type f ! -name '*_test.go' ! -path '*/testdata/*' \
    ! -path 'internal/test/*' ! -path 'internal/tools/*' ! -path 'internal/release/*' | LC_ALL=C sort) |
    awk '{ sub(/^\*/, "", $2); print $1, $2 }' | digests_of - | awk '{ print $1 }'
)

if [ "${1-}" = --source-digest ]; then source_digest "$(dirname "$0")"; else main "$@"; fi
