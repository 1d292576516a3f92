"""When a planned change can start, wave by wave: in words, in a table for a pull request, and as JSON.

Only what `core/overview/forecast` found is told; the suppositions stand in front of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from edgegitops.cli.plain_words import HOLDS, visible
from edgegitops.cli.rollout_words import count, names
from edgegitops.core.model.codec import Tree, to_tree

if TYPE_CHECKING:
    from edgegitops.core.overview.forecast import Forecast, Need, Starts


@dataclass(frozen=True, slots=True)
class Outlook:
    """The starts, supposed that it is merged `at`; `owners` are those of keys by role."""

    at: datetime
    forecasts: "tuple[Forecast, ...]"
    owners: Mapping[str, tuple[str, ...]]

    @property
    def is_at_once(self) -> bool:
        """Whether nothing keeps any node waiting."""
        waves = [one for forecast in self.forecasts for one in forecast.waves]
        return all(one.first == one.last == self.at and not one.never and not one.needs for one in waves)


def lines(outlook: Outlook) -> Iterator[str]:
    """For a terminal; nothing where nothing changes."""
    if not outlook.forecasts:
        return
    if outlook.is_at_once:
        yield "Earliest start: at once on every node; no wave, window or approval stands in between"
        return
    yield f"Earliest start, {_supposed(outlook)}:"
    for forecast in outlook.forecasts:
        for one in forecast.waves:
            yield f"  {forecast.deployment}, wave {one.wave}, {count(len(one.nodes), 'node')}: {when(one, outlook.at)}"
            yield from (f"    {words}" for words in _besides(one, outlook))


def table(outlook: Outlook) -> Iterator[tuple[str, ...]]:
    """Cells for a pull request: deployment, wave, nodes, earliest start, what it waits for."""
    for forecast in outlook.forecasts:
        for one in forecast.waves:
            besides = "; ".join(_besides(one, outlook)) or "nothing"
            yield forecast.deployment, one.wave, str(len(one.nodes)), when(one, outlook.at), besides


def _supposed(outlook: Outlook) -> str:
    return f"if it is merged at {_clock(outlook.at)}, all are well, and approvals come when they are asked for"


def supposed(outlook: Outlook) -> str:
    """The suppositions, as a sentence."""
    words = _supposed(outlook)
    return f"{words[0].upper()}{words[1:]}. Not foreseen: interlocks, operators' holds, downloads, failures."


def when(one: "Starts", at: datetime) -> str:
    """`at once`, one instant, or from the first node's to the last node's."""
    if one.first is None or one.last is None:
        return "never, as it is"
    first = "at once" if one.first == at else _clock(one.first)
    return first if one.first == one.last else f"{first} to {_clock(one.last)}"


def _besides(one: "Starts", outlook: Outlook) -> Iterator[str]:
    yield from (visible(words) for words in one.waits)
    yield from (_need(need, outlook) for need in one.needs)
    for never in one.never:
        words = HOLDS.get(never.reason, ("", ""))[0] or never.reason
        yield visible(f"never on {names(never.nodes)}: {words} ({never.reason}): {never.detail}")


def _need(need: "Need", outlook: Outlook) -> str:
    who = sorted({name for role in need.roles for name in outlook.owners.get(role, ())})
    about = ", because it changes the waves themselves (--policy-current)" if need.is_about_policy else ""
    roles = " or ".join(need.roles)
    return visible(f"{count(need.count, 'approval')} by {roles} ({', '.join(who) or 'nobody holds it'}){about}")


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def tree(outlook: Outlook) -> Tree:
    """As JSON."""
    return {
        "at": to_tree(outlook.at),
        "deployments": [
            {"name": forecast.deployment, "waves": [_wave_tree(one, outlook) for one in forecast.waves]}
            for forecast in outlook.forecasts
        ],
    }


def _wave_tree(one: "Starts", outlook: Outlook) -> Tree:
    return {
        "name": one.wave,
        "nodes": list(one.nodes),
        "first": to_tree(one.first) if one.first else None,
        "last": to_tree(one.last) if one.last else None,
        "waits": list(one.waits),
        "approvals": [
            {
                "wave": need.wave,
                "count": need.count,
                "roles": list(need.roles),
                "owners": sorted({name for role in need.roles for name in outlook.owners.get(role, ())}),
                "isAboutPolicy": need.is_about_policy,
            }
            for need in one.needs
        ],
        "never": [
            {"nodes": list(never.nodes), "reason": str(never.reason), "detail": never.detail} for never in one.never
        ],
    }
