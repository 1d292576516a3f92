"""Law: what happens is told while it happens: the nodes' journals line by line, and the view of `rollout status`.

Both are read beside the story, in threads of their own, and change nothing. What cannot be read now is read next time.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from edgegitops.cli.demo.looks import VISION, entries_of
from edgegitops.cli.demo.stage import Screen, Stage
from edgegitops.cli.journal import words
from edgegitops.cli.rollout_status import view_lines
from edgegitops.core.model import events as e
from edgegitops.core.model.release import Phase
from edgegitops.errors import EdgegitopsError
from edgegitops.lab.node import VirtualNode

_LOOK_EVERY = 0.5
_VIEW_EVERY = 2.0
_LONGEST = 150
_PHASES = (Phase.SWITCHING, Phase.PROVING, Phase.HEALTHY, Phase.REVERTING, Phase.REVERTED, Phase.STUCK, Phase.REGRESSED)
_TOLD = (
    e.TipRefused,
    e.SnapshotRefused,
    e.TransitionBegan,
    e.ContainerEnded,
    e.Latched,
    e.HoldChanged,
    e.ControlTagKept,
    e.OperatorHeld,
    e.OperatorReleased,
    e.AlarmRaised,
    e.DaemonStarted,
)


@contextmanager
def telling(stage: Stage) -> Iterator[None]:
    """Tell what happens until the end of the block."""
    is_over = threading.Event()
    work = [threading.Thread(target=_watch, args=(stage, is_over), daemon=True)]
    work += [
        threading.Thread(target=_narrate, args=(stage.screen, node, is_over), daemon=True)
        for node in stage.lab.nodes.values()
    ]
    for thread in work:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in work:
            thread.join(timeout=5)


def _narrate(screen: Screen, node: VirtualNode, is_over: threading.Event) -> None:
    seen = 0
    while not is_over.wait(_LOOK_EVERY):
        with suppress(EdgegitopsError, OSError):
            for entry in entries_of(node, seen):
                seen = entry.seq
                if _is_told(entry.event):
                    screen.say(f"{node.name:10}{words(entry.event)[:_LONGEST]}", "dim")


def _is_told(event: e.Event) -> bool:
    if isinstance(event, e.PhaseMoved):
        return event.new in _PHASES
    return isinstance(event, _TOLD)


def _watch(stage: Stage, is_over: threading.Event) -> None:
    seen = ""
    while not is_over.wait(_VIEW_EVERY):
        with suppress(EdgegitopsError, OSError):
            now = stage.pen.news()
            if now != seen:
                seen = now
                stage.screen.show(view_lines(VISION, stage.pen.clone, None))
