"""Law: probes and soak of a node, foretold instead of waited for.

What the resident finds by asking every second follows here from when containers start, end and begin to answer, which
the twin knows: healthy after `minReady` and as many answers as the probe asks for, not healthy after its failures in a
row. Counted is as the resident counts: healthy time while all containers are ready, else the time that the deadline
bounds. What is found is told as the resident's own events.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from edgegitops.core.model.events import Event, HealthChanged, SoakMarked
from edgegitops.core.model.facts import Handover, SoakWatch, Watch
from edgegitops.core.model.ledger import Health
from edgegitops.core.reconcile.scene import earliest
from edgegitops.core.reconcile.streak import EAGER
from edgegitops.twin.hands import Hands

SEEN_AFTER = timedelta(seconds=2)  # the resident lists the engine so often while something is proven
FAILED = (Health.UNREADY, Health.NOT_LIVE)
NOTHING = timedelta()


class Vitals:
    """What is watched on one node since its last look."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._handover = Handover()
        self._handed_at: datetime | None = None
        self._silent_since: dict[str, datetime] = {}

    def follow(self, handover: Handover, now: datetime) -> None:
        """Watch this from now on."""
        self._handover = handover
        self._handed_at = now
        names = {one.container for one in handover.watches}
        self._silent_since = {name: at for name, at in self._silent_since.items() if name in names}

    def news(self, now: datetime) -> list[Event]:
        """What the resident would have journalled since the last look."""
        passed = now - self._handed_at if self._handed_at is not None else NOTHING
        marks = [mark for soak in self._handover.soaks if (mark := self._mark(soak, passed)) is not None]
        return [*marks, *self._changes(now)]

    def changes_at(self, now: datetime) -> datetime | None:
        """The next instant at which there is news."""
        health = {one.container: one.health for one in self._handover.watches}
        foreseen = [
            *(self._turns_at(one, now) for one in self._handover.watches),
            *(_enough_at(one, health, now) for one in self._handover.soaks),
        ]
        change = self._hands.changes_at()
        return earliest(*foreseen, max(change, now) + SEEN_AFTER if change is not None else None)

    def _mark(self, soak: SoakWatch, passed: timedelta) -> SoakMarked | None:
        health = {one.container: one.health for one in self._handover.watches}
        soaked, waited = soak.soaked_for, soak.waited_for
        if _is_ready(soak, health):
            soaked = min(soaked + passed, max(soak.needed, soak.gate, soaked))
            waited = waited if soak.is_proving else NOTHING
        else:
            soaked = NOTHING if any(health.get(name) in FAILED for name in soak.containers) else soaked
            waited = min(waited + passed, max(soak.deadline, waited))
        if (soaked, waited) == (soak.soaked_for, soak.waited_for):
            return None
        return SoakMarked(soak.deployment, soak.release, soaked, waited)

    def _changes(self, now: datetime) -> Iterator[HealthChanged]:
        for watch in self._handover.watches:
            at = self._turns_at(watch, now)
            if at is not None and at <= now:
                is_well = self._is_well(watch)
                failed = Health.NOT_LIVE if watch.live is not None else Health.UNREADY
                detail = "" if is_well else "its probe does not pass"
                yield HealthChanged(watch.deployment, watch.container, Health.READY if is_well else failed, detail)

    def _is_well(self, watch: Watch) -> bool:
        is_asked = watch.ready is not None or watch.live is not None or watch.startup is not None
        return not is_asked or self._hands.is_answering(watch.container)

    def _turns_at(self, watch: Watch, now: datetime) -> datetime | None:
        """When the container's health becomes another one, as it answers now; None: it stays as it is."""
        started_at = watch.started_at or now
        if self._is_well(watch):
            self._silent_since.pop(watch.container, None)
            asked = (watch.ready.success_threshold - 1) * EAGER if watch.ready is not None else NOTHING
            return None if watch.health is Health.READY else max(started_at + max(watch.min_ready, asked), now)
        since = self._silent_since.setdefault(watch.container, now)
        probe = watch.live or watch.ready or watch.startup
        if watch.health in FAILED or probe is None:
            return None
        was_ready = watch.health is Health.READY
        between = probe.interval if was_ready else min(probe.interval, EAGER)
        excused = NOTHING if was_ready else probe.start_period
        return max(since, started_at + excused) + probe.failure_threshold * between


def _is_ready(soak: SoakWatch, health: dict[str, Health]) -> bool:
    return all(health.get(name) is Health.READY for name in soak.containers)


def _enough_at(soak: SoakWatch, health: dict[str, Health], now: datetime) -> datetime | None:
    """When the node's own soak or that of its gate is complete, or the deadline over."""
    if _is_ready(soak, health):
        goals = [goal for goal in (soak.needed, soak.gate) if soak.soaked_for < goal]
        return now + (min(goals) - soak.soaked_for) if goals else None
    return now + (soak.deadline - soak.waited_for) if soak.waited_for < soak.deadline else None
