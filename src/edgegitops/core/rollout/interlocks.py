"""Law: a running container is stopped for a transition only while every interlock agrees, just asked.

Rules, in order: what was not asked yet holds, and is to be asked; an answer that could not be had holds as much as a
no; agreement shorter than `for-at-least` holds, and is asked again while it lasts. A hold that is older than an
interlock's `maxDefer` is for a person to look at; it opens nothing, but where the interlock says `force-in-window`, an
allow window is open, and the node's own policy lets Git say so: then its no counts no more for a transition.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from edgegitops.core.model.facts import Hold
from edgegitops.core.model.plant import Answers, Interlock
from edgegitops.core.model.reasons import HoldReason

ASKED_AGAIN_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Held:
    """What is remembered of a hold by interlocks: since when the deployment could have gone on, and what was told."""

    since: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Agreement:
    """`hold` None: all agree, or are overruled (`forced` says which). `questions` are to be asked before the next look,
    which then is to follow soon. `files` are those whose change may end the hold before that.
    """

    hold: Hold | None = None
    questions: tuple[Interlock, ...] = ()
    forced: str = ""
    files: tuple[str, ...] = ()


def ask_interlocks(
    interlocks: Sequence[Interlock], answers: Answers, held: Held, *, now: datetime, may_force: bool = False
) -> Agreement:
    """What the interlocks say to a stop now; `may_force`: policy and window let an overdue one be overruled."""
    is_overdue = any(_is_overdue(one, now, held.since) for one in interlocks)
    unasked = [one for one in interlocks if one not in answers]
    if unasked:
        detail = held.detail or f"{_labels(unasked)}: asked now"
        return Agreement(_hold(detail, is_overdue=is_overdue), tuple(interlocks))
    overruled = [one for one in interlocks if may_force and one.forces and _is_overdue(one, now, held.since)]
    agreed = [one for one in interlocks if _is_agreed(one, answers)]
    interlocks = [one for one in interlocks if one in agreed or one not in overruled]
    against = [one for one in interlocks if not answers[one].agrees]
    if against:
        answer = answers[against[0]]
        said = "does not agree" if answer.agrees is False else "cannot be asked"
        detail = f"{against[0].label} {said}{answer.detail and ': '}{answer.detail}"
        files = tuple(one.path for one in against if one.path)
        return Agreement(_hold(detail, now + ASKED_AGAIN_AFTER, is_overdue=is_overdue), files=files)
    short = [one for one in interlocks if answers[one].agreed_for < one.for_at_least]
    if short:
        seconds = max(one.for_at_least for one in short).total_seconds()
        detail = f"{_labels(short)}: agrees, and must do so for {seconds:g} s without a break"
        return Agreement(_hold(detail, is_overdue=is_overdue), tuple(interlocks))
    return Agreement(forced=_labels([one for one in overruled if one not in agreed]))


def _is_agreed(interlock: Interlock, answers: Answers) -> bool:
    return answers[interlock].agrees is True and answers[interlock].agreed_for >= interlock.for_at_least


def _is_overdue(interlock: Interlock, now: datetime, since: datetime | None) -> bool:
    return interlock.max_defer is not None and since is not None and now - since >= interlock.max_defer


def _hold(detail: str, until: datetime | None = None, *, is_overdue: bool) -> Hold:
    return Hold(HoldReason.INTERLOCK, detail, until, is_overdue)


def _labels(interlocks: Sequence[Interlock]) -> str:
    return ", ".join(one.label for one in interlocks)
