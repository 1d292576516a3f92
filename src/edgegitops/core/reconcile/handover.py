"""Law: what the resident watches is what a transition proves, or else what serves; nothing else is probed.

A container is expected to run where it serves or is being proven. While dependants wait for readiness in switching,
what already runs is probed too. A release's time begins when what was before it has stopped: a stop that does not work
is not the fault of what comes after it. Jobs are never probed; while a switch waits for one, its deadline stands still.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from edgegitops.core.model.bulletin import Bulletin
from edgegitops.core.model.facts import Handover, SoakWatch, Watch
from edgegitops.core.model.naming import LABEL_JOB
from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.reconcile.lifecycle import BEGUN
from edgegitops.core.reconcile.parts import Part, Parts
from edgegitops.core.reconcile.scene import Scene
from edgegitops.core.reconcile.standing import has_rested
from edgegitops.core.reconcile.stopping import stops

LOCAL = "127.0.0.1"


def hand_over(scenes: Sequence[Scene]) -> Handover:
    """Watches, soaks and expectations of these deployments."""
    watches: list[Watch] = []
    soaks: list[SoakWatch] = []
    expected: dict[str, str] = {}
    for scene in scenes:
        release, is_proving = _watched(scene)
        if release is None:
            continue
        parts = scene.parts(release)
        running = [part for part in parts.containers if _is_running(scene, parts, part)]
        watches += [_watch(scene, parts, part) for part in running]
        expected |= {seen.name: seen.mark for part in running if (seen := scene.observed.named(part.name))}
        expected |= {seen.name: seen.mark for seen in scene.owned() if _is_running_job(seen)}
        if not _is_clearing(scene, parts) and not _awaits_job(scene):
            soaks.append(_soak(scene, parts, is_proving=is_proving))
    return Handover(
        None,
        tuple(watches),
        tuple(soaks),
        expected,
        is_at_rest=all(_is_at_rest(scene) for scene in scenes),
        is_as_wanted=all(_is_as_wanted(scene) for scene in scenes),
        awaits_job=any(_awaits_job(scene) for scene in scenes),
    )


def together(
    all_of: Sequence[Handover], *, next_look: datetime | None, fetched: str, bulletin: Bulletin, files: Iterable[str]
) -> Handover:
    """One handover of several, with what is not of one deployment."""
    return Handover(
        next_look,
        tuple(watch for one in all_of for watch in one.watches),
        tuple(soak for one in all_of for soak in one.soaks),
        {name: mark for one in all_of for name, mark in one.expected.items()},
        is_at_rest=all(one.is_at_rest for one in all_of),
        is_as_wanted=all(one.is_as_wanted for one in all_of),
        fetched=fetched,
        bulletin=bulletin,
        awaits_job=any(one.awaits_job for one in all_of),
        files=tuple(files),
    )


def _is_running_job(seen: ContainerSeen) -> bool:
    return seen.state is ContainerState.RUNNING and LABEL_JOB in seen.labels


def _awaits_job(scene: Scene) -> bool:
    """A switch waits for a job, whose own timeout bounds it: that time is not counted against the deadline."""
    transition = scene.record.transition
    if transition is None or transition.phase is not Phase.SWITCHING:
        return False
    return any(run.is_open and run.transition == transition.id for run in scene.record.jobs.values())


def _is_at_rest(scene: Scene) -> bool:
    transition = scene.record.transition
    if any(run.is_open and run.due_at is None for run in scene.record.jobs.values()):
        return False
    return transition is None or (transition.phase not in BEGUN and bool(scene.record.hold_reason))


def _is_as_wanted(scene: Scene) -> bool:
    serving = scene.record.serving
    if scene.record.transition is not None or scene.refusal:
        return False
    if not scene.is_target_known or scene.target is None or serving is None:
        return scene.is_target_known and scene.target is None and serving is None
    return serving.digest == scene.target.digest and scene.record.phase is Phase.HEALTHY


def _watched(scene: Scene) -> tuple[Release | None, bool]:
    transition = scene.record.transition
    if transition is not None and transition.phase in (Phase.SWITCHING, Phase.PROVING):
        return transition.new, True
    if transition is not None and transition.phase in (Phase.REVERTING, Phase.REMOVING):
        return None, False
    return scene.record.serving, False


def _is_clearing(scene: Scene, parts: Parts) -> bool:
    """Switching, and something of the old release is still to be stopped."""
    transition = scene.record.transition
    if transition is None or transition.phase is not Phase.SWITCHING:
        return False
    return bool(stops(scene, [transition.old], keep=scene.kept(parts)))


def _is_running(scene: Scene, parts: Parts, part: Part) -> bool:
    """What has our name and is not ours is nothing that the resident would ever list."""
    seen = scene.observed.named(part.name)
    return seen is not None and seen.state is ContainerState.RUNNING and parts.is_ours(seen)


def _watch(scene: Scene, parts: Parts, part: Part) -> Watch:
    seen = scene.observed.named(part.name)
    care = part.spec.care
    addresses = seen.addresses if seen else {}
    joined = (addresses.get(parts.networks[name], "") for name in part.spec.create.networks)
    address = LOCAL if part.spec.create.host_network else next(filter(None, joined), "")
    return Watch(
        deployment=scene.name,
        release=parts.release.digest,
        container=part.name,
        id=seen.id if seen else "",
        address=address,
        min_ready=parts.release.policy.min_ready,
        health=scene.remembered(part).health,
        ready=care.ready,
        live=care.live,
        startup=care.startup,
        started_at=seen.started_at if seen else None,
        configs=seen.configs if seen else "",
    )


def _soak(scene: Scene, parts: Parts, *, is_proving: bool) -> SoakWatch:
    policy = parts.release.policy
    return SoakWatch(
        deployment=scene.name,
        release=parts.release.digest,
        containers=tuple(
            part.name for part in parts.containers if not has_rested(scene, part, scene.observed.named(part.name))
        ),
        soaked_for=scene.record.soaked_for,
        needed=policy.soak,
        waited_for=scene.record.waited_for,
        deadline=policy.deadline,
        is_proving=is_proving,
        unanswered_for=scene.record.unanswered_for,
        gate=policy.gate_soak,
    )
