"""Law: a running container is stopped for a transition only while every interlock agrees, just asked.

Rules, in order: what was not asked yet holds, and is to be asked; an answer that could not be had holds as much as a
no; agreement shorter than `for-at-least` holds, and is asked again while it lasts. A hold that is older than an
interlock's `maxDefer` is for a person to look at; it opens nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from edgegitops.core.model.facts import Hold
from edgegitops.core.model.plant import Answers, Interlock
from edgegitops.core.model.reasons import HoldReason

ASKED_AGAIN_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Agreement:
    """`hold` None: all agree. `questions` are to be asked before the next look, which then is soon."""

    hold: Hold | None = None
    questions: tuple[Interlock, ...] = ()


def ask_interlocks(
    interlocks: Sequence[Interlock], answers: Answers, *, now: datetime, held_since: datetime | None
) -> Agreement:
    """What the interlocks say to a stop now; `held_since` is since when an interlock has held this deployment."""
    unasked = [one for one in interlocks if one not in answers]
    if unasked:
        return Agreement(_hold(unasked, "asked now", None), tuple(interlocks))
    against = [one for one in interlocks if not answers[one].agrees]
    if against:
        overdue = [one for one in against if _is_overdue(one, now, held_since)]
        said = "does not agree" if answers[against[0]].agrees is False else "cannot be asked"
        detail = answers[against[0]].detail
        hold = _hold(against[:1], f"{said}: {detail}" if detail else said, now + ASKED_AGAIN_AFTER)
        return Agreement(Hold(hold.reason, hold.detail, hold.until, is_overdue=bool(overdue)))
    short = [one for one in interlocks if answers[one].agreed_for < one.for_at_least]
    if short:
        longest = max(one.for_at_least for one in short).total_seconds()
        return Agreement(_hold(short, f"must agree for {longest:g} s without a break", None), tuple(interlocks))
    return Agreement()


def _is_overdue(interlock: Interlock, now: datetime, held_since: datetime | None) -> bool:
    return interlock.max_defer is not None and held_since is not None and now - held_since >= interlock.max_defer


def _hold(interlocks: Sequence[Interlock], what: str, until: datetime | None) -> Hold:
    return Hold(HoldReason.INTERLOCK, f"{', '.join(one.label for one in interlocks)}: {what}", until)
