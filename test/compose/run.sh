#!/bin/bash
# `npm run test:compose`: brings docker-compose.yml up for real (scenario.ts), with the Docker engine that
# runs; where none does, with Debian's, in a network of its own, and stand-ins for the images (stand-ins.sh).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tocsin/compose
export TOCSIN_COMPOSE_CACHE=$cache

skip() {
  echo "SKIPPED: docker compose was not tried. $1" >&2
  exit 0
}

if docker info > /dev/null 2>&1; then
  docker compose version > /dev/null 2>&1 || skip 'A Docker engine runs, but `docker compose` is not installed.'
  echo 'Engine: the one that runs. Images: those of its registries.'
  exec node "$here/scenario.ts" "$@"
fi
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || skip 'No Docker engine answers, and one can be started here on Linux x86_64 only.'
[ "$(id -u)" = 0 ] || skip 'No Docker engine answers, and starting one takes root.'
missing=()
for program in docker dockerd debootstrap ip iptables nsenter go curl; do
  command -v "$program" > /dev/null || missing+=("$program")
done
[ ${#missing[@]} = 0 ] ||
  skip "No Docker engine answers, and ${missing[*]} to start one are not installed: apt-get install docker.io debootstrap iproute2 iptables golang curl."

mkdir -p "$cache"
"$here/programs.sh"
exec "$here/with-engine.sh" bash -c '"$0/stand-ins.sh" && exec node "$0/scenario.ts" "$@"' "$here" "$@"
