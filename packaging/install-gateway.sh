#!/bin/sh
# Install the agent on a gateway (Debian 12 or 13, root): Podman, a Python environment in /opt/edgegitops, the systemd
# unit. It does not enrol the node and starts nothing: `edgegitops node init` comes next.
#
#   install-gateway.sh WHEEL [LOCK]     WHEEL: the edgegitops wheel; LOCK: requirements.lock beside it, with hashes
#   install-gateway.sh --uninstall      take away what it put here; containers, configuration, state and Podman stay
#
# Run it again to upgrade: the old environment stays until the new one is complete, and no container is touched.
set -eu
die() { echo "install-gateway: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "must be root"
if [ "${1:-}" = --uninstall ]; then
  if [ -d /run/systemd/system ]; then
    systemctl disable --quiet --now edgegitops.service || true
  fi
  rm -rf /opt/edgegitops /opt/edgegitops.old /opt/edgegitops.new
  rm -f /usr/local/bin/edgegitops /etc/systemd/system/edgegitops.service \
    /usr/share/bash-completion/completions/edgegitops /usr/share/zsh/vendor-completions/_edgegitops \
    /usr/share/fish/vendor_completions.d/edgegitops.fish
  [ ! -d /run/systemd/system ] || systemctl daemon-reload
  echo "install-gateway: the agent is gone; what it ran still runs, and /etc/edgegitops and its state are as they were"
  exit 0
fi
wheel=${1:?usage: install-gateway.sh WHEEL [LOCK] | --uninstall}
lock=${2:-$(dirname "$wheel")/requirements.lock}
[ -f "$wheel" ] || die "no wheel at $wheel"
[ -f "$lock" ] || die "no lock with hashes at $lock; it comes with the release"
here=$(cd "$(dirname "$0")" && pwd)

packages="podman crun netavark aardvark-dns conmon catatonit nftables iptables git openssh-client ca-certificates tzdata python3 python3-venv"
missing=""
for package in $packages; do
  dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -n "$missing" ]; then
  echo "install-gateway: installing$missing"
  apt-get update -q >/dev/null
  # shellcheck disable=SC2086 # one word a package
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null
fi

fresh=/opt/edgegitops.new
rm -rf "$fresh"
python3 -m venv "$fresh"
"$fresh/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$lock"
"$fresh/bin/pip" install --quiet --disable-pip-version-check --no-deps "$wheel"
# An environment knows its own path: move it first, then let the scripts in bin say so.
rm -rf /opt/edgegitops.old
[ ! -d /opt/edgegitops ] || mv /opt/edgegitops /opt/edgegitops.old
mv "$fresh" /opt/edgegitops
grep -rlI "^#!$fresh/" /opt/edgegitops/bin | while read -r script; do sed -i "1s|$fresh|/opt/edgegitops|" "$script"; done
/opt/edgegitops/bin/edgegitops --version
ln -sf /opt/edgegitops/bin/edgegitops /usr/local/bin/edgegitops
rm -rf /opt/edgegitops.old

install -d -m 0700 /etc/edgegitops /var/lib/edgegitops
# Debian's own places: bash loads a completion by its command's name, zsh by `_command`, fish by `command.fish`.
share=/usr/share
install -D -m 0644 "$here/completions/edgegitops.bash" "$share/bash-completion/completions/edgegitops"
install -D -m 0644 "$here/completions/edgegitops.zsh" "$share/zsh/vendor-completions/_edgegitops"
install -D -m 0644 "$here/completions/edgegitops.fish" "$share/fish/vendor_completions.d/edgegitops.fish"

if [ -d /run/systemd/system ]; then
  install -m 0644 "$here/systemd/edgegitops.service" /etc/systemd/system/edgegitops.service
  systemctl daemon-reload
  systemctl enable --quiet podman.socket edgegitops.service
  if systemctl is-active --quiet edgegitops.service; then systemctl restart edgegitops.service; fi
else
  echo "install-gateway: no systemd here; start \`edgegitops agent run\` with what starts your services"
fi
echo "install-gateway: done; next: edgegitops node init --help"
