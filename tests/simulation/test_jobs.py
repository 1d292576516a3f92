"""Jobs under blows: struck at every journal write and engine call, none begins more often than it may.

The law that looks on: the engine begins a container of a job at most `1 + retries` times, a scheduled one at most once
for each time of its schedule, and a release whose job did not succeed never becomes healthy. Where the volume is
copied, nothing that a job of a failed release wrote is left in it.
"""

from collections import Counter
from datetime import timedelta

import pytest
from tests.simulation.laws import Laws
from tests.simulation.life import BIRTH, FLEET, Life
from tests.simulation.releases import POLICY, READY, SECONDS, desired, image
from tests.simulation.rest import is_resting
from tests.simulation.test_interruptions import BLOWS, IS_DEEP, at_points

from edgegitops.adapters.engine_memory import Behaviour
from edgegitops.core.model.ledger import JobResult
from edgegitops.core.model.naming import LABEL_JOB
from edgegitops.core.model.observed import ContainerState
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import (
    Care,
    Condition,
    ContainerSpec,
    CreateSpec,
    DeploymentSpec,
    JobSpec,
    Mount,
    Runs,
    SnapshotSpec,
    VolumeSpec,
)
from edgegitops.core.model.steps import StartContainer, Step
from edgegitops.core.reconcile.parts import parts_of

UPDATE_AT = timedelta(minutes=2)
PATIENCE = timedelta(minutes=25)
TAKES = 7 * SECONDS
STORIES = {
    "good": (0, 0),
    "failing": (1, 0),
    "failing with retries": (1, 2),
    "good with retries": (0, 2),
    "good with data": (0, 0),
    "failing with data": (1, 1),
}
DATA = Mount(target="/data", volume="data")


def create(name: str, version: str, *mounts: Mount) -> CreateSpec:
    """What runs as this name."""
    return CreateSpec(image=image(name, version), mounts=mounts)


def release(version: str, retries: int = 0, *, has_data: bool = False) -> Release:
    """A database, a migration after it, an application after that; a word after the update, and a nightly run. With
    data: the migration and the application write to a volume that is copied.
    """
    mounts = (DATA,) if has_data else ()
    containers = {
        "db": ContainerSpec(create("db", "good-1"), Care(ready=READY)),
        "web": ContainerSpec(
            create("web", f"good-{version}", *mounts), Care(ready=READY, depends_on={"migrate": Condition.COMPLETED})
        ),
    }
    first = Care(depends_on={"db": Condition.READY})
    jobs = {
        "init": JobSpec(create("init", "ends-1"), Runs.ON_INSTALL, first, retries=1),
        "migrate": JobSpec(
            create("migrate", f"ends-{version}", *mounts),
            Runs.BEFORE_SWITCH,
            Care(depends_on={"db": Condition.READY, "init": Condition.COMPLETED}),
            retries=retries,
        ),
        "tell": JobSpec(create("tell", "ends-1"), Runs.ON_UPDATE, retries=1),
        "often": JobSpec(create("often", "ends-1"), Runs.SCHEDULE, schedule="*/2 * * * *"),
    }
    volumes = {"data": VolumeSpec(snapshot=SnapshotSpec())} if has_data else {}
    spec = DeploymentSpec("app", containers, volumes=volumes, jobs=jobs)
    return Release(spec.digest(), "", spec, version=version, policy=POLICY)


class Story:
    """A node at rest with a release that has jobs, and an update whose migration ends with `code`."""

    def __init__(self, code: int, retries: int, *, has_data: bool = False) -> None:
        self.life = Life()
        self.laws = Laws(self.life)
        self.code, self.retries = code, retries
        self.old, self.new = release("1", has_data=has_data), release("2", retries, has_data=has_data)
        self.begun: Counter[str] = Counter()
        self.is_calm = False
        ends = Behaviour(crashes_after=TAKES, exit_code=0)
        for name, version in (("init", "1"), ("migrate", "1"), ("migrate", "2"), ("tell", "1"), ("often", "1")):
            self.life.engine.behaviours[image(name, f"ends-{version}")] = ends
        self.life.engine.behaviours[image("migrate", "ends-2")] = Behaviour(crashes_after=TAKES, exit_code=code)
        self.life.after_step.append(self.count)
        self.life.push(lambda tip: desired(tip, self.old))
        self.life.at(UPDATE_AT, lambda: self.life.push(lambda tip: desired(tip, self.new)))

    def count(self, step: Step) -> None:
        """The engine has begun a container; one that runs already is not begun again."""
        if not isinstance(step, StartContainer):
            return
        seen = self.life.engine._containers[step.subject].seen
        if LABEL_JOB in seen.labels and seen.started_at == self.life.world.now():
            self.begun[step.subject] += 1

    def strike(self, blows, since: timedelta) -> None:
        """Call this at each point where a blow may fall, from this age on."""

        def point(*_: object) -> None:
            if self.life.age >= since and not self.is_calm:
                blows()

        self.life.journal.before_append = point
        self.life.journal.after_append = point
        self.life.before_step.insert(0, point)
        self.life.after_step.append(point)

    def run(self) -> None:
        """Live until the update is over, a while longer, and a while without blows."""
        life = self.life
        life.live(UPDATE_AT + PATIENCE, lambda: life.age > UPDATE_AT and life.is_settled and is_resting(life, "app"))
        life.live(life.age + timedelta(minutes=3))
        self.is_calm = True
        life.live(life.age + timedelta(minutes=3))

    def judge(self, *, is_disturbed: bool) -> None:
        """Who serves, and how often jobs began."""
        record = self.life.record("app")
        story = f"{record.phase} {record.hold_detail} {dict(record.latches)} {self.begun}"
        migrates = sum(
            count for name, count in self.begun.items() if f".{self._name('migrate', self.new)}" in f".{name}"
        )
        assert migrates <= 1 + self.retries, story
        assert sum(count for name, count in self.begun.items() if ".init." in name) <= 2, story
        assert all(count <= 1 for name, count in self.begun.items() if ".often." in name), story
        latch = record.latches.get(self.new.digest)
        if self.code:
            assert latch is not None, story
            assert migrates >= 1, story
        if latch is None or latch.reason == "regressed":
            assert record.serving.digest == self.new.digest, story
            assert record.phase in (Phase.HEALTHY, Phase.REGRESSED), story
            assert record.jobs[self._name("migrate", self.new)].result is JobResult.SUCCEEDED, story
        else:
            assert record.serving.digest == self.old.digest, story
            assert self.code or is_disturbed, story
        running = [seen for seen in self.life.engine.observe().owned(FLEET, "app") if self._is_web(seen)]
        assert len(running) == 1, story
        assert not self.life.journal.ledger().intents
        if self.old.spec.volumes:
            self._judge_data(is_new=record.serving.digest == self.new.digest)

    def _judge_data(self, *, is_new: bool) -> None:
        """Only what serves, and what served before it, has written to the volume; no copy is left."""
        versions = ("1", "2") if is_new else ("1",)
        writers = (("migrate", "ends"), ("web", "good"))
        wrote = {image(name, f"{how}-{one}") for one in versions for name, how in writers}
        assert set(self.life.engine.data["app.data"]) == wrote
        assert self.life.snapshots.present() == ()

    def _name(self, job: str, of: Release) -> str:
        return parts_of(FLEET, of).named(job).name

    @staticmethod
    def _is_web(seen) -> bool:
        return seen.container == "web" and seen.state is ContainerState.RUNNING


def points(code: int, retries: int, since: timedelta, *, has_data: bool = False) -> int:
    """How many points an undisturbed life has from this age on, until its update has come to rest."""
    story, count = Story(code, retries, has_data=has_data), [0]

    def blows() -> None:
        count[0] += 1

    story.strike(blows, since)
    story.run()
    story.judge(is_disturbed=False)
    return count[0]


@pytest.mark.parametrize("code", [0, 1])
def test_undisturbed_jobs_run_as_often_as_they_should(code):
    story = Story(code, retries=2 * code)
    story.run()
    story.judge(is_disturbed=False)
    names = Counter(name.split(".")[1] for name, count in story.begun.items() for _ in range(count))
    assert names["init"] == 1
    assert names["migrate"] == 1 + (3 if code else 1)
    assert names["tell"] == (1 if code else 2)
    dues = sorted(name.rpartition(".")[2] for name in story.begun if ".often." in name)
    assert dues
    assert all(BIRTH.strftime("%Y%m%d") in due for due in dues)


@pytest.mark.parametrize("blow", BLOWS)
@pytest.mark.parametrize("story", STORIES)
def test_jobs_of_an_update_that_is_struck_at_any_point_run_at_most_as_often_as_they_may(story, blow):
    code, retries = STORIES[story]
    has_data = story.endswith("with data")
    stride = 1 if IS_DEEP else 4
    first = (list(BLOWS).index(blow) + list(STORIES).index(story)) % stride
    for point in range(first, points(code, retries, UPDATE_AT, has_data=has_data), stride):
        told = Story(code, retries, has_data=has_data)
        told.strike(at_points(point, blow=BLOWS[blow]), UPDATE_AT)
        try:
            told.run()
            assert told.life.deaths, "the blow did not fall"
            told.judge(is_disturbed=True)
        except AssertionError as error:
            error.add_note(f"{story!r}, {blow} struck at point {point}")
            raise


@pytest.mark.parametrize("blow", BLOWS)
def test_jobs_of_an_install_that_is_struck_at_any_point_run_at_most_as_often_as_they_may(blow):
    stride = 1 if IS_DEEP else 6
    for point in range(list(BLOWS).index(blow), points(0, 0, timedelta()), stride):
        told = Story(0, 2)
        told.strike(at_points(point, point + 3, blow=BLOWS[blow]), timedelta())
        try:
            told.run()
            assert all(count <= 1 for name, count in told.begun.items() if ".often." in name)
            assert all(count <= 3 for name, count in told.begun.items() if ".migrate." in name)
            assert all(count <= 2 for name, count in told.begun.items() if ".init." in name)
        except AssertionError as error:
            error.add_note(f"install, {blow} struck at points {point} and {point + 3}")
            raise
