"""Law: the demo's applications are small honest programs made from busybox-static alone, without any network.

An app serves /healthz, /version and /config over HTTP on `PORT`, writes a line to its log and to /data (where there is
such a folder) at each start, says on SIGHUP that it was told, and ends with 0 on SIGTERM or SIGINT. How it misbehaves
is baked in as environment, which a fleet may override: `FAIL_AFTER` seconds it ends with 1; `NEVER_READY`: /healthz
answers 404; `READY_AFTER` seconds it begins to answer; `IGNORE_TERM`: only SIGKILL ends it. An app whose name ends with
`-job` does its work and ends: with 0, or with 1 where `FAIL_AFTER` is said.
"""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from edgegitops.errors import InvalidConfigError
from edgegitops.lab.commands import PATH, run
from edgegitops.lab.oci import Content, Image, Layer, build, layer

PORT = 8080
_PORTS = {"broker": 1883, "postgres": 5432}
_REFERENCE = re.compile(r"registry\.example/(?P<name>[a-z0-9/._-]+):(?P<tag>[A-Za-z0-9._-]+)@sha256:[0-9a-f]{64}")
_RUN = """#!/bin/sh
echo "$APP_NAME $APP_VERSION starts"
[ -d /data ] && echo "$APP_NAME $APP_VERSION" >>/data/starts
stop() { echo "$APP_NAME $APP_VERSION stops"; [ -n "$server" ] && kill $server; exit 0; }
if [ -n "$RUNS_ONCE" ]; then
  sleep "${FAIL_AFTER:-1}"
  echo "$APP_NAME $APP_VERSION is done: $*"
  [ -z "$FAIL_AFTER" ]
  exit
fi
if [ -n "$IGNORE_TERM" ]; then trap '' TERM; else trap stop TERM INT; fi
trap 'echo "$APP_NAME $APP_VERSION is told"' HUP
pause() { sleep "$1" & wait $!; }
www=/www
[ -n "$NEVER_READY" ] && www=/empty
[ -n "$READY_AFTER" ] && pause "$READY_AFTER"
httpd -f -p "$PORT" -h $www &
server=$!
if [ -n "$FAIL_AFTER" ]; then
  pause "$FAIL_AFTER"
  echo "$APP_NAME $APP_VERSION fails"
  exit 1
fi
while kill -0 $server 2>/dev/null; do wait $server; done
exit 1
"""


@dataclass(frozen=True, slots=True)
class App:
    """One version of a demo application: `name` is its repository in the registry, `faults` the baked-in misbehaviour
    (see the law of this file).
    """

    name: str
    version: str
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        """Where it listens: a broker and a database where such programs do."""
        return _PORTS.get(self.name.rpartition("/")[2], PORT)


def with_real_digests(text: str, publish: Callable[[App], str]) -> str:
    """A manifest's text in which each image of the example registry is one that `publish` pushed."""

    def real(found: re.Match[str]) -> str:
        return publish(App(found["name"], found["tag"]))

    return _REFERENCE.sub(real, text)


def image(app: App) -> Image:
    """The image of an app; the same app gives the same digest on every machine with the same busybox."""
    environment = {
        "PATH": "/bin",
        "PORT": str(app.port),
        "APP_NAME": app.name,
        "APP_VERSION": app.version,
        **({"RUNS_ONCE": "1"} if app.name.endswith("-job") else {}),
        **app.faults,
    }
    line = f"{app.name} {app.version}\n".encode()
    files = {
        "/app/run": Content(_RUN.encode(), 0o755),
        "/www/healthz": Content(b"ok " + line),
        "/www/version": Content(line),
        "/www/index.html": Content(b"<h1>" + line.strip() + b"</h1>\n"),
        "/www/config": Content(link="/config/app.conf"),
        "/empty/index.html": Content(b"not ready\n"),
    }
    return build(
        files,
        {
            "Entrypoint": ["/app/run"],
            "Env": [f"{key}={value}" for key, value in sorted(environment.items())],
            "ExposedPorts": {f"{app.port}/tcp": {}},
            "StopSignal": "SIGTERM",
            "WorkingDir": "/",
            "Labels": {"org.opencontainers.image.title": app.name, "org.opencontainers.image.version": app.version},
        },
        on=[_busybox()],
    )


@cache
def _busybox() -> Layer:
    """What all apps have below them; engines and registries keep it once."""
    program = shutil.which("busybox", path=PATH)
    if program is None:
        raise InvalidConfigError("busybox not found; run packaging/install-debian.sh")
    data = Path(program).resolve().read_bytes()
    if b"/ld-linux" in data or b"/ld-musl" in data:
        raise InvalidConfigError(f"{program} is not static; install Debian's busybox-static")
    applets = run([program, "--list"]).decode().split()
    links = {f"/bin/{name}": Content(link="busybox") for name in applets if name != "busybox"}
    others = {
        "/etc/passwd": Content(b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
        "/etc/group": Content(b"root:x:0:\nnogroup:x:65534:\n"),
        "/tmp/.keep": Content(),  # noqa: S108 - a path inside the image
    }
    return layer({**links, "/bin/busybox": Content(data, 0o755), **others})
