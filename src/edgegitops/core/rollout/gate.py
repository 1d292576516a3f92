"""Law: whether a deployment may begin to stop and start something here now. The plant has the last word.

Rules, in order: an operator's hold; the node in maintenance; the node's own policy against updates; `paused` in the
manifest. These hold before anything is prepared. Windows are asked when everything is prepared, and interlocks last
(`interlocks.py`). Waves are later rules of this same door; manifests that ask for them are refused until then, so
nothing is silently ignored.

What holds for a deployment is what the wanted release says; for a removal, what site and policies say now and the
deployment's own manifest said last; and where nobody knows what is wanted, what was last said of what serves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from edgegitops.core.model.facts import Desired, Hold, Proceed
from edgegitops.core.model.ledger import OperatorHold
from edgegitops.core.model.plant import Plant, Zones
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Release
from edgegitops.core.rollout.windows import Closed, ask_windows

CLOCK_LOOKED_AT_AGAIN_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Local:
    """What counts here besides Git: operators' holds by deployment (empty: all), the node's policy, maintenance, and
    whether the view of the repository is fresh enough to open something for the first time (`staleness`).
    """

    now: datetime
    holds: Mapping[str, OperatorHold]
    policy: NodePolicy
    is_in_maintenance: bool
    freshness: Proceed | Hold = field(default_factory=Proceed)


def may_start(deployment: str, target: Release | None, local: Local) -> Proceed | Hold:
    """Proceed, or the first reason not to; `target` None is a removal."""
    for key in (deployment, ""):
        hold = local.holds.get(key)
        if hold is not None and (hold.until is None or local.now < hold.until):
            return Hold(HoldReason.OPERATOR, hold.reason, hold.until)
    if local.is_in_maintenance:
        return Hold(HoldReason.MAINTENANCE, "the site's manifest puts this node in maintenance")
    if not local.policy.updates:
        return Hold(HoldReason.OPERATOR, f"{local.policy.file} says updates: deny")
    if target is not None and target.policy.paused:
        return Hold(HoldReason.PAUSED, "rollout.paused is true in the deployment's manifest")
    return Proceed()


@dataclass(frozen=True, slots=True)
class Calendar:
    """The instant, whether it is to be believed, and the time zones that the node knows."""

    now: datetime
    is_trusted: bool
    zones: Zones


def plant_for(name: str, desired: Desired | None, target: Release | None, serving: Release | None) -> Plant:
    """The windows and interlocks that hold for a deployment now."""
    if target is not None:
        return target.policy.plant
    said = serving.policy.plant if serving is not None else Plant()
    return desired.plant.with_more(said.written_in(f"deployments/{name}.yaml")) if desired is not None else said


def is_in_window(
    plant: Plant, release: Release | None, calendar: Calendar, *, and_for: timedelta = timedelta()
) -> Proceed | Hold:
    """Whether the windows let a transition begin; `release` (what is to start, else what goes) says what it needs, and
    `and_for` what it needs besides.
    """
    policy = release.policy if release is not None else None
    needed = timedelta() if policy is None else policy.deadline if policy.needs is None else policy.needs
    needed += and_for
    found = ask_windows(
        plant.windows, calendar.now, zones=calendar.zones, is_clock_trusted=calendar.is_trusted, needed=needed
    )
    if not isinstance(found, Closed):
        return Proceed()
    if not calendar.is_trusted:
        return Hold(HoldReason.CLOCK, found.why, calendar.now + CLOCK_LOOKED_AT_AGAIN_AFTER)
    return Hold(HoldReason.WINDOW, found.why, found.until)
