"""The whole road in virtual time: commits that Git and OpenSSH signed are believed, read, resolved and run.

The commits are made once; each life fetches them from memory. What the shorter simulations leave out is struck here:
the writes that move the floor and accept a snapshot.
"""

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation.laws import Laws
from tests.simulation.life import FLEET, DaemonDies, Life, PowerCut, WorkerDies, journalled
from tests.simulation.releases import BEHAVIOURS
from tests.simulation.rest import assert_at, assert_latched, is_resting

from edgegitops.adapters.journal_memory import MemoryJournal
from edgegitops.bootstrap import load_schemas
from edgegitops.core.decide import decide
from edgegitops.core.model.events import FloorMoved, Reanchored
from edgegitops.core.model.facts import Decision, Facts, NodeIdentity
from edgegitops.core.model.release import Phase
from edgegitops.core.model.trust import Floor, Pin
from edgegitops.errors import UnavailableError
from edgegitops.lab import fleet as fleets
from edgegitops.lab.commands import run

IS_DEEP = os.environ.get("EDGEGITOPS_DEEP", "") not in {"", "0"}
STRIDE = 1 if IS_DEEP else 6
DIGEST = "sha256:" + "1" * 64
BLOWS = {"worker": WorkerDies, "daemon": DaemonDies, "power": PowerCut}
FIRST_AT = timedelta(minutes=3)

DEPLOYMENT = """apiVersion: edgegitops/v1
kind: Deployment
metadata:
  name: line
spec:
  application: line
  selector:
    all: true
  rollback:
    automatic: true
    deadline: 60s
    soak: 30s
"""


def application(version: str, behaviour: str) -> str:
    """An application of one container, with a config file."""
    return f"""apiVersion: edgegitops/v1
kind: Application
metadata:
  name: line
spec:
  version: {version}
  configs:
    main:
      inline: "version {version}"
  containers:
    web:
      image: registry.example/web-{behaviour}:{version}@{DIGEST}
      mounts:
        /config/app.conf:
          config: main
          readOnly: true
      probes:
        ready:
          tcp:
            port: 80
          interval: 5s
"""


class Road:
    """The commits of a fleet, by what they are, and everything that Git stores of them."""

    def __init__(self, home: Path) -> None:
        url = str(home / "bare.git")
        run(["git", "init", "-q", "--bare", "--initial-branch=main", url])
        fleet = fleets.found(home / "fleet", url, repository=FLEET)
        fleet.commit(
            "sites", key="inventory", files={"sites/plant.yaml": fleets.site_manifest("plant", [("gw", "192.0.2.1")])}
        )
        fleet.commit("deployments", key="release-manager", files={"deployments/line.yaml": DEPLOYMENT})
        self.commits: dict[str, str] = {}
        for name, key, version, behaviour in (
            ("one", "engineer", "1.0.0", "good"),
            ("two", "engineer", "2.0.0", "slow"),
            ("bad", "engineer", "3.0.0", "short"),
            ("invalid", "engineer", "nonsense: [", "good"),
            ("unsigned", None, "4.0.0", "good"),
        ):
            text = application(version, behaviour)
            self.commits[name] = fleet.commit(name, key=key, files={"apps/line/app.yaml": text})
        fleet.git("reset", "-q", "--hard", self.commits["one"])
        text = application("5.0.0", "good")
        self.commits["rewritten"] = fleet.commit("rewritten", key="engineer", files={"apps/line/app.yaml": text})
        self.pin: Pin = fleet.pin()
        self.objects = _stored(fleet)

    def live(self) -> Life:
        """A node that is enrolled in this fleet and has fetched nothing yet."""
        life = Life()
        life.node = NodeIdentity(FLEET, "plant", "gw", self.pin)
        life.schemas = load_schemas()
        life.door = decide
        for kind, data in self.objects:
            life.repository.put(kind, data)
        for word, behaviour in BEHAVIOURS.items():
            life.engine.behaviours[f"registry.example/web-{word}@{DIGEST}"] = behaviour
        return life

    def show(self, life: Life, name: str) -> None:
        """The remote's branch is at this commit now."""
        life.repository.set_remote_tip(self.commits[name])
        life.remote_tip = self.commits[name]
        life.worked_at = None


def _stored(fleet: fleets.Fleet) -> list[tuple[str, bytes]]:
    data = run(["git", "-C", str(fleet.work), "cat-file", "--batch-all-objects", "--batch"])
    objects: list[tuple[str, bytes]] = []
    while data:
        head, _, data = data.partition(b"\n")
        _, kind, size = head.decode().split()
        objects.append((kind, data[: int(size)]))
        data = data[int(size) + 1 :]
    return objects


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    return Road(tmp_path_factory.mktemp("road"))


def travel(road: Road, stops: Mapping[str, timedelta], strike: Callable[[Life], None] = lambda _: None) -> Life:
    """A life that is shown these commits, and then rests."""
    life = road.live()
    for name, at in stops.items():
        life.at(at, lambda name=name: road.show(life, name))
    strike(life)
    last = max(stops.values())
    life.live(last + timedelta(minutes=20), lambda: life.age > last and life.is_settled and is_resting(life, "line"))
    return life


def version(life: Life) -> str:
    """What serves, as people call it."""
    serving = life.record("line").serving
    return serving.version if serving else ""


def alarms(life: Life) -> set[str]:
    return {alarm.code for alarm in life.journal.ledger().alarms.values()}


def test_signed_commits_converge_one_after_another(road):
    life = travel(road, {"one": timedelta(), "two": FIRST_AT})
    record = assert_at(life, Laws(life), "line", life.record("line").serving)
    assert (version(life), record.serving.revision) == ("2.0.0", road.commits["two"])
    assert life.journal.ledger().floor.commit == road.commits["two"]
    assert life.floor.read() == life.journal.ledger().floor


def test_bad_release_undoes_itself_and_stays_undone_over_reboots(road):
    life = travel(road, {"one": timedelta(), "bad": FIRST_AT})
    assert version(life) == "1.0.0"
    failed = next(iter(life.record("line").latches.values()))
    assert failed.revision == road.commits["bad"]
    life.engine.power_cut()
    life.clock.reboot()
    life.worked_at = None
    life.live(life.age + timedelta(minutes=10))
    record = assert_at(life, Laws(life), "line", life.record("line").serving)
    assert version(life) == "1.0.0"
    assert (record.hold_reason, set(record.latches)) == ("latched", {failed.digest})


def test_commit_without_signature_moves_nothing(road):
    life = travel(road, {"two": timedelta(), "unsigned": FIRST_AT})
    assert version(life) == "2.0.0"
    assert alarms(life) >= {"revision-refused"}
    assert life.journal.ledger().floor.commit == road.commits["invalid"]


def test_invalid_manifest_keeps_the_last_good_release(road):
    life = travel(road, {"two": timedelta(), "invalid": FIRST_AT})
    assert version(life) == "2.0.0"
    assert "revision-invalid" in alarms(life)
    assert life.journal.ledger().snapshot == road.commits["two"]


def deadly(tip: str) -> Callable[[Facts], Decision]:
    """The one door, through which nobody who judges this tip comes back: the interpreter itself dies of it."""

    def door(facts: Facts) -> Decision:
        decision = decide(facts)
        if any(isinstance(event, FloorMoved) and event.floor.commit == tip for event in decision.events):
            raise WorkerDies
        return decision

    return door


def test_commit_that_kills_workers_is_passed_over_and_what_runs_is_healed_at_once(road):
    life = road.live()
    life.door = deadly(road.commits["two"])
    life.at(timedelta(), lambda: road.show(life, "one"))
    life.at(FIRST_AT, lambda: road.show(life, "two"))
    ended_at = FIRST_AT + timedelta(minutes=20)
    life.at(ended_at, lambda: life.engine.end(next(iter(life.running("line"))), 1))
    life.live(ended_at + timedelta(seconds=30))
    assert (life.deaths, life.running("line") != frozenset()) == (["worker", "worker"], True)
    assert life.journal.ledger().refused_reason == "worker-died"
    assert (alarms(life), version(life)) == ({"revision-refused"}, "1.0.0")


def test_commit_that_killed_workers_is_tried_again_every_hour_and_a_later_one_at_once(road):
    life = road.live()
    life.door = deadly(road.commits["two"])
    life.at(timedelta(), lambda: road.show(life, "one"))
    life.at(FIRST_AT, lambda: road.show(life, "two"))
    life.live(timedelta(hours=3))
    assert 4 <= len(life.deaths) <= 6
    road.show(life, "invalid")
    life.live(life.age + timedelta(minutes=2))
    assert life.journal.ledger().floor.commit == road.commits["invalid"]
    assert alarms(life) == {"revision-invalid"}


@pytest.mark.parametrize("blow", BLOWS)
@pytest.mark.parametrize(("update", "serves"), [("two", "2.0.0"), ("bad", "1.0.0")])
def test_road_that_is_struck_anywhere_ends_old_or_new(road, blow, update, serves):
    count = [0]

    def striking(point: int) -> Callable[[Life], None]:
        def strike(life: Life) -> None:
            seen = iter(range(10**9))

            def blows(*_: object) -> None:
                if life.age < FIRST_AT:
                    return
                at = next(seen)
                count[0] = max(count[0], at)
                if at == point:
                    raise BLOWS[blow]

            life.journal.before_append = life.journal.after_append = blows
            life.before_step.append(blows)
            life.after_step.append(blows)

        return strike

    travel(road, {"one": timedelta(), update: FIRST_AT}, striking(-1))
    for point in range(list(BLOWS).index(blow), count[0], STRIDE):
        laws: list[Laws] = []

        def strike(life: Life, point: int = point, laws: list[Laws] = laws) -> None:
            laws.append(Laws(life))
            striking(point)(life)

        life = travel(road, {"one": timedelta(), update: FIRST_AT}, strike)
        try:
            assert version(life) == serves
            record = assert_at(life, laws[0], "line", life.record("line").serving)
            if update == "bad":
                assert_latched(record, _begun(life))
        except AssertionError as error:
            error.add_note(f"update {update!r}, {blow} struck at point {point}")
            raise


def _begun(life: Life):
    """The newest release that a transition set out for."""
    began = [entry.event for entry in life.journal.entries() if entry.event.kind == "transition-began"]
    return began[-1].transition.new


def at_two(road: Road) -> tuple[Life, MemoryJournal]:
    """A node at the second release, and its journal as a backup of the first one has it."""
    life = road.live()
    road.show(life, "one")
    life.live(timedelta(minutes=10), is_enough=lambda: is_resting(life, "line"))
    backup = deepcopy(life.journal)
    road.show(life, "two")
    life.live(life.age + timedelta(minutes=10), is_enough=lambda: life.record("line").phase is Phase.HEALTHY)
    assert life.journal.ledger().floor.commit == road.commits["two"]
    return life, backup


def test_journal_from_a_backup_goes_on_at_the_newer_copy_of_the_floor(road):
    life, backup = at_two(road)
    life.journal = backup
    road.show(life, "one")  # a server that wants the node back at what it once believed
    life.live(life.age + timedelta(minutes=10))
    assert life.journal.ledger().floor.commit == road.commits["two"]
    assert life.floor.read().commit == road.commits["two"]


def test_copy_that_lags_behind_is_written_again_and_never_believed(road):
    life, _ = at_two(road)
    newest, older = life.floor.read(), next(one for one in floors(life) if one.commit == road.commits["one"])
    life.floor.write(older)
    life.live(life.age + timedelta(minutes=2))
    life.engine.end(next(iter(life.running("line"))), 1)
    life.live(life.age + timedelta(minutes=2))
    assert life.floor.read() == life.journal.ledger().floor == newest


def floors(life: Life) -> list[Floor]:
    return [one.floor for one in journalled(life, FloorMoved)]


def test_copy_of_the_floor_that_cannot_be_written_is_an_alarm_and_healing_goes_on(road, monkeypatch):
    life = road.live()
    writes = life.floor.write

    def fails(_: Floor) -> None:
        raise UnavailableError("floor", "write", "the disk is full")

    monkeypatch.setattr(life.floor, "write", fails)
    road.show(life, "one")
    life.live(timedelta(minutes=10), is_enough=lambda: is_resting(life, "line"))
    name = next(iter(life.running("line")))
    assert [one.code for one in life.journal.ledger().alarms.values()] == ["floor-copy-failed"]
    life.engine.end(name, 1)
    life.live(life.age + timedelta(minutes=2))
    assert life.running("line") == {name}
    monkeypatch.setattr(life.floor, "write", writes)
    road.show(life, "two")
    life.live(life.age + timedelta(minutes=10), is_enough=lambda: life.record("line").phase is Phase.HEALTHY)
    assert not life.journal.ledger().alarms
    assert life.floor.read().commit == road.commits["two"]


def test_revision_in_force_that_cannot_be_read_any_more_is_an_alarm_and_what_runs_is_healed(road):
    life, _ = at_two(road)
    (name,) = life.running("line")
    kept = dict(life.repository._mirror)
    life.notes.forget()
    life.repository.go_offline()
    life.repository._mirror = {oid: one for oid, one in kept.items() if one.kind != "blob"}
    life.engine.end(name, 1)
    life.live(life.age + timedelta(minutes=2))
    assert life.running("line") == {name}
    assert "snapshot-lost fleet" in life.journal.ledger().alarms
    life.repository.come_back()
    life.engine.end(name, 1)
    life.live(life.age + timedelta(minutes=2))
    assert not life.journal.ledger().alarms


def begun_anew(road: Road, name: str, blow: str = "", point: int = -1) -> tuple[Life, int]:
    """A node at the second release whose branch was rewritten on purpose, and whose operator says so; struck at one of
    the writes and steps that follow. How many of those there were.
    """
    life, _ = at_two(road)
    floor, points = life.journal.ledger().floor, [0]
    road.show(life, "rewritten")
    life.live(life.age + timedelta(minutes=3))
    assert (alarms(life), life.journal.ledger().floor) == ({"history-diverged"}, floor)

    def blows(*_: object) -> None:
        points[0] += 1
        if points[0] == point + 1:
            raise BLOWS[blow]

    life.journal.append([Reanchored(road.commits[name], "rewritten on purpose", floor.commit)], life.clock.now())
    life.journal.before_append = life.journal.after_append = blows
    life.before_step.append(blows)
    life.after_step.append(blows)
    life.worked_at = None
    last = life.age
    life.live(last + timedelta(minutes=20), lambda: life.age > last and life.is_settled and is_resting(life, "line"))
    return life, points[0]


def test_rewritten_history_is_followed_once_an_operator_says_where_to_begin(road):
    life, _ = begun_anew(road, "rewritten")
    assert (version(life), alarms(life)) == ("5.0.0", set())
    assert life.journal.ledger().floor == life.floor.read()
    assert life.journal.ledger().floor.commit == road.commits["rewritten"]


def test_operator_may_go_back_before_a_commit_that_was_believed(road):
    life, _ = begun_anew(road, "one")
    assert (version(life), alarms(life)) == ("5.0.0", set())
    road.show(life, "two")
    life.live(life.age + timedelta(minutes=3))
    assert (version(life), alarms(life)) == ("5.0.0", {"history-diverged"})


@pytest.mark.parametrize("blow", BLOWS)
@pytest.mark.parametrize("name", ["one", "rewritten"])
def test_word_of_an_operator_outlives_every_blow(road, name, blow):
    _, count = begun_anew(road, name)
    for point in range(list(BLOWS).index(blow), count, STRIDE):
        life, _ = begun_anew(road, name, blow, point)
        assert (version(life), alarms(life)) == ("5.0.0", set()), f"struck at point {point}"
        assert life.journal.ledger().floor.commit == road.commits["rewritten"]


def test_copy_of_the_floor_that_an_operator_left_is_not_newer(road):
    life, _ = at_two(road)
    left = life.floor.read()
    road.show(life, "one")
    life.journal.append([Reanchored(road.commits["one"], "the second was a mistake")], life.clock.now())
    life.live(life.age + timedelta(minutes=3))
    assert life.journal.ledger().floor.commit == road.commits["one"]
    life.floor.write(left)  # as a power cut between journal and file would leave it
    life.worked_at = None
    life.live(life.age + timedelta(minutes=3))
    assert life.floor.read().commit == life.journal.ledger().floor.commit == road.commits["one"]


def test_revision_that_was_noted_is_not_read_again(road):
    life, _ = at_two(road)
    (name,) = life.running("line")
    life.repository.go_offline()
    life.repository._mirror = {oid: one for oid, one in life.repository._mirror.items() if one.kind != "blob"}
    life.engine.end(name, 1)
    life.live(life.age + timedelta(minutes=2))
    assert life.running("line") == {name}
    assert set(life.journal.ledger().alarms) == {"fetch-failed fleet"}


def test_lost_journal_and_a_bad_release_at_once_end_at_what_ran_before(road):
    life = road.live()
    road.show(life, "one")
    life.live(timedelta(minutes=10), is_enough=lambda: is_resting(life, "line"))
    running = life.running("line")
    life.journal = MemoryJournal()
    road.show(life, "bad")
    life.live(life.age + timedelta(minutes=20))
    record = life.record("line")
    assert (record.phase, life.running("line")) == (Phase.REVERTED, running)
    assert record.serving is not None
    assert record.serving.version == "1.0.0"


def test_lost_journal_and_mirror_take_the_ordinary_road_and_the_floor_holds(road):
    life, _ = at_two(road)
    running, floor = life.running("line"), life.floor.read()
    life.journal = MemoryJournal()
    life.repository.go_offline()
    life.repository._mirror, life.repository._tip = {}, None
    life.live(life.age + timedelta(minutes=2))
    assert life.running("line") == running
    life.repository.come_back()
    life.live(life.age + timedelta(minutes=10))
    assert life.running("line") == running
    assert (life.record("line").phase, life.journal.ledger().floor) == (Phase.HEALTHY, floor)
    assert not life.journal.ledger().alarms
