"""Law: podman-compose does the same job with the same image in the same node, as its user would type it.

`up -d` for the first converge and for nothing to do. It does not see what changed, so the fastest honest way to change
one service is to name it: `up -d --force-recreate --no-deps SERVICE`.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from gateway import Gateway, Spent

from edgegitops.errors import InvalidConfigError

HOW_TO_GET = "podman-compose is not installed; on Debian: apt-get install --no-install-recommends podman-compose"


def require() -> None:
    """InvalidConfigError where this machine has no podman-compose."""
    if program() is None:
        raise InvalidConfigError(HOW_TO_GET)


def program() -> str | None:
    """Its path."""
    return shutil.which("podman-compose", path=f"/usr/local/bin:/usr/bin:/bin:{Path(sys.executable).parent}")


class Compose:
    """A project in a node: `images` by service."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._file = gateway.node.home / "bench" / "compose.yml"
        self._file.parent.mkdir(exist_ok=True)

    def write(self, images: Mapping[str, str]) -> None:
        """Write the compose file; JSON is YAML."""
        services = {
            name: {"image": image, "networks": ["default"], "restart": "no", "stop_signal": "SIGTERM"}
            for name, image in images.items()
        }
        self._file.write_text(json.dumps({"version": "3", "services": services}))

    def up(self, *only: str) -> Spent:
        """Bring it up; with a service named, make that one anew."""
        flags = ["--force-recreate", "--no-deps", *only] if only else []
        return self._gateway.timed([str(program()), "-f", str(self._file), "up", "-d", *flags])

    def container(self, service: str) -> str:
        """The name that a service's container has: `<folder>_<service>_1`."""
        return f"bench_{service}_1"
