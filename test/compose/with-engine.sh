#!/bin/bash
# `with-engine.sh COMMAND…`: runs a command beside a Docker engine of its own, and stops the engine
# afterwards. Both live in a network namespace, so that published ports are there and nowhere else, and
# outward there is one rule of NAT.
set -euo pipefail
id=tcsn$$
net=10.213.77
data=$TOCSIN_COMPOSE_CACHE/engine
nat=(POSTROUTING --source "$net.0/30" '!' --out-interface "$id" --jump MASQUERADE)
forward=$(cat /proc/sys/net/ipv4/ip_forward)
mkdir -p "$data"
exec 9> "$data.lock"
flock --nonblock 9 || { echo 'Another test of docker compose runs.' >&2; exit 1; }
state=$(mktemp -d /run/tocsin-compose.XXXXXX)

stop() {
  trap - EXIT
  if [ -f "$state/pid" ]; then
    local pid
    pid=$(cat "$state/pid")
    kill "$pid" 2> /dev/null || true
    for _ in $(seq 300); do [ -d "/proc/$pid" ] && sleep 0.1 || break; done
    [ -d "/proc/$pid" ] && kill -9 "$pid"
  fi
  iptables --table nat --delete "${nat[@]}" 2> /dev/null || true
  ip link delete "$id" 2> /dev/null || true
  ip netns delete "$id" 2> /dev/null || true
  echo "$forward" > /proc/sys/net/ipv4/ip_forward
  rm -rf "$state"
}
trap stop EXIT
trap 'exit 130' INT TERM HUP

ip netns add "$id"
ip link add "$id" type veth peer name eth0 netns "$id"
ip address add "$net.1/30" dev "$id"
ip link set "$id" up
inside=(nsenter "--net=/run/netns/$id")
"${inside[@]}" ip address add "$net.2/30" dev eth0
"${inside[@]}" ip link set lo up
"${inside[@]}" ip link set eth0 up
"${inside[@]}" ip route add default via "$net.1"
echo 1 > /proc/sys/net/ipv4/ip_forward
iptables --table nat --append "${nat[@]}"

export DOCKER_HOST=unix://$state/docker.sock DOCKER_CONFIG=$TOCSIN_COMPOSE_CACHE/docker
# Beside cgroup v1 the engine refuses a mount of v2, which it needs not see.
"${inside[@]}" unshare --mount bash -c '
  mountpoint --quiet /sys/fs/cgroup/cpu && mountpoint --quiet /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified
  exec dockerd "$@"' dockerd \
  --host "$DOCKER_HOST" --data-root "$data" --exec-root "$state/exec" --pidfile "$state/pid" \
  --storage-driver overlay2 --default-ulimit "nofile=$(ulimit -Hn):$(ulimit -Hn)" \
  --bip 10.213.78.1/24 --default-address-pool base=10.213.80.0/20,size=24 > "$data.log" 2>&1 9>&- &
for _ in $(seq 300); do docker info > /dev/null 2>&1 && break || sleep 0.2; done
docker info > /dev/null 2>&1 || { echo "The engine did not start:" >&2; tail -n 20 "$data.log" >&2; exit 1; }
echo "Engine: $(docker version --format '{{.Server.Version}}' 2> /dev/null), started for this test."
"${inside[@]}" "$@" 9>&-
