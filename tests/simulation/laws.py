"""The promises of the product as laws that look on: each raises AssertionError at the instant at which it is broken.

Never half: what runs of a deployment is always part of one release. Nothing unrecorded: a step has an open intent.
Nothing stopped without a reason: what serves is stopped only by a switch, a revert or a removal that is journalled, or
because it is not as it should be. What failed here is not started again. What is foreign stays as it was. Nothing is
created without its artifacts, and no image or artifact goes that a release may be gone back to with.
"""

from tests.simulation.life import FLEET, Life

from edgegitops.core.model.events import AlarmRaised, Event, Latched, TransitionBegan
from edgegitops.core.model.ledger import DeploymentRecord, Health, Transition
from edgegitops.core.model.naming import digest_of
from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.core.model.reasons import Alarm
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import Runs
from edgegitops.core.model.steps import (
    CreateContainer,
    RemoveArtifact,
    RemoveContainer,
    RemoveImage,
    RestoreSnapshot,
    StartContainer,
    Step,
    StopContainer,
    TakeSnapshot,
)
from edgegitops.core.reconcile.lifecycle import BEGUN
from edgegitops.core.reconcile.parts import parts_of


def names(release: Release | None) -> frozenset[str]:
    """Engine names of a release's containers."""
    return parts_of(FLEET, release).names() if release else frozenset()


def configs(release: Release | None) -> dict[str, str]:
    """The digest of what the live mounts of a release's containers must show, by engine name."""
    return {one.name: one.spec.care.configs_digest() for one in parts_of(FLEET, release).containers} if release else {}


def explains(release: Release | None, name: str) -> bool:
    """Whether a container is of this release: one of its containers or jobs, or a run of a scheduled job."""
    if release is None:
        return False
    parts = parts_of(FLEET, release)
    return name in parts.names() or any(name.startswith(f"{part.name}.") for part in parts.scheduled)


def prepared(transition: Transition) -> frozenset[str]:
    """Engine names of what must be there before a switch stops anything."""
    if transition.new is None:
        return frozenset()
    parts = parts_of(FLEET, transition.new)
    others = [one for one in parts.jobs if one.job and one.job.runs is Runs.ON_INSTALL and not transition.is_install]
    return parts.names() - {one.name for one in others}


class Laws:
    """Watches a life. `strangers` are foreign containers by name, as they must stay."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.strangers: dict[str, ContainerSeen] = {}
        self.foreign_images: set[str] = set()
        self.tampered: set[str] = set()
        self.doomed: dict[str, set[str]] = {}
        self.known: dict[str, set[str]] = {}
        life.before_step.append(self.before)
        life.after_step.append(self.after)
        life.on_rest.append(self.at_rest)
        life.after_power_cut.append(self.after_power_cut)
        self._read = 0

    def add_stranger(self, seen: ContainerSeen) -> None:
        """Somebody else's container appears."""
        self.strangers[seen.name] = seen
        self.life.engine.add_foreign(seen)

    def after_power_cut(self) -> None:
        """Strangers are as the power cut left them."""
        self.strangers = {name: self.life.engine._containers[name].seen for name in self.strangers}

    # --- before and after each step

    def before(self, step: Step) -> None:
        """What may not be done now."""
        ledger = self.life.journal.ledger()
        open_intents = [(one.step, one.subject) for one in ledger.intents.values()]
        assert (step.kind, step.subject) in open_intents, f"{step.kind} {step.subject} was not recorded"
        assert step.subject not in self.strangers or isinstance(step, CreateContainer), f"touches {step.subject}"
        record = self.life.record(step.subject.partition(".")[0])
        if isinstance(step, TakeSnapshot | RestoreSnapshot):
            self._may_copy(step)
        if isinstance(step, StartContainer):
            self._may_start(record, step.subject)
        if isinstance(step, StopContainer | RemoveContainer):
            self._may_stop(record, step)
        if isinstance(step, CreateContainer):
            lacking = {digest_of(one.artifact) for one in step.create.mounts if one.artifact} - self.present()
            assert not lacking, f"{step.subject} is created without its artifacts"
        if isinstance(step, RemoveImage | RemoveArtifact):
            assert step.subject not in self.foreign_images, f"{step.subject} is foreign and is removed"
            assert digest_of(step.subject) not in self.kept(), f"{step.subject} is removed and may be needed"

    def present(self) -> frozenset[str]:
        """Digests of the artifacts on the node."""
        return self.life.artifacts.present()

    def kept(self) -> set[str]:
        """Digests of what runs, is on its way, or is among the last good releases."""
        found: set[str] = set()
        for record in self.life.journal.ledger().deployments.values():
            ways = (record.transition.old, record.transition.new) if record.transition else ()
            lkg = record.lkg if record.phase is not Phase.ABSENT else ()
            for one in filter(None, (record.serving, record.halted, *ways, *lkg)):
                for container in one.spec.containers.values():
                    found |= {digest_of(container.create.image)}
                    found |= {digest_of(mount.artifact) for mount in container.create.mounts if mount.artifact}
        return found

    def _may_start(self, record: DeploymentRecord, name: str) -> None:
        transition = record.transition
        allowed = record.serving
        if transition is not None and transition.phase is Phase.REVERTING:
            allowed = transition.old
        elif transition is not None and transition.phase in BEGUN:
            allowed = transition.new
            latched = transition.new is not None and transition.new.digest in record.latches
            assert not latched, f"{name} starts although its release failed here"
        assert explains(allowed, name), f"{name} is started and belongs to no release that may run"
        one = self.life.engine._containers.get(name)
        assert one is None or one.seen.configs == configs(allowed).get(name, ""), f"{name} has other configs"

    def _may_stop(self, record: DeploymentRecord, step: StopContainer | RemoveContainer) -> None:
        one = self.life.engine._containers.get(step.subject)
        if one is None or one.seen.state is not ContainerState.RUNNING or step.subject not in names(record.serving):
            return
        transition = record.transition
        if transition is None or transition.phase not in BEGUN:
            remembered = record.containers.get(step.subject)
            is_unwell = remembered is not None and remembered.health is Health.NOT_LIVE
            assert is_unwell or step.subject in self.tampered, f"{step.subject} serves and is stopped for nothing"
            return
        if transition.phase is Phase.SWITCHING and transition.new is not None:
            is_shared = step.subject in names(transition.new) - self._users(transition.new)
            assert not is_shared, f"{step.subject} is shared and is stopped"
            missing = [name for name in prepared(transition) if name not in self.life.engine._containers]
            gone = [name for name in missing if name not in self.tampered]
            assert not gone, f"{step.subject} is stopped before {gone} are there"
        if transition.phase is Phase.REVERTING:
            is_needed = step.subject in names(transition.old) - self._users(transition.old)
            assert not is_needed, f"{step.subject} is reverted to and is stopped"

    def _users(self, release: Release) -> frozenset[str]:
        """Containers that have to stop for a copy of what they write to."""
        parts = parts_of(FLEET, release)
        copied = {name for name, volume in release.spec.volumes.items() if volume.snapshot is not None}
        users = [one for one in parts.containers if {mount.volume for mount in one.spec.create.mounts} & copied]
        return frozenset(one.name for one in users)

    def _may_copy(self, step: TakeSnapshot | RestoreSnapshot) -> None:
        """Data is copied and put back while nothing that writes to it runs."""
        for one in self.life.engine._containers.values():
            is_running = one.seen.state is ContainerState.RUNNING
            assert not (is_running and step.subject in one.volumes), f"{one.seen.name} runs during {step.kind}"

    def after(self, step: Step) -> None:
        """Never half, at any instant."""
        if not isinstance(step, StartContainer):
            return
        deployment = step.subject.partition(".")[0]
        record = self.life.record(deployment)
        running = self.life.running(deployment) - self.tampered
        transition = record.transition
        sides = [record.serving, *((transition.old, transition.new) if transition else ())]
        is_whole = any(all(explains(side, name) for name in running) for side in sides)
        assert is_whole, f"half: {sorted(running)} run at {record.phase}"

    # --- whenever the daemon sleeps

    def at_rest(self) -> None:
        """What is foreign is as it was; what was journalled is lawful."""
        for name, seen in self.strangers.items():
            one = self.life.engine._containers.get(name)
            assert one is not None, f"{name} is foreign and is gone"
            assert one.seen == seen, f"{name} is foreign and was touched"
        for entry in self.life.journal.entries(self._read):
            self._read = entry.seq
            self._judge(entry.event)

    def _judge(self, event: Event) -> None:
        match event:
            case Latched() if not event.is_refusal:
                self.doomed.setdefault(event.deployment, set()).add(event.digest)
            case TransitionBegan():
                new = event.transition.new
                if new is not None:
                    assert new.digest not in self.doomed.get(event.deployment, set()), f"{new.short} begins again"
                    self.known.setdefault(event.deployment, set()).add(new.digest)
            case AlarmRaised():
                assert event.code != Alarm.BUG, event.detail
            case _:
                pass
