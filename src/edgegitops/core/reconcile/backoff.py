"""Law: trying again costs ever more time, up to a cap, and is never given up.

Ended containers: at once, then 10 s doubling to 300 s, forgotten after 10 min without an end. Unavailable things:
5 s doubling to 300 s. A jitter by name keeps nodes and deployments apart; it is a function, so a replay agrees.
An instant in the future is one of a clock that has been set back since: it says nothing, and nothing waits for it.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from edgegitops.core.model.ledger import StepFailure

RESTART_FIRST = timedelta(seconds=10)
RETRY_FIRST = timedelta(seconds=5)
CAP = timedelta(seconds=300)
FORGOTTEN_AFTER = timedelta(minutes=10)
RECREATE_TIMES = 3
LOOK_AGAIN_AFTER = timedelta(minutes=1)  # at what no wake tells of, such as a foreign container that leaves
REFUSAL_ASKED_AGAIN_AFTER = timedelta(hours=1)


def restart_at(ends: Sequence[datetime], now: datetime) -> datetime:
    """When a container that ended at these instants may start again; not after `now` means at once."""
    counted = recent(ends, now)
    if len(counted) <= 1:
        return now
    return counted[-1] + _doubled(RESTART_FIRST, len(counted) - 2)


def try_again_at(failed_at: datetime, tries: int, now: datetime) -> datetime:
    """When a job whose tries have failed so far may be tried again; not after `now` means at once."""
    return now if failed_at > now else failed_at + _doubled(RESTART_FIRST, tries - 1)


def retry_at(failure: StepFailure | None, now: datetime, name: str) -> datetime:
    """When a step that failed so often in a row may be tried again; not after `now` means at once."""
    if failure is None or failure.at > now:
        return now - CAP
    wait = _doubled(RETRY_FIRST, failure.count - 1)
    return failure.at + wait * (0.8 + 0.4 * _fraction(f"{name} {failure.count}"))


def recreate_at(recreated: Sequence[datetime], now: datetime) -> datetime:
    """When a container may be created anew for drift: 3 times in 10 min, then when the oldest is 10 min ago."""
    counted = recent(recreated, now)
    if len(counted) < RECREATE_TIMES:
        return now
    return counted[-RECREATE_TIMES] + FORGOTTEN_AFTER


def recent(times: Sequence[datetime], now: datetime) -> list[datetime]:
    """Instants of the last 10 min."""
    return [at for at in times if timedelta() <= now - at < FORGOTTEN_AFTER]


def _doubled(first: timedelta, times: int) -> timedelta:
    return min(CAP, first * float(2 ** min(times, 10)))


def _fraction(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32
