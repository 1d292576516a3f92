#!/bin/sh
# Installs the peers of `make bench` on Debian, and nothing where they are there. Elsewhere it says what is missing;
# the benchmark then asks for --without-compose.
set -eu
command -v podman-compose >/dev/null 2>&1 && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "install-peers: podman-compose is missing, and needs root and apt-get to be installed here" >&2
  exit 0
fi
echo "install-peers: installing podman-compose"
export DEBIAN_FRONTEND=noninteractive
apt-get -q update >/dev/null
apt-get -q install -y --no-install-recommends podman-compose >/dev/null
