"""Law: one virtual node with real Podman, its fleet one application of N equal containers; ours and the peers use the
same image there, present before anything is measured.

A worker is started as the resident starts it. Time runs from before the process is made until the engine says that
the last container has started; processor time is that of the process and its children, and of Podman's service.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raw_engine import RawEngine

from edgegitops import bootstrap
from edgegitops.adapters.engine_podman_request import container_request, network_request
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.reconcile.parts import Parts, parts_of
from edgegitops.errors import UnavailableError
from edgegitops.lab.fleet import REPOSITORY, Fleet
from edgegitops.lab.images import App
from edgegitops.lab.lab import Lab
from edgegitops.lab.node import VirtualNode

NAME = "bench"
VERSIONS = ("1", "2")
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run took, in seconds: the wall time to the end of the process, its processor time and that of
    Podman's service meanwhile; `began_at` in seconds since 1970.
    """

    began_at: float
    wall: float
    cpu: float
    service_cpu: float


@dataclass(slots=True)
class Gateway:
    """The node, and the images that both versions of the application have."""

    lab: Lab
    images: dict[str, str]
    count: int = 0
    raw: RawEngine = field(init=False)

    def __post_init__(self) -> None:
        self.raw = RawEngine(self.node.socket)

    @property
    def node(self) -> VirtualNode:
        """The node under measurement."""
        return self.lab.nodes["node-1"]

    @property
    def fleet(self) -> Fleet:
        """The engineer's clone."""
        return self.lab.fleet

    @property
    def services(self) -> list[str]:
        """Names of the containers in the application."""
        return [f"c{at:02}" for at in range(self.count)]

    # --- the fleet

    def commit(self, count: int, *, changed: str = "1", probe: bool = False) -> None:
        """Commit and push an application of so many containers; the first of them at version `changed`."""
        self.count = count
        version = dict.fromkeys(self.services, "1") | {self.services[0]: changed}
        ready = {"probes": {"ready": {"http": {"path": "/healthz", "port": 8080}}}} if probe else {}
        containers = {name: {"image": self.images[version[name]], **ready} for name in self.services}
        spec = {"version": f"{count}.{changed}.0", "update": {"minReady": "0s"}, "containers": containers}
        self.want(spec)

    def want(self, application: Mapping[str, object], *, deadline: str = "1m") -> None:
        """Commit and push an application's spec, and its deployment on this node."""
        rollback = {"soak": "0s", "deadline": deadline}
        deployment = {"application": NAME, "selector": {"matchTags": {"lab": "true"}}, "rollback": rollback}
        self._commit_as("engineer", f"apps/{NAME}/app.yaml", _manifest("Application", application))
        self._commit_as("release-manager", f"deployments/{NAME}.yaml", _manifest("Deployment", deployment))
        self.fleet.push()

    def _commit_as(self, role: str, name: str, text: str) -> None:
        path = self.fleet.work / name
        if not path.exists() or path.read_text() != text:
            self.fleet.commit(f"bench: {name}", key=role, files={name: text})

    # --- running things in the node

    def timed(self, argv: Sequence[str]) -> Spent:
        """Run a program in the node to its end. UnavailableError where it fails."""
        service, log = self.service_cpu(), self.node.home / "timed.log"
        inside = self.node.inside(list(argv))
        with log.open("wb") as errors:
            began_at, begin = time.time(), time.perf_counter()
            child = subprocess.Popen(
                inside, env=self.node.environment(), stdin=subprocess.PIPE, stdout=errors, stderr=errors
            )
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.stdin:
            child.stdin.close()
        if child.returncode:
            raise UnavailableError("bench", " ".join(argv[:4]), log.read_text(errors="replace")[-800:])
        return Spent(began_at, wall, usage.ru_utime + usage.ru_stime, self.service_cpu() - service)

    def worker(self, *, fetch: bool = True, before: Sequence[str] = ()) -> Spent:
        """Run a worker as the resident would; `before` goes before its command (a tracer)."""
        config = str(self.node.home / "node.yaml")
        command = [sys.executable, "-m", "edgegitops", "agent", "worker", "--config", config]
        command += ["--notes", str(self.node.state / bootstrap.NOTES)]
        return self.timed([*before, *command, *(["--fetch"] if fetch else [])])

    def have(self, image: str) -> None:
        """Bring an image to the node."""
        self.node.run(["podman", "pull", "-q", image])

    def settle(self) -> None:
        """Let the agent bring the release to healthy, and end."""
        config = str(self.node.home / "node.yaml")
        self.node.run([sys.executable, "-m", "edgegitops", "agent", "run", "--once", "--config", config], seconds=120)
        if self.phase() is not Phase.HEALTHY:
            raise UnavailableError("bench", "settle", f"the release is {self.phase()}, not healthy")

    def forget(self) -> None:
        """Remove containers, networks and the agent's whole memory."""
        self.raw.clear()
        shutil.rmtree(self.node.state, ignore_errors=True)
        self.node.state.mkdir(mode=0o700)

    # --- looking

    def service_cpu(self) -> float:
        """Seconds of processor that Podman's service has used."""
        return cpu_of(self.service_pid())

    def service_pid(self) -> int:
        """The pid of Podman's service."""
        return int((self.node.home / "podman.pid").read_text().split()[0])

    def agent_pid(self) -> int:
        """The pid of the resident."""
        return int((self.node.home / "agent.pid").read_text().split()[0])

    def last_start(self, names: Sequence[str]) -> float:
        """When the last of these started, in seconds since 1970."""
        return max(self.raw.started(names).values())

    def phase(self) -> Phase:
        """The deployment's phase, as the journal says."""
        record = bootstrap.read_ledger(self.config()).deployments.get(NAME)
        return record.phase if record else Phase.ABSENT

    def config(self) -> Any:  # noqa: ANN401 - bootstrap's own type
        """The node's configuration."""
        return bootstrap.read_config(str(self.node.home / "node.yaml"))

    def parts(self) -> Parts:
        """The release that the journal says is wanted now."""
        record = bootstrap.read_ledger(self.config()).deployments[NAME]
        release: Release | None = record.transition.new if record.transition else record.serving
        if release is None:
            raise UnavailableError("bench", "read the journal", "no release is wanted")
        return parts_of(REPOSITORY, release)

    def requests(self) -> list[dict[str, Any]]:
        """The create requests of the containers, as the product sends them."""
        parts = self.parts()
        contents = str(self.node.state / "contents")
        return [container_request(parts.create_container(part), contents, {}) for part in parts.containers]

    def network(self) -> dict[str, Any]:
        """The create request of the network."""
        parts = self.parts()
        return network_request(parts.create_network(next(iter(parts.networks))))

    def names(self) -> list[str]:
        """Engine names of the wanted containers, in the order of services."""
        return [part.name for part in sorted(self.parts().containers, key=lambda part: part.container)]


@contextmanager
def opened() -> Iterator[Gateway]:
    """A lab with one enrolled node that has the images."""
    with Lab.start(1) as lab:
        lab.found_fleet()
        lab.enrol("node-1", poll="60s")
        images = {version: lab.registry.publish(App("bench/app", version)) for version in VERSIONS}
        gateway = Gateway(lab, images)
        for image in images.values():
            gateway.have(image)
        yield gateway


def cpu_of(pid: int) -> float:
    """Seconds of processor that a process and its waited-for children have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[at]) for at in (11, 12, 13, 14)) / TICK


def memory_of(pid: int) -> tuple[float, float]:
    """RSS and PSS of a process in MiB."""
    rows: Mapping[str, str] = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    )
    return int(rows["Rss"].split()[0]) / 1024, int(rows["Pss"].split()[0]) / 1024


def _manifest(kind: str, spec: Mapping[str, object]) -> str:
    tree = {"apiVersion": "edgegitops/v1", "kind": kind, "metadata": {"name": NAME}, "spec": spec}
    return json.dumps(tree, indent=1) + "\n"
