"""One update, killed at every journal write and every engine call: it ends at the old or the new release, never half.

Each case is one life that is quiet until the old release is healthy; then the update comes, and with it the blow.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.simulation.laws import Laws
from tests.simulation.life import DaemonDies, Life, PowerCut, WorkerDies
from tests.simulation.releases import POLICY, behaviours, desired, image, release
from tests.simulation.rest import assert_at, assert_latched, is_resting

from edgegitops.core.model.ledger import DeploymentRecord
from edgegitops.core.model.release import After
from edgegitops.core.model.spec import SnapshotSpec

OLD = {"db": "good-1", "web": "good-1/good-1"}
UPDATES = {
    "good": {"db": "good-1", "web": "slow-2"},
    "all new": {"db": "good-2", "web": "good-2", "cache": "good-2"},
    "config": {"db": "good-1", "web": "good-1/good-2"},
    "mute config": {"db": "good-2", "web": "good-1/mute-2"},
    "short": {"db": "good-2", "web": "short-2"},
    "mute": {"db": "mute-2", "web": "good-1"},
    "unstartable": {"db": "good-2", "web": "unstartable-2"},
    "uncreatable": {"db": "good-1", "web": "uncreatable-2"},
    "gone": {},
    "regressing": {"db": "good-2", "web": "late-2"},
    "good with data": {"db": "good-1", "web": "slow-2"},
    "short with data": {"db": "good-2", "web": "short-2"},
    "mute with data": {"db": "mute-2", "web": "good-1"},
    "gone with data": {},
}
BLOWS = {"worker": WorkerDies, "daemon": DaemonDies, "power": PowerCut}
UPDATE_AT = timedelta(minutes=1)
PATIENCE = timedelta(minutes=20)
IS_DEEP = os.environ.get("EDGEGITOPS_DEEP", "") not in {"", "0"}
WHOLE = frozenset(
    {"good", "short", "config", "short with data"}
)  # struck everywhere in every run, others at each sixth


class Story:
    """A node at rest with the old release, and the update to come."""

    def __init__(self, update: str) -> None:
        self.life = Life()
        self.update = update
        self.laws = Laws(self.life)
        after = After.REGRESSION if update == "regressing" else After.REPORTED
        policy = replace(POLICY, after=after)
        copied = SnapshotSpec("web", ("flush",), 10) if update.endswith("with data") else None
        versions = UPDATES[update]
        self.new = release("app", versions, policy=policy, snapshot=copied) if versions else None
        self.patience = timedelta(minutes=10) if update == "regressing" else timedelta()
        self.old = release("app", OLD, snapshot=copied)
        self.is_copied = copied is not None
        self.is_good = update.partition(" ")[0] in {"good", "all", "gone", "config"}
        for versions in (OLD, UPDATES[update]):
            for container, version in versions.items():
                self.life.engine.behaviours |= behaviours(container, version)
        self.life.push(lambda tip: desired(tip, self.old))
        self.life.at(UPDATE_AT, lambda: self.life.push(lambda tip: desired(tip, *([self.new] if self.new else []))))

    def strike(self, blows: Callable[[], None]) -> None:
        """Call this at each point where a blow may fall, from the update on."""

        def point(*_: object) -> None:
            if self.life.age >= UPDATE_AT:
                blows()

        self.life.journal.before_append = point
        self.life.journal.after_append = point
        self.life.before_step.append(point)
        self.life.after_step.append(point)

    def run(self) -> None:
        """Live until the update is over."""
        life = self.life

        life.live(
            UPDATE_AT + PATIENCE,
            lambda: life.age > UPDATE_AT + self.patience and life.is_settled and is_resting(life, "app"),
        )

    def judge(self, *, may_give_up: bool) -> None:
        """At the new release if that is good, at the old one with the latch if it is not."""
        record = self.life.record("app")
        if self.is_copied:
            self._judge_data(record)
        is_latched = self.new is not None and self.new.digest in record.latches
        if self.is_good and not (may_give_up and is_latched):
            assert_at(self.life, self.laws, "app", self.new)
            assert not record.latches
            return
        assert_at(self.life, self.laws, "app", self.old)
        assert_latched(record, self.new)
        if self.is_good:
            assert record.latches[self.new.digest].reason == "attempts-exhausted"

    def _judge_data(self, record: DeploymentRecord) -> None:
        """The data is of the release that serves: nothing of one that failed is left in it, and no copy is kept."""
        assert self.life.snapshots.present() == ()
        written = self.life.engine.data["app.data"]
        mine = [image("web", versions["web"]) for versions in (OLD, UPDATES[self.update]) if versions]
        is_new = self.new is not None and record.serving is not None and record.serving.digest == self.new.digest
        assert written == tuple(dict.fromkeys(mine if is_new else mine[:1])), f"{record.phase} with {written}"


def points(update: str) -> int:
    """How many points an undisturbed update has."""
    story, count = Story(update), [0]

    def blows() -> None:
        count[0] += 1

    story.strike(blows)
    story.run()
    story.judge(may_give_up=False)
    return count[0]


def at_points(*when: int, blow: type[BaseException]) -> Callable[[], None]:
    """A blow at the n-th point, counted from 0 over all deaths."""
    seen = iter(range(10**9))

    def blows() -> None:
        if next(seen) in when:
            raise blow

    return blows


@pytest.mark.parametrize("blow", BLOWS)
@pytest.mark.parametrize("update", UPDATES)
def test_update_that_is_struck_at_any_point_ends_old_or_new(update, blow):
    stride = 1 if IS_DEEP or update in WHOLE else 6
    for point in range(list(BLOWS).index(blow) % stride, points(update), stride):
        story = Story(update)
        story.strike(at_points(point, blow=BLOWS[blow]))
        try:
            story.run()
            assert story.life.deaths, "the blow did not fall"
            story.judge(may_give_up=False)
        except AssertionError as error:
            error.add_note(f"update {update!r}, {blow} struck at point {point}")
            raise


def pairs(count: int) -> Iterator[tuple[int, int]]:
    """A spread of pairs: a near and a far second for each first."""
    for first in range(0, count, 1 if IS_DEEP else 9):
        yield first, first + 1 + first % 5
        yield first, first + 7 + first % 11


@pytest.mark.parametrize("blow", BLOWS)
@pytest.mark.parametrize("update", ["good", "short", "gone", "short with data"])
def test_update_that_is_struck_twice_ends_old_or_new(update, blow):
    for first, second in pairs(points(update)):
        story = Story(update)
        story.strike(at_points(first, second, blow=BLOWS[blow]))
        try:
            story.run()
            story.judge(may_give_up=True)
        except AssertionError as error:
            error.add_note(f"update {update!r}, {blow} struck at points {first} and {second}")
            raise
