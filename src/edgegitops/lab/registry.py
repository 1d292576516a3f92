"""Law: the lab's registry is Debian's docker-registry on the lab's own address, filled from here without Podman.

The program is taken where it is: on PATH, or unpacked beside the product by packaging/install-debian.sh, or fetched
once with `apt-get download` into the cache and unpacked there, never installed (the package would start a service).
Nodes know the registry by its address and as `registry.example`, so one fleet repository fits every lab.
"""

import http.client
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from edgegitops.errors import InvalidConfigError, UnavailableError
from edgegitops.lab.commands import PATH, environment, run, until
from edgegitops.lab.images import App, image
from edgegitops.lab.oci import MANIFEST_TYPE, Image
from edgegitops.lab.processes import MARK, Process, start

NAME = "registry.example"
PORT = 5000
CACHE = Path("/var/cache/edgegitops")


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry at `address` (host:port); `name` is what image references call it."""

    address: str
    name: str = NAME

    def publish(self, app: App) -> str:
        """Build and push one version of a demo app: `registry.example/<app>:<version>@sha256:…`."""
        return self.push(app.name, app.version, image(app))

    def push(self, repository: str, tag: str, what: Image) -> str:
        """Push an image and return its reference with tag and digest. UnavailableError carries the answer."""
        for digest, data in what.blobs.items():
            if self._ask("HEAD", f"/v2/{repository}/blobs/{digest}")[0] != http.HTTPStatus.OK:
                _, where = self._ask("POST", f"/v2/{repository}/blobs/uploads/", expect=http.HTTPStatus.ACCEPTED)
                target = urlsplit(where)
                path = (
                    f"{target.path}?{target.query}&digest={digest}"
                    if target.query
                    else f"{target.path}?digest={digest}"
                )
                self._ask("PUT", path, data, expect=http.HTTPStatus.CREATED)
        self._ask("PUT", f"/v2/{repository}/manifests/{tag}", what.manifest, expect=http.HTTPStatus.CREATED)
        return f"{self.name}/{repository}:{tag}@{what.digest}"

    def is_answering(self) -> bool:
        """Whether it serves."""
        try:
            return self._ask("GET", "/v2/")[0] == http.HTTPStatus.OK
        except UnavailableError:
            return False

    def _ask(self, method: str, path: str, data: bytes = b"", *, expect: int | None = None) -> tuple[int, str]:
        """Status and Location of one exchange."""
        connection = http.client.HTTPConnection(self.address, timeout=30)
        kind = MANIFEST_TYPE if "/manifests/" in path else "application/octet-stream"
        try:
            connection.request(method, path, data or None, {"Content-Type": kind, "Content-Length": str(len(data))})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError("lab", f"registry {self.address}", str(error)) from error
        finally:
            connection.close()
        if expect is not None and answer.status != expect:
            words = f"{method} {path}: {answer.status} {body[:300].decode(errors='replace')}"
            raise UnavailableError("lab", f"registry {self.address}", words)
        return answer.status, answer.getheader("Location", "")


def serve(home: Path, address: str, owner: str) -> tuple[Registry, Process]:
    """Start a registry with its data under `home` and wait until it answers."""
    home.mkdir(parents=True, exist_ok=True)
    config = home / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: warn}\n"
        f"storage: {{filesystem: {{rootdirectory: '{home}/data'}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '{address}:{PORT}'}}\n"
    )
    process = start(
        [program(), "serve", str(config)],
        env=environment({MARK: owner, "OTEL_TRACES_EXPORTER": "none"}),
        log=home / "log",
    )
    registry = Registry(f"{address}:{PORT}")
    until(lambda: registry.is_answering() or not process.is_alive(), "answer of the registry", seconds=30)
    if not process.is_alive():
        raise UnavailableError("lab", "start the registry", (home / "log").read_text(errors="replace")[-500:])
    return registry, process


def program() -> str:
    """The path of docker-registry, fetched where this machine has none. InvalidConfigError where it cannot be."""
    installed = shutil.which("docker-registry", path=PATH)
    kept = CACHE / "docker-registry"
    if installed is None and not kept.exists():
        _fetch(kept)
    return installed or str(kept)


def _fetch(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        try:
            run(
                ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "docker-registry"],
                cwd=folder,
                seconds=300,
            )
            (package,) = Path(folder).glob("docker-registry_*.deb")
            run(["dpkg", "-x", str(package), f"{folder}/unpacked"])
            (Path(folder) / "unpacked/usr/bin/docker-registry").rename(target)
        except (UnavailableError, ValueError, OSError) as error:
            words = f"cannot fetch Debian's docker-registry ({error}); run packaging/install-debian.sh"
            raise InvalidConfigError(words) from error
