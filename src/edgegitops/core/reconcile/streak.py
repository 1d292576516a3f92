"""Law: a container's health is what its probes agree on; one answer is an opinion, a streak is a fact.

Rules, in order, for one running container:
1. until its startup probe (if any) has passed, nothing else is asked; if that fails for good, it is not live.
2. `failureThreshold` failures of the live probe in a row: not live.
3. ready: its ready probe passed `successThreshold` times in a row (or it has none), and it ran for `minReady`.
4. not ready: `failureThreshold` failures of the ready probe in a row.
Failures within `startPeriod` after the container was first seen count only once one of its probes has passed. What is
remembered as ready when it is first seen had its start already.
An inconclusive answer (None) leaves a streak as it is; until the next conclusive one nobody knows how the container is,
and the time that passes is neither healthy nor failed.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from edgegitops.core.model.facts import Watch
from edgegitops.core.model.ledger import Health
from edgegitops.core.model.spec import Probe

PROBES = ("startup", "live", "ready")
EAGER = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Streak:
    """Answers in a row of one probe."""

    passed: int = 0
    failed: int = 0

    def after(self, answer: bool | None, *, is_excused: bool = False) -> "Streak":  # noqa: FBT001 - the answer of a probe
        """The streak with one more answer; a failure that is excused ends a streak and begins none."""
        if answer is None:
            return self
        if is_excused and not answer:
            return Streak()
        return Streak(self.passed + 1, 0) if answer else Streak(0, self.failed + 1)


@dataclass(frozen=True, slots=True)
class Vital:
    """What is known of one container since it was first seen running, on a monotonic clock."""

    seen_at: timedelta
    health: Health = Health.UNKNOWN
    is_started_up: bool = False
    startup: Streak = Streak()
    live: Streak = Streak()
    ready: Streak = Streak()
    has_passed: bool = False
    unanswered: frozenset[str] = frozenset()


def probe_of(watch: Watch, which: str) -> Probe | None:
    """The startup, live or ready probe of a watched container."""
    probe: Probe | None = getattr(watch, which)
    return probe


def is_asked(watch: Watch, vital: Vital, which: str) -> bool:
    """Whether this probe is asked at all now (rule 1)."""
    if probe_of(watch, which) is None:
        return False
    is_starting = watch.startup is not None and not vital.is_started_up
    return is_starting if which == "startup" else not is_starting


def interval(watch: Watch, vital: Vital, which: str) -> timedelta:
    """Time between two questions: the probe's own, but eager until the container has been ready once."""
    probe = probe_of(watch, which)
    own = probe.interval if probe else EAGER
    return own if vital.health is Health.READY or which == "live" else min(own, EAGER)


def first_seen(watch: Watch, now: timedelta) -> Vital:
    """What is known of a container that is watched from this monotonic instant on."""
    was_ready = watch.health is Health.READY
    return Vital(now, is_started_up=was_ready, has_passed=was_ready)


def answered(watch: Watch, vital: Vital, which: str, answer: bool | None, *, now: timedelta) -> Vital:  # noqa: FBT001 - as above
    """What is known after one more answer at a monotonic instant; `judge` says what follows from it."""
    probe = probe_of(watch, which)
    is_excused = probe is not None and now - vital.seen_at < probe.start_period and not vital.has_passed
    unanswered = vital.unanswered | {which} if answer is None else vital.unanswered - {which}
    vital = replace(vital, unanswered=unanswered, has_passed=vital.has_passed or answer is True)
    match which:
        case "startup":
            streak = vital.startup.after(answer, is_excused=is_excused)
            is_up = watch.startup is not None and streak.passed >= watch.startup.success_threshold
            return replace(vital, startup=streak, is_started_up=vital.is_started_up or is_up)
        case "live":
            return replace(vital, live=vital.live.after(answer, is_excused=is_excused))
        case _:
            return replace(vital, ready=vital.ready.after(answer, is_excused=is_excused))


def judge(watch: Watch, vital: Vital, now: timedelta) -> Vital:
    """The container's health at a monotonic instant."""
    age = now - vital.seen_at
    if _has_failed(watch.startup, vital.startup) and not vital.is_started_up:
        return replace(vital, health=Health.NOT_LIVE)
    if watch.startup is not None and not vital.is_started_up:
        return vital
    if _has_failed(watch.live, vital.live):
        return replace(vital, health=Health.NOT_LIVE)
    if watch.ready is None or vital.ready.passed >= watch.ready.success_threshold:
        has_stood = age >= watch.min_ready or watch.health is Health.READY
        return replace(vital, health=Health.READY) if has_stood else vital
    if _has_failed(watch.ready, vital.ready):
        return replace(vital, health=Health.UNREADY)
    return vital


def _has_failed(probe: Probe | None, streak: Streak) -> bool:
    return probe is not None and streak.failed >= probe.failure_threshold
