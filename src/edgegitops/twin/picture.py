"""Law: a story as one picture: for each wave how many of its nodes run the old release, prove the new one, have proven
it, or saw it fail, over the time since the push.

Plain SVG without scripts, fonts or links: it can be put into a pull request or a page as it is. Every area has the same
height, whatever the number of its nodes, which is written beside it. Colours follow the reader's light or dark.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import escape

from edgegitops.twin.story import Change, Happening, Mark, Story

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 920, 190, 24, 84, 56
AREA, GAP = 84, 26
STATES = ("old", "proving", "proven", "failed")
WORDS = {"old": "old release", "proving": "new, being proven", "proven": "new, proven", "failed": "failed, undone"}
AFTER = {Mark.STARTED: "proving", Mark.HEALTHY: "proven", Mark.FAILED: "failed"}
_TICKS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800)
_MOST_TICKS = 8
_LETTER = 6.6
_STYLE = """
svg { background: #ffffff; font: 13px system-ui, sans-serif; }
text { fill: #1f2328; } .soft { fill: #59636e; font-size: 12px; } .title { font-size: 16px; font-weight: 600; }
.line { stroke: #d1d9e0; } .given { stroke: #59636e; stroke-dasharray: 4 3; } .frame { fill: none; stroke: #d1d9e0; }
.old { fill: #d1d9e0; } .proving { fill: #8ec5ff; } .proven { fill: #0969da; } .failed { fill: #cf222e; }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117; } text { fill: #f0f6fc; } .soft { fill: #9198a1; }
.line { stroke: #2f3742; } .given { stroke: #9198a1; } .frame { stroke: #3d444d; }
.old { fill: #3d444d; } .proving { fill: #1f4f8f; } .proven { fill: #58a6ff; } .failed { fill: #f85149; }
}
"""


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where an instant is on the picture; `ends` is the last one."""

    ends: timedelta

    def x(self, after: timedelta) -> float:
        """Pixels from the left."""
        return LEFT + (WIDTH - LEFT - RIGHT) * (after / self.ends)

    def ticks(self) -> Iterator[timedelta]:
        """Round instants, not too many."""
        seconds = self.ends.total_seconds()
        step = next((one for one in _TICKS if seconds / one <= _MOST_TICKS), _TICKS[-1])
        yield from (timedelta(seconds=at) for at in range(0, int(seconds) + 1, step))


def picture(story: Story, title: str, verdict: str) -> str:
    """The SVG of a run, as text."""
    areas = [(change, wave, nodes) for change in story.changes for wave, nodes in change.waves]
    height = TOP + len(areas) * (AREA + GAP) + BOTTOM
    scale = _Scale(max(story.ends_after * 1.04, timedelta(minutes=10)))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}: {escape(verdict)}</title><style>{_STYLE}</style>",
        f'<text class="title" x="16" y="28">{escape(title)}</text>',
        f'<text class="soft" x="16" y="48">{escape(verdict)}</text>',
        *_legend(),
        *_times(scale, height),
    ]
    for at, (change, wave, nodes) in enumerate(areas):
        top = TOP + at * (AREA + GAP)
        lines += _area(scale, top, steps_of(story.happenings, change, nodes), (change, wave, len(nodes)))
        lines += _approvals(scale, top, story, change, wave)
    return "\n".join([*lines, "</svg>"]) + "\n"


def steps_of(
    happenings: Sequence[Happening], change: Change, nodes: Sequence[str]
) -> list[tuple[timedelta, tuple[int, ...]]]:
    """How many of some nodes are in each of the states, from each instant on at which that changes."""
    states = dict.fromkeys(nodes, "old")
    found: dict[timedelta, tuple[int, ...]] = {timedelta(): _count(states)}
    for one in happenings:
        if one.deployment == change.deployment and one.node in states and one.mark in AFTER:
            states[one.node] = AFTER[one.mark]
            found[one.after] = _count(states)
    return list(found.items())


def _count(states: dict[str, str]) -> tuple[int, ...]:
    told = list(states.values())
    return tuple(told.count(state) for state in STATES)


def _legend() -> Iterator[str]:
    x = WIDTH - RIGHT
    for state in reversed(STATES):
        x -= round(len(WORDS[state]) * _LETTER) + 40
        yield f'<rect class="{state}" x="{x}" y="54" width="12" height="12" rx="2"/>'
        yield f'<text class="soft" x="{x + 18}" y="64">{WORDS[state]}</text>'


def _times(scale: _Scale, height: int) -> Iterator[str]:
    bottom = height - BOTTOM - GAP + 8
    for at in scale.ticks():
        x = round(scale.x(at), 1)
        yield f'<line class="line" x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom}"/>'
        yield f'<text class="soft" x="{x}" y="{bottom + 16}" text-anchor="middle">{_span(at)}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text class="soft" x="{middle}" y="{bottom + 38}" text-anchor="middle">time since the push</text>'


def _span(at: timedelta) -> str:
    seconds = int(at.total_seconds())
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    parts = ((days, "d"), (hours, "h"), (minutes, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0"


def _area(
    scale: _Scale, top: int, steps: Sequence[tuple[timedelta, tuple[int, ...]]], what: tuple[Change, str, int]
) -> Iterator[str]:
    change, wave, nodes = what
    yield f'<text x="16" y="{top + 34}">{escape(_short(change.deployment))}</text>'
    yield f'<text class="soft" x="16" y="{top + 52}">wave {escape(_short(wave))}</text>'
    yield f'<text class="soft" x="{LEFT - 8}" y="{top + 11}" text-anchor="end">{nodes} node{"s"[: nodes > 1]}</text>'
    yield f'<text class="soft" x="{LEFT - 8}" y="{top + AREA}" text-anchor="end">0</text>'
    below = [0] * len(steps)
    for index, state in reversed(list(enumerate(STATES))):
        above = [low + counts[index] for low, (_, counts) in zip(below, steps, strict=True)]
        if above != below:
            yield f'<path class="{state}" d="{_outline(scale, top, steps, (below, above, nodes))}"/>'
        below = above
    yield f'<rect class="frame" x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{AREA}"/>'


def _outline(
    scale: _Scale,
    top: int,
    steps: Sequence[tuple[timedelta, tuple[int, ...]]],
    levels: tuple[Sequence[int], Sequence[int], int],
) -> str:
    """Along the upper edge in steps, and back along the lower one."""
    below, above, nodes = levels
    ends = [*(after for after, _ in steps[1:]), scale.ends]
    upper, lower = [], []
    for at, (after, _) in enumerate(steps):
        for x in (scale.x(after), scale.x(ends[at])):
            upper.append(f"{x:.1f},{top + AREA - AREA * above[at] / nodes:.1f}")
            lower.append(f"{x:.1f},{top + AREA - AREA * below[at] / nodes:.1f}")
    return f"M{' L'.join([*upper, *reversed(lower)])} Z"


def _approvals(scale: _Scale, top: int, story: Story, change: Change, wave: str) -> Iterator[str]:
    for one in story.given:
        if (one.deployment, one.wave) == (change.deployment, wave):
            x = round(scale.x(one.after), 1)
            yield f'<line class="given" x1="{x}" x2="{x}" y1="{top - 6}" y2="{top + AREA}"/>'
            yield f'<text class="soft" x="{x}" y="{top - 9}" text-anchor="middle">approved</text>'


def _short(text: str, most: int = 20) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
