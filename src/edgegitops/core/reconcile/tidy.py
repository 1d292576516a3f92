"""Law: an image or artifact that was brought here for a deployment and that nobody may ask for again goes.

Rules, in order:
1. nothing goes while nobody knows what is wanted: no desired state, one that could not be built, or a revert.
2. what any deployment serves, moves from or to, wants, or has among its last good releases stays, whoever brought it.
3. a deployment throws away only what was brought for it by this agent; what was on the node before is not ours.
4. it does so when it is healthy or gone; earlier where a disk is full.
What a container uses is kept by the engine, whatever is asked; a removal that does not work now holds nothing up.
"""

from collections.abc import Iterable
from functools import lru_cache

from edgegitops.core.model.ledger import DeploymentRecord
from edgegitops.core.model.naming import digest_of
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.steps import RemoveArtifact, RemoveImage, Step
from edgegitops.core.reconcile.parts import Same
from edgegitops.core.reconcile.scene import Outlook, Scene, due, work

_OVER = frozenset({Phase.HEALTHY, Phase.ABSENT})


def tidy(scene: Scene) -> Outlook:
    """The removal of what nobody needs; only asked where no transition has begun to switch."""
    needed, record = scene.needed, scene.record
    if needed is None or not (scene.is_disk_full or (record.transition is None and record.phase in _OVER)):
        return Outlook()
    steps: list[Step] = [RemoveImage(image) for image in sorted(record.images) if digest_of(image) not in needed]
    steps += [RemoveArtifact(digest) for digest in sorted(record.artifacts - needed)]
    ready, waiting = due(scene, steps)
    return work(scene, steps=ready) if ready else Outlook(until=waiting.until)


def is_short_of_disk(records: Iterable[DeploymentRecord]) -> bool:
    """True where a step of any deployment found a full disk."""
    return any(one.reason == HoldReason.DISK_FULL for record in records for one in record.failures.values())


def needed_by(records: Iterable[DeploymentRecord], wanted: Iterable[Release]) -> frozenset[str]:
    """Digests (hex) of the images and artifacts of every release that is wanted, runs, or may be gone back to."""
    return frozenset[str]().union(*(_digests(one) for one in _needed(records, wanted)))


def secrets_needed_by(records: Iterable[DeploymentRecord], wanted: Iterable[Release]) -> frozenset[str]:
    """The secrets (`db.2`) of these releases; whose age file is no longer in Git stays on the node as long."""
    return frozenset[str]().union(*(_secrets(one) for one in _needed(records, wanted)))


def _needed(records: Iterable[DeploymentRecord], wanted: Iterable[Release]) -> list[Same[Release]]:
    releases = {id(one): one for one in wanted}
    for record in records:
        ways = (record.transition.old, record.transition.new) if record.transition else ()
        kept = () if record.phase is Phase.ABSENT else record.lkg
        releases |= {id(one): one for one in (record.serving, record.halted, *ways, *kept) if one is not None}
    return [Same(one) for one in releases.values()]


@lru_cache(maxsize=256)  # each decision asks this of the same few releases
def _digests(same: Same[Release]) -> frozenset[str]:
    creates = same.it.spec.creates()
    names = {name for one in creates for name in (one.image, *(mount.artifact for mount in one.mounts)) if name}
    return frozenset(map(digest_of, names))


@lru_cache(maxsize=256)
def _secrets(same: Same[Release]) -> frozenset[str]:
    return frozenset[str]().union(*(one.secrets() for one in same.it.spec.creates()))
