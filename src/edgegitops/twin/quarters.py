"""Law: what quarters hear of one another is carried here, second by second.

What was sent in one second is heard by all in the next one that anybody lives; a tag is heard with the next turn. All
quarters that have a turn in a second have it at the same time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from edgegitops.core.model.control import ControlTag
from edgegitops.core.model.report import Statement
from edgegitops.twin.quarter import Answer, Call, Quarter, Turn


@dataclass(slots=True)
class _Post:
    """What a quarter hears with its next call."""

    said: list[Statement] = field(default_factory=list)
    tags: list[ControlTag] = field(default_factory=list)


class Quarters:
    """All quarters of a fleet. `heard` counts the seconds in which anything was said, `tags` are all there are."""

    def __init__(self, quarters: Sequence[Quarter], names: Iterable[str]) -> None:
        self._quarters = quarters
        self._of = {name: at % len(quarters) for at, name in enumerate(names)}  # of neighbours each gets as many
        self._posts = [_Post() for _ in quarters]
        self._sent: list[tuple[int, Statement]] = []
        self.heard = 0
        self.tags: list[ControlTag] = []

    def deliver(self) -> None:
        """A new second begins."""
        for quarter, said in self._sent:
            for other, post in enumerate(self._posts):
                if other != quarter:
                    post.said.append(said)
        self.heard += bool(self._sent)
        self._sent = []

    def tag(self, tag: ControlTag) -> None:
        """Somebody has tagged."""
        self.tags.append(tag)
        for post in self._posts:
            post.tags.append(tag)

    def answers(self, at: datetime, turns: Sequence[Turn]) -> list[Answer]:
        """Each of these has its turn now: their answers, in the same order."""
        parts: list[list[Turn]] = [[] for _ in self._quarters]
        for turn in turns:
            parts[self._of[turn.name]].append(turn)
        asked = [number for number, part in enumerate(parts) if part]
        for number in asked:
            post, self._posts[number] = self._posts[number], _Post()
            self._quarters[number].ask(Call(at, tuple(parts[number]), tuple(post.said), tuple(post.tags)))
        replies = {number: iter(self._quarters[number].reply().answers) for number in asked}
        found = [next(replies[self._of[turn.name]]) for turn in turns]
        self._sent += (
            (self._of[turn.name], answer.said)
            for turn, answer in zip(turns, found, strict=True)
            if answer.said is not None
        )
        return found

    def end(self) -> None:
        """None is needed any more."""
        for one in self._quarters:
            one.end()
