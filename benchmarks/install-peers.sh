#!/bin/sh
# Installs the peers of `make bench` on Debian, and nothing where they are there. Elsewhere it says what is missing;
# the benchmark then leaves their rows out. Debian's package `ansible` brings the collection containers.podman.
set -eu
missing=
command -v podman-compose >/dev/null 2>&1 || missing="$missing podman-compose"
command -v ansible-pull >/dev/null 2>&1 || missing="$missing ansible"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "install-peers: missing, and root and apt-get are needed to install them here:$missing" >&2
  exit 0
fi
echo "install-peers: installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get -q update >/dev/null
# shellcheck disable=SC2086 # one word a package
apt-get -q install -y --no-install-recommends $missing >/dev/null
