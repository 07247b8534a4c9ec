#!/bin/sh
# Starts six servers on ports 7000 to 7005, forms a cluster of 3 primaries and 3 replicas out of them the first time,
# and stays in the foreground until it is told to stop or a server dies.
#
#   start-cluster.sh          runs the cluster; data is in $DATA (/data)
#   start-cluster.sh check    status 0 when every node says that the cluster is ok and all slots are served
set -eu

HOST=127.0.0.1
FIRST_PORT=${FIRST_PORT:-7000}
DATA=${DATA:-/data}
PATIENCE_SECONDS=60

ports() {
  port=$FIRST_PORT
  while [ "$port" -lt $((FIRST_PORT + 6)) ]; do
    echo "$port"
    port=$((port + 1))
  done
}

program() {
  for name in "redis-$1" "valkey-$1"; do
    if command -v "$name"; then return; fi
  done
  echo "neither redis-$1 nor valkey-$1 is on the PATH" >&2
  return 1
}

ask() {
  asked=$1
  shift
  "$cli" -h "$HOST" -p "$asked" "$@" 2>/dev/null
}

is_ok() {
  for port in $(ports); do
    info=$(ask "$port" cluster info) || return 1
    case $info in *cluster_state:ok*) ;; *) return 1 ;; esac
    case $info in *cluster_slots_ok:16384*) ;; *) return 1 ;; esac
    case $info in *cluster_known_nodes:6*) ;; *) return 1 ;; esac
  done
}

# wait_until SECONDS WHAT COMMAND...
wait_until() {
  tries=$(($1 * 5))
  what=$2
  shift 2
  until "$@"; do
    tries=$((tries - 1))
    if [ "$tries" -le 0 ]; then
      echo "$what: not within ${PATIENCE_SECONDS} seconds" >&2
      return 1
    fi
    sleep 0.2
  done
}

answers() {
  [ "$(ask "$1" ping)" = PONG ]
}

knows_others() {
  ! ask "$FIRST_PORT" cluster info | grep -q '^cluster_known_nodes:1.$'
}

form() {
  nodes=
  for port in $(ports); do nodes="$nodes $HOST:$port"; done
  # shellcheck disable=SC2086 # one word for each node
  "$cli" --cluster create $nodes --cluster-replicas 1 --cluster-yes >/dev/null
}

pids=
stop() {
  trap '' TERM INT
  for pid in $pids; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in $pids; do wait "$pid" 2>/dev/null || true; done
}

cli=$(program cli)
if [ "${1:-}" = check ]; then
  is_ok
  exit
fi

server=$(program server)
trap 'stop; exit 0' TERM INT
for port in $(ports); do
  mkdir -p "$DATA/$port"
  "$server" --port "$port" --dir "$DATA/$port" --cluster-enabled yes --cluster-node-timeout 2000 \
    --cluster-announce-ip "$HOST" --bind 0.0.0.0 --protected-mode no --appendonly yes --save '' \
    --logfile "$DATA/$port/server.log" &
  pids="$pids $!"
done

for port in $(ports); do
  wait_until "$PATIENCE_SECONDS" "an answer from port $port" answers "$port" || { stop; exit 1; }
done
# Nodes that have met keep their cluster in nodes.conf, so a restart finds it.
knows_others || form || { stop; exit 1; }
wait_until "$PATIENCE_SECONDS" "cluster_state:ok on all nodes" is_ok || { stop; exit 1; }
echo "ready: $HOST:$FIRST_PORT to $HOST:$((FIRST_PORT + 5))"

# A server that ends by itself ends the whole: half a cluster would only look like one.
while :; do
  for pid in $pids; do
    if ! kill -0 "$pid" 2>/dev/null; then
      echo "a server has died; see $DATA/*/server.log" >&2
      stop
      exit 1
    fi
  done
  sleep 1 &
  wait $! || true
done
