#!/bin/bash
# Compiles what images and Docker plugins would bring, of the versions that docker-compose.yml names, once:
# about ten minutes. What lies in TOCSIN_COMPOSE_CACHE/programs is kept.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
programs=$TOCSIN_COMPOSE_CACHE/programs
compose=v2.40.3

version() { sed -n "s|^ *image: temporalio/$1:|v|p" "$root/docker-compose.yml"; }
server=$(version server)
ui=$(version ui)
mkdir -p "$programs"

# A copy of the module, since an install refuses a go.mod with excludes. Where it asks for a newer patch of
# Go, ours will do.
source_of() {
  local module=$1 version=$2 copy=$TOCSIN_COMPOSE_CACHE/source/${1##*.}
  (cd / && GOFLAGS=-mod=mod go mod download "$module@$version" > /dev/null 2>&1) || true
  local path
  path=$(go env GOMODCACHE)/$module@$version
  [ -d "$path" ] || { echo "$module $version can't be had from $(go env GOPROXY)." >&2; exit 1; }
  rm -rf "$copy" && mkdir -p "$(dirname "$copy")" && cp -r "$path" "$copy" && chmod -R u+w "$copy"
  local ours theirs
  ours=$(go env GOVERSION | sed 's/^go//')
  theirs=$(sed -n 's/^go //p' "$copy/go.mod")
  if [ "$(printf '%s\n' "$ours" "$theirs" | sort --version-sort | tail -n 1)" != "$ours" ]; then
    (cd "$copy" && go mod edit -go="$ours" -toolchain=none)
  fi
  echo "$copy"
}

build() {
  local name=$1 version=$2 module=$3 package=$4
  shift 4
  [ -x "$programs/$name-$version" ] && return
  echo "Compiling $name $version, once."
  local copy
  copy=$(source_of "$module" "$version")
  (cd "$copy" && CGO_ENABLED=0 nice go build -trimpath "$@" -o "$programs/$name-$version.new" "$package")
  mv "$programs/$name-$version.new" "$programs/$name-$version"
  if [ "$name" = temporal-server ]; then
    rm -rf "$programs/schema-$version" && cp -r "$copy/schema" "$programs/schema-$version"
  fi
  if [ "$name" = temporal-ui ]; then
    rm -rf "$programs/ui-config-$version" && cp -r "$copy/config" "$programs/ui-config-$version"
  fi
  rm -rf "$copy"
}

slim='-ldflags=-s -w'
build temporal-server "$server" go.temporal.io/server ./cmd/server "$slim"
build temporal-sql-tool "$server" go.temporal.io/server ./cmd/tools/sql "$slim"
build temporal-ui "$ui" github.com/temporalio/ui-server/v2 ./cmd/server "$slim"
if ! docker compose version > /dev/null 2>&1; then
  build docker-compose "$compose" github.com/docker/compose/v2 ./cmd -tags fsnotify,e2e \
    "$slim -X github.com/docker/compose/v2/internal.Version=$compose"
  mkdir -p "$TOCSIN_COMPOSE_CACHE/docker/cli-plugins"
  ln -sf "$programs/docker-compose-$compose" "$TOCSIN_COMPOSE_CACHE/docker/cli-plugins/docker-compose"
fi
