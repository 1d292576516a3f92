#!/bin/sh
# Installs what edgegitops, its lab, demo and tests need on Debian 12 or 13, and nothing where all of it is there.
#
# As root on a Debian-like system it installs with apt-get; elsewhere it says what is missing and changes nothing.
# A thing counts as there when it can be found, however it was installed. The registry of the lab and the judge of
# metrics are unpacked into /var/cache/edgegitops and not installed, because their packages would start services.
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
faketime faketime
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
# Programs that are taken out of a package, and the package.
taken_out() {
  while read -r program package; do
    is_there "$program" || [ -x "$CACHE/$program" ] || echo "$program $package"
  done <<LIST
docker-registry docker-registry
promtool prometheus
LIST
}

take_out() {
  # Debian 13 has promtool in a package of its own name.
  package=$2
  ! is_known "$1" || package=$1
  echo "install-debian: unpacking $1 of Debian's $package into $CACHE"
  mkdir -p "$CACHE"
  folder=$(mktemp -d "$CACHE/fetch.XXXXXX")
  trap 'rm -rf "$folder"' EXIT
  (cd "$folder" && apt-get -q -o APT::Sandbox::User=root download "$package" >/dev/null)
  dpkg -x "$folder/$package"_*.deb "$folder/unpacked"
  mv "$folder/unpacked/usr/bin/$1" "$CACHE/$1"
  rm -rf "$folder"
}

wanted=$(missing | tr '\n' ' ')
parts=$(taken_out)
[ -n "$wanted$parts" ] || exit 0

if [ "${1:-}" = --check ]; then
  echo "install-debian: missing: $wanted$parts"
  exit 1
fi
if [ "$(id -u)" != 0 ] || ! is_there apt-get; then
  echo "install-debian: this needs root and apt-get; the lab, the demo and some tests lack: $wanted$parts" >&2
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
[ -z "$parts" ] || echo "$parts" | while read -r program package; do take_out "$program" "$package"; done

left=$(missing | tr '\n' ' ')
if [ -n "$left" ]; then
  echo "install-debian: still missing after the installation: $left" >&2
  exit 1
fi
echo "install-debian: done"
