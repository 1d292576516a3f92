"""What `edgegitops simulate` says of the twin's stories: the time line of each wave, who waits, and the worst case."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from edgegitops.cli.plain_words import HOLDS, visible
from edgegitops.cli.rollout_words import count, names
from edgegitops.core.model.codec import Tree
from edgegitops.twin.story import FAILED_HERE, OFFLINE, Change, Held, Row, Story, rows

if TYPE_CHECKING:
    from edgegitops.workbench_simulate import Trial

_HEAD = ("wave", "nodes", "opens", "started", "healthy", "failed", "last change")
_OWN = {FAILED_HERE: "it failed there, and was undone", OFFLINE: "away"}
_DAY = 86_400
_MOST_TOLD = 5


def after(span: timedelta) -> str:
    """`+0:11:18`, `+2d 3:00:00`: time since the push."""
    seconds = int(span.total_seconds())
    days, rest = divmod(seconds, _DAY)
    return f"+{f'{days}d ' if days else ''}{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"


def text(trial: "Trial", stories: Sequence[Story]) -> Iterator[str]:
    """For people."""
    first = stories[0]
    if not first.changes:
        yield f"{trial.base} -> {trial.head}: no deployment becomes another release on any node"
        return
    yield f"{trial.base} -> {trial.head}"
    if trial.is_keyless:
        yield "This fleet has no report keys yet (trust/nodes); every node is supposed to have one."
    for story in stories if len(stories) == 1 else [worst(stories)]:
        yield ""
        yield from _story(story)
    yield ""
    yield from _worst(stories)


def worst(stories: Sequence[Story]) -> Story:
    """The run in which it failed on the most nodes; of several, where the most ran it."""
    return max(stories, key=lambda one: (one.failed, one.most_at_once, -one.seed))


def _story(story: Story) -> Iterator[str]:
    yield f"seed {story.seed}:"
    for change in story.changes:
        yield f"  {visible(_title(change))}, on {count(change.nodes, 'node')}"
        table = [_HEAD, *(_cells(row) for row in rows(story, change))]
        widths = [max(len(line[at]) for line in table) for at in range(len(_HEAD))]
        for line in table:
            cells = [
                line[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
            ]
            yield f"    {'  '.join(cells)}"
    for given in story.given:
        yield f"  {after(given.after)} {given.deployment}: wave {given.wave} is approved"
    yield from (f"  {visible(line)}" for line in map(_held, story.held))
    yield f"  It {_end(story)}."


def _end(story: Story) -> str:
    word = "comes through" if story.is_through else "stops"
    but = f"; it fails on {count(story.failed, 'node')}" if story.failed else ""
    return f"{word} after {after(story.ends_after)}{but}"


def _title(change: Change) -> str:
    old, new = change.versions
    if not old:
        return f"{change.deployment} {new} appears"
    return f"{change.deployment} {old if old == new else f'{old} -> {new}'}"


def _cells(row: Row) -> tuple[str, ...]:
    opens = after(row.opens) if row.opens is not None else "-"
    last = after(row.last) if row.last is not None else "-"
    return row.wave, str(row.nodes), opens, str(row.started), str(row.healthy), str(row.failed), last


def _held(one: Held) -> str:
    why = _OWN.get(one.reason) or HOLDS.get(one.reason, (one.reason, ""))[0]
    detail = f" ({one.reason}: {one.detail})" if one.detail else ""
    return f"{one.deployment}, wave {one.wave}, {count(len(one.nodes), 'node')} ({names(one.nodes)}): {why}{detail}"


def _worst(stories: Sequence[Story]) -> Iterator[str]:
    through = sum(story.is_through for story in stories)
    if len(stories) > 1:
        first, last = stories[0].seed, stories[-1].seed
        yield f"seeds {first} to {last}: it comes through in {through} of {count(len(stories), 'run')}"
    failed = max(stories, key=lambda one: one.failed)
    if not failed.failed:
        yield "It fails on no node."
        return
    most = max((one for one in stories if one.failed), key=lambda one: one.most_at_once)
    of = count(len({node for change in failed.changes for node in change.digests}), "node")
    where = f" (seed {failed.seed})" if len(stories) > 1 else ""
    at_once = f" (seed {most.seed})" if len(stories) > 1 else ""
    yield f"At worst it fails on {failed.failed} of {of}{where}, and {most.most_at_once} run it at one time{at_once}."


def drawn(trial: "Trial", stories: Sequence[Story]) -> str:
    """The picture of the worst run."""
    from edgegitops.twin.picture import picture

    story = worst(stories)
    title = ", ".join(map(_title, story.changes)) or "nothing changes"
    return picture(story, f"{title} (seed {story.seed})", f"{trial.base} -> {trial.head}: {_end(story)}")


# --- for scripts ------------------------------------------------------------------------------------------------------


def tree(trial: "Trial", stories: Sequence[Story]) -> dict[str, Tree]:
    """The shape of schemas/output/simulate.schema.json."""
    return {
        "base": trial.base,
        "head": trial.head,
        "supposedKeys": trial.is_keyless,
        "through": all(story.is_through for story in stories),
        "worst": {
            "failed": max(story.failed for story in stories),
            "atOneTime": max((story.most_at_once for story in stories if story.failed), default=0),
        },
        "runs": [_run(story) for story in stories],
    }


def _run(story: Story) -> dict[str, Tree]:
    return {
        "seed": story.seed,
        "through": story.is_through,
        "endsAfterSeconds": story.ends_after.total_seconds(),
        "failed": story.failed,
        "atOneTime": story.most_at_once,
        "changes": [_change(story, one) for one in story.changes],
        "approvals": [
            {
                "afterSeconds": one.after.total_seconds(),
                "deployment": one.deployment,
                "wave": one.wave,
                "owners": one.count,
            }
            for one in story.given
        ],
        "held": [
            {
                "deployment": one.deployment,
                "wave": one.wave,
                "reason": one.reason,
                "detail": one.detail,
                "nodes": list(one.nodes),
            }
            for one in story.held
        ],
        "offline": list(story.offline),
    }


def _change(story: Story, change: Change) -> dict[str, Tree]:
    old, new = change.versions
    return {
        "deployment": change.deployment,
        "versions": {"old": old or None, "new": new or None},
        "waves": [
            {
                "name": row.wave,
                "nodes": row.nodes,
                "opensAfterSeconds": row.opens.total_seconds() if row.opens is not None else None,
                "started": row.started,
                "healthy": row.healthy,
                "failed": row.failed,
                "lastChangeAfterSeconds": row.last.total_seconds() if row.last is not None else None,
            }
            for row in rows(story, change)
        ],
    }
