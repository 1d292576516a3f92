"""What tests of manifests on a machine share: one node of a lab that gets what a fleet of files says, step by step.

The road is the agent's own without its waiting: files to snapshot, snapshot to releases, releases to steps, steps to
Podman. A test looks at what came of it from inside of the containers.
"""

import textwrap
from collections.abc import Mapping
from pathlib import Path

from edgegitops.adapters.contents_directory import ContentsDirectory
from edgegitops.adapters.engine_podman import PodmanEngine
from edgegitops.adapters.engine_podman_secrets import Vault
from edgegitops.adapters.objects_directory import DirectoryObjects
from edgegitops.adapters.secrets_memory import MemorySecrets
from edgegitops.bootstrap import load_schemas
from edgegitops.core.desired.admission import admit
from edgegitops.core.desired.resolve import resolve
from edgegitops.core.documents.judge import value_judge
from edgegitops.core.documents.snapshot import read_snapshot
from edgegitops.core.model.manifests import Snapshot
from edgegitops.core.model.observed import ContainerSeen
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.release import Release
from edgegitops.core.model.steps import PullImage, RemoveContainer, StartContainer
from edgegitops.core.reconcile.parts import Parts, parts_of
from edgegitops.core.trust.listing import list_manifests
from edgegitops.core.trust.rules import MANIFEST_FILES, MANIFEST_FOLDERS
from edgegitops.lab.images import App
from edgegitops.lab.lab import Lab

FLEET = "urn:test:fields"
OPEN = NodePolicy(host_paths=("/",), devices=("/dev", "c 188:* rw"), privileged=True, host_network=True)
HEADS = {
    "fleet.yaml": ("Fleet", "fields", f"repository: {FLEET}\nresolver: 1\n"),
    "sites/plant.yaml": ("Site", "plant", "timeZone: Europe/Stockholm\nnodes: {node-1: {address: 10.1.2.3}}\n"),
}


def _document(kind: str, name: str, spec: str) -> str:
    head = f"apiVersion: edgegitops/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"
    return head + textwrap.indent(textwrap.dedent(spec), "  ")


class Plant:
    """One node. `IMAGE` in a text stands for the image of a demo app that sleeps well."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.node = lab.nodes["node-1"]
        self.image = lab.registry.publish(App("fields", "1.0.0"))
        self.directory = directory
        self.contents = self.node.home / "contents"
        self.store = ContentsDirectory(self.contents)
        self.proc = f"/proc/{(self.node.home / 'init.pid').read_text().split()[0]}/root/proc"
        self.secrets = MemorySecrets()
        self.shown = self.node.home / "shown"  # Podman lives in another view of /run
        vault = Vault(str(self.shown), self.secrets.open, lambda _: True)
        self.engine = PodmanEngine(
            f"unix://{self.node.socket}",
            contents_dir=str(self.contents),
            fleet=FLEET,
            proc=self.proc,
            vault=vault,
        )

    def clean(self) -> None:
        """Nothing of a test stays on the node."""
        self.engine.close()
        self.node.run(["podman", "rm", "--all", "--force", "--time", "0"])
        self.node.run(["podman", "volume", "rm", "--all", "--force"])
        self.node.run(["podman", "network", "prune", "--force"])

    def releases(self, applications: Mapping[str, str], files: Mapping[str, str] | None = None) -> dict[str, Release]:
        """The releases of applications (name -> text of its spec), each deployed everywhere under its own name."""
        texts = {path: _document(*parts) for path, parts in HEADS.items()}
        for name, spec in applications.items():
            texts[f"apps/{name}/app.yaml"] = _document("Application", name, spec.replace("IMAGE", f'"{self.image}"'))
            texts[f"deployments/{name}.yaml"] = _document(
                "Deployment", name, f"application: {name}\nselector: {{all: true}}\n"
            )
        texts |= {f"secrets/{file}.age": "" for file in self.secrets.stored}
        for path, text in {**texts, **(files or {})}.items():
            place = self.directory / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        objects = DirectoryObjects(self.directory, MANIFEST_FILES | MANIFEST_FOLDERS, largest=1024 * 1024)
        snapshot = read_snapshot("r1", list_manifests(objects, objects.tree), objects, load_schemas())
        assert isinstance(snapshot, Snapshot), snapshot
        releases, contents, faults = resolve(snapshot, "plant", "node-1", objects, value_judge)
        assert faults == ()
        for sha256, data in contents.items():
            self.store.put(sha256, data)
        return dict(releases)

    def run(self, spec: str, files: Mapping[str, str] | None = None, name: str = "line") -> Parts:
        """Make and start all containers of one application."""
        return self.start(self.releases({name: spec}, files)[name])

    def start(self, release: Release) -> Parts:
        """Make and start all containers of a release."""
        assert admit(release.spec, OPEN) == ()
        parts = parts_of(FLEET, release)
        for network in parts.networks:
            self.engine.perform(parts.create_network(network))
        for volume in parts.volumes:
            self.engine.perform(parts.create_volume(volume))
        for part in parts.containers:
            self.engine.perform(PullImage(part.spec.create.image))
            self.engine.perform(parts.create_container(part))
            self.engine.perform(StartContainer(part.name))
        return parts

    def again(self, parts: Parts) -> None:
        """Make and start the containers of a release anew."""
        for part in parts.containers:
            self.engine.perform(RemoveContainer(part.name))
        self.start(parts.release)

    def seen(self, parts: Parts, container: str) -> ContainerSeen:
        """A container as the engine shows it."""
        found = self.engine.observe().named(self.names(parts)[container])
        assert found is not None
        return found

    @staticmethod
    def names(parts: Parts) -> dict[str, str]:
        """Container -> its name on the engine."""
        return {part.container: part.name for part in parts.containers}

    def inside(self, parts: Parts, container: str, line: str) -> str:
        """What a shell line prints in a container."""
        return self.node.run(["podman", "exec", self.names(parts)[container], "/bin/sh", "-c", line]).strip()
