"""Law: a peer does the same job with the same images in the same node, as its user would type it. All of them are
started, timed and looked at alike; what one lacks on this machine is said, and its rows are left out.

`up` brings what is wanted; `change` is the fastest honest way to bring one container's new image.
"""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from gateway import Gateway, Spent

from edgegitops.errors import InvalidConfigError
from edgegitops.lab import git_server
from edgegitops.lab.commands import run

FIRST_PORT = 9000  # containers of one pod share their ports
FOLDERS = f"/usr/local/bin:/usr/bin:/bin:{Path(sys.executable).parent}"
MODULE = "ansible_collections/containers/podman/plugins/modules/podman_container.py"


class Peer(Protocol):
    """One of those who do the same job."""

    name: str
    is_slow: bool

    def lacks(self) -> str:
        """What is missing on this machine, with how to get it; empty where nothing is."""

    def write(self, images: Mapping[str, str]) -> None:
        """Say what is wanted: images by service."""

    def up(self) -> Spent:
        """Bring it."""

    def change(self, service: str) -> Spent:
        """Bring the new image of one service."""

    def container(self, service: str) -> str:
        """The name of a service's container."""


class _PodmanCompose:
    """podman-compose; it does not see what changed, so its user names the service."""

    name, is_slow = "podman-compose up -d", True

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._file = _folder(gateway) / "compose.yml"

    def lacks(self) -> str:
        return _lacks("podman-compose")

    def write(self, images: Mapping[str, str]) -> None:
        services = {
            name: {"image": image, "networks": ["default"], "restart": "no", "stop_signal": "SIGTERM"}
            for name, image in images.items()
        }
        self._file.write_text(json.dumps({"version": "3", "services": services}))

    def up(self) -> Spent:
        return self._up()

    def change(self, service: str) -> Spent:
        return self._up("--force-recreate", "--no-deps", service)

    def container(self, service: str) -> str:
        return f"bench_{service}_1"  # <folder>_<service>_1

    def _up(self, *words: str) -> Spent:
        program = shutil.which("podman-compose", path=FOLDERS)
        return self._gateway.timed([str(program), "-f", str(self._file), "up", "-d", *words])


class _KubePlay:
    """One pod of a YAML file; `--replace` makes all of it anew, also where nothing changed."""

    name, is_slow = "podman kube play", True

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._file = _folder(gateway) / "pod.yaml"

    def lacks(self) -> str:
        return _lacks("podman")

    def write(self, images: Mapping[str, str]) -> None:
        containers = [
            {"name": name, "image": image, "env": [{"name": "PORT", "value": str(FIRST_PORT + at)}]}
            for at, (name, image) in enumerate(images.items())
        ]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bench"}}
        self._file.write_text(json.dumps({**pod, "spec": {"restartPolicy": "Never", "containers": containers}}))

    def up(self) -> Spent:
        return self._gateway.timed(["podman", "kube", "play", "--replace", str(self._file)])

    def change(self, service: str) -> Spent:
        del service
        return self.up()

    def container(self, service: str) -> str:
        return f"bench-{service}"


class _GitPullLoop:
    """`git pull` and a shell loop over what is wanted, as many plants have it."""

    name, is_slow = "git pull + shell loop", False
    script = """set -eu
cd "$1" && git pull -q
podman network exists bench || podman network create bench >/dev/null
while read -r name image; do
  has=$(podman container inspect --format '{{.ImageName}} {{.State.Running}}' "$name" 2>/dev/null || true)
  [ "$has" = "$image true" ] && continue
  if [ -n "$has" ]; then podman stop -t 10 "$name" >/dev/null; podman rm -f "$name" >/dev/null; fi
  podman run -d --name "$name" --network bench "$image" >/dev/null
done <wanted
"""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._pen = _Pen(gateway, "loop")
        self._clone = _folder(gateway) / "loop-clone"

    def lacks(self) -> str:
        return _lacks("git")

    def write(self, images: Mapping[str, str]) -> None:
        self._pen.push({"wanted": "".join(f"loop-{name} {image}\n" for name, image in images.items())})
        if not self._clone.exists():
            run(["git", "clone", "-q", self._pen.url, str(self._clone)])

    def up(self) -> Spent:
        return self._gateway.timed(["sh", "-c", self.script, "loop", str(self._clone)])

    def change(self, service: str) -> Spent:
        del service
        return self.up()

    def container(self, service: str) -> str:
        return f"loop-{service}"


class _AnsiblePull:
    """`ansible-pull` of a playbook with the collection containers.podman."""

    name, is_slow = "ansible-pull", True

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._pen = _Pen(gateway, "ansible")
        self._home = _folder(gateway) / "ansible-home"

    def lacks(self) -> str:
        if lacks := _lacks("ansible-pull", package="ansible"):
            return lacks
        roots = [Path("/usr/lib/python3/dist-packages"), *map(Path, sys.path)]
        roots += [Path("/usr/share/ansible/collections"), Path.home() / ".ansible/collections"]
        if not any((root / MODULE).exists() for root in roots):
            return "the collection containers.podman is missing: ansible-galaxy collection install containers.podman"
        return ""

    def write(self, images: Mapping[str, str]) -> None:
        loop = [{"name": f"ansible-{name}", "image": image} for name, image in images.items()]
        container = {
            "name": "{{ item.name }}",
            "image": "{{ item.image }}",
            "network": ["bench"],
            "state": "started",
        }
        tasks = [
            {"containers.podman.podman_network": {"name": "bench"}},
            {"containers.podman.podman_container": container, "loop": loop},
        ]
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
        self._pen.push({"local.yml": json.dumps([play], indent=1) + "\n"})

    def up(self) -> Spent:
        own = [f"ANSIBLE_{name}={self._home}" for name in ("HOME", "LOCAL_TEMP", "REMOTE_TEMP")]
        pull = [
            "ansible-pull",
            "-U",
            self._pen.url,
            "-d",
            str(self._home / "checkout"),
            "-i",
            "localhost,",
            "local.yml",
        ]
        return self._gateway.timed(["env", f"HOME={self._home}", *own, *pull])

    def change(self, service: str) -> Spent:
        del service
        return self.up()

    def container(self, service: str) -> str:
        return f"ansible-{service}"


class _Pen:
    """An unsigned repository of a peer on the lab's Git server."""

    def __init__(self, gateway: Gateway, name: str) -> None:
        self.url = gateway.lab.git_url.replace("/fleet.git", f"/{name}.git")
        self._work = _folder(gateway) / f"{name}-work"
        self._server, self._name = gateway.lab.directory / "git", name

    def push(self, files: Mapping[str, str]) -> None:
        """Commit and push; nothing where nothing changed."""
        git = ["git", "-C", str(self._work), "-c", "user.name=b", "-c", "user.email=b@example"]
        if not self._work.exists():
            git_server.create(self._server, self._name)
            run(["git", "clone", "-q", self.url, str(self._work)])
            run([*git, "checkout", "-q", "-B", "main"])
        for name, text in files.items():
            (self._work / name).write_text(text)
        run([*git, "add", "--all"])
        if run([*git, "status", "--porcelain"]):
            run([*git, "-c", "commit.gpgsign=false", "commit", "-q", "-m", "wanted"])
            run([*git, "push", "-q", "origin", "HEAD:main"])


KNOWN: Mapping[str, type[_PodmanCompose | _KubePlay | _GitPullLoop | _AnsiblePull]] = {
    "podman-compose": _PodmanCompose,
    "kube-play": _KubePlay,
    "git-pull": _GitPullLoop,
    "ansible-pull": _AnsiblePull,
}


def named(words: Sequence[str]) -> list[str]:
    """The peers of an option. InvalidConfigError where one is not known."""
    if unknown := [word for word in words if word not in KNOWN]:
        raise InvalidConfigError(f"no peer is called {unknown[0]!r}; there are {', '.join(KNOWN)}, or none")
    return list(words)


def present(gateway: Gateway, names: Sequence[str]) -> Iterator["Peer | tuple[str, str]"]:
    """Those that this machine has; (name, what it lacks) for the others."""
    for name in names:
        peer: Peer = KNOWN[name](gateway)
        lacks = peer.lacks()
        yield (peer.name, lacks) if lacks else peer


def _lacks(program: str, *, package: str = "") -> str:
    if shutil.which(program, path=FOLDERS):
        return ""
    return f"{program} is not installed; on Debian: apt-get install --no-install-recommends {package or program}"


def _folder(gateway: Gateway) -> Path:
    folder = gateway.node.home / "bench"
    folder.mkdir(exist_ok=True)
    return folder
