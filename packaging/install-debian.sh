#!/bin/sh
# Installs what edgegitops, its lab, demo and tests need on Debian 12 or 13, and nothing where all of it is there.
#
# As root on a Debian-like system it installs with apt-get; elsewhere it says what is missing and changes nothing.
# A thing counts as there when it can be found, however it was installed. The registry of the lab is unpacked into
# /var/cache/edgegitops and not installed, because its package would start a service.
#
#   install-debian.sh           install what is missing
#   install-debian.sh --check   only say what is missing; exit 1 where something is
set -eu
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
CACHE=/var/cache/edgegitops

is_there() { command -v "$1" >/dev/null 2>&1; }
is_helper() { for d in /usr/lib/podman /usr/libexec/podman /usr/local/libexec/podman; do [ -x "$d/$1" ] && return 0; done; return 1; }
has_venv() { is_there python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }
# A program with no interpreter section is static; without a tool at hand the bytes say it.
is_static_busybox() { is_there busybox && ! grep -q -e '/ld-linux' -e '/ld-musl' "$(command -v busybox)"; }
is_known() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

# Prints the packages that are missing, one a line.
missing() {
  while read -r program package; do
    is_there "$program" || echo "$package"
  done <<LIST
podman podman
runc runc
crun crun
conmon conmon
catatonit catatonit
iptables iptables
nft nftables
ip iproute2
nsenter util-linux
mount mount
hostname hostname
git git
ssh-keygen openssh-client
python3 python3
newuidmap uidmap
ps procps
strace strace
systemd-analyze systemd
modprobe kmod
dpkg-deb dpkg
LIST
  is_helper netavark || echo netavark
  is_helper aardvark-dns || echo aardvark-dns
  is_static_busybox || echo busybox-static
  has_venv || echo python3-venv
  is_there slirp4netns || is_there pasta || echo slirp4netns
  [ -s /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
}
has_registry() { is_there docker-registry || [ -x "$CACHE/docker-registry" ]; }

fetch_registry() {
  echo "install-debian: unpacking Debian's docker-registry into $CACHE"
  mkdir -p "$CACHE"
  folder=$(mktemp -d "$CACHE/fetch.XXXXXX")
  trap 'rm -rf "$folder"' EXIT
  (cd "$folder" && apt-get -q -o APT::Sandbox::User=root download docker-registry >/dev/null)
  dpkg -x "$folder"/docker-registry_*.deb "$folder/unpacked"
  mv "$folder/unpacked/usr/bin/docker-registry" "$CACHE/docker-registry"
}

wanted=$(missing | tr '\n' ' ')
registry=
has_registry || registry=docker-registry
[ -n "$wanted$registry" ] || exit 0

if [ "${1:-}" = --check ]; then
  echo "install-debian: missing: $wanted$registry"
  exit 1
fi
if [ "$(id -u)" != 0 ] || ! is_there apt-get; then
  echo "install-debian: this needs root and apt-get; the lab, the demo and some tests lack: $wanted$registry" >&2
  exit 0
fi

export DEBIAN_FRONTEND=noninteractive
apt-get -q update >/dev/null
# What took the place of slirp4netns where a release no longer has it.
case " $wanted" in *" slirp4netns "*)
  is_known slirp4netns || wanted=$(echo "$wanted" | sed 's/slirp4netns/passt/') ;;
esac
if [ -n "$wanted" ]; then
  echo "install-debian: installing $wanted"
  # shellcheck disable=SC2086 # a list of words
  apt-get -q install -y --no-install-recommends $wanted >/dev/null
fi
[ -z "$registry" ] || fetch_registry

left=$(missing | tr '\n' ' ')
if [ -n "$left" ]; then
  echo "install-debian: still missing after the installation: $left" >&2
  exit 1
fi
echo "install-debian: done"
