"""Law: before a container is created, all that it stands on is there: image, networks, volumes, config files,
artifacts, secrets.

Used where a container is made that is no part of a prepared release: one that serves and is gone, or a run of a job.
"""

from collections.abc import Iterable

from edgegitops.core.model.naming import digest_of
from edgegitops.core.model.reasons import Refusal
from edgegitops.core.model.steps import Step, StoreContent, StoreSecret
from edgegitops.core.reconcile.addressing import networks_to_make
from edgegitops.core.reconcile.parts import Part, Parts
from edgegitops.core.reconcile.scene import Scene


def needs(scene: Scene, parts: Parts, part: Part) -> list[Step]:
    """What is missing around a container before it can be created."""
    failure = scene.record.failures.get(f"create-container {part.name}")
    is_image_gone = failure is not None and failure.reason == Refusal.IMAGE_UNKNOWN and not scene.is_local
    steps: list[Step] = [parts.pull(part.spec.create.image)] if is_image_gone else []
    steps += networks_to_make(scene, parts, part.spec.create.networks)
    volumes = [mount.volume for mount in part.spec.create.mounts if mount.volume]
    steps += [parts.create_volume(name) for name in volumes if parts.volumes[name] not in scene.observed.volumes]
    steps += [StoreContent(sha256) for sha256 in sorted(parts.contents([part]) - scene.stored)]
    steps += unread(scene, parts, [part])
    if not scene.is_local:
        wanted = sorted(parts.artifacts([part]))
        steps += [parts.pull_artifact(name) for name in wanted if digest_of(name) not in scene.artifacts]
    return steps


def unread(scene: Scene, parts: Parts, some: Iterable[Part]) -> list[Step]:
    """The secrets that these containers are given and that this node cannot read yet."""
    return [StoreSecret(file) for file in sorted(parts.secrets(some) - scene.readable)]
