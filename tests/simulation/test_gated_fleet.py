"""A fleet of five whole lives goes through its waves while reports are lost, late, repeated, mixed up and shown again,
nodes are killed at every write and step, halts come late, and nodes are made anew.

The law of the waves looks on at every start: it is asked of what the others really did, not of what they told.
`EDGEGITOPS_SEED=S` asks for one seed, `EDGEGITOPS_DEEP=1` for many, and for blows at every point.
"""

import os
from datetime import timedelta

import pytest
from tests.simulation.life import DaemonDies, Life, PowerCut, WorkerDies
from tests.simulation.whole_lives import APP, BACK, MINUTE, ORDER, RINGS, Fleet

from edgegitops.core.model.control import ControlKind

IS_DEEP = os.environ.get("EDGEGITOPS_DEEP", "") not in {"", "0"}
ONE = os.environ.get("EDGEGITOPS_SEED")
SEEDS = [int(ONE)] if ONE else range(40 if IS_DEEP else 1)
BLOWS = {"worker": WorkerDies, "daemon": DaemonDies, "power": PowerCut}
NEWS_AT = 10 * MINUTE
LONG = timedelta(hours=6)
CALM_AT = timedelta(hours=1, minutes=10)


def starts(fleet: Fleet, version: str) -> list[str]:
    return [site for site, started, _ in fleet.started if started == version]


def rings(sites: list[str]) -> list[str]:
    return [RINGS[site] for site in sites]


def test_good_release_goes_wave_by_wave_and_a_bad_one_stays_at_the_canary() -> None:
    fleet = Fleet()
    fleet.laws()
    for at, version in enumerate(("1.0.0", "3.0.0", "4.0.0")):
        fleet.publish(version, at * NEWS_AT)
    fleet.live(LONG, "4.0.0")
    for version in ("1.0.0", "4.0.0"):
        assert rings(starts(fleet, version)) == sorted(RINGS.values(), key=ORDER.index)
    assert starts(fleet, "3.0.0") == ["a"]
    assert fleet.are_all_at("4.0.0")


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_becomes_of_reports_waves_keep_their_order_and_all_arrive_once_it_is_calm(seed: int) -> None:
    fleet = Fleet(seed)
    fleet.laws()
    fleet.mail.is_wild = True
    for at, version in enumerate(("1.0.0", "2.0.0", "3.0.0", "4.0.0")):
        fleet.publish(version, at * NEWS_AT, apart=2 * NEWS_AT)
    fleet.lives["e"].at(CALM_AT, lambda: setattr(fleet.mail, "is_wild", False))
    for life in fleet.lives.values():
        life.at(CALM_AT, lambda life=life: fleet.show(life.node.site, "4.0.0"))
    try:
        fleet.live(LONG, "4.0.0")
        assert fleet.are_all_at("4.0.0"), {site: fleet.version(site) for site in RINGS}
        assert set(starts(fleet, "3.0.0")) <= {"a"}
    except BaseException as error:
        error.add_note(f"seed {seed}: run it alone with EDGEGITOPS_SEED={seed}\n{fleet.started}")
        raise


class Blow:
    """Falls on one node at one of its journal writes and steps, counted from the news on."""

    def __init__(self, life: Life, kind: str, point: int) -> None:
        self.count = 0
        self._life = life
        self._kind = BLOWS[kind]
        self._point = point
        life.journal.before_append = life.journal.after_append = self
        life.before_step.append(self)
        life.after_step.append(self)

    def __call__(self, *_: object) -> None:
        if self._life.age >= NEWS_AT:
            self.count += 1
            if self.count == self._point:
                raise self._kind


def struck(site: str, update: str, kind: str, point: int) -> tuple[Fleet, int]:
    """The fleet after an update under which one node was struck, and how many points there were."""
    fleet = Fleet()
    fleet.laws()
    fleet.publish("1.0.0", timedelta())
    fleet.publish(update, NEWS_AT)
    blow = Blow(fleet.lives[site], kind, point)
    is_good = update == "2.0.0"
    fleet.live(2 * NEWS_AT + 20 * MINUTE if is_good else 2 * NEWS_AT, update if is_good else "")
    assert (point < 1) or fleet.lives[site].deaths, "the blow did not fall"
    return fleet, blow.count


STRUCK = (("a", "2.0.0"), ("b", "2.0.0"), ("a", "3.0.0"))
EVERY = [(site, update, kind) for site, update in STRUCK for kind in BLOWS]


@pytest.mark.parametrize(("site", "update", "kind"), EVERY if IS_DEEP else EVERY[::4])
def test_node_that_is_struck_anywhere_in_a_rollout_neither_stops_nor_opens_it(
    site: str, update: str, kind: str
) -> None:
    """A good release arrives everywhere; a bad one is undone at the canary, and starts nowhere else."""
    points = struck(site, update, kind, 0)[1] if IS_DEEP else 0
    for point in range(1, points) if IS_DEEP else [21]:
        fleet, _ = struck(site, update, kind, point)
        try:
            if update == "2.0.0":
                assert fleet.are_all_at(update), {site: fleet.version(site) for site in RINGS}
            else:
                assert starts(fleet, update) == ["a"]
                assert {fleet.version(site) for site in RINGS} == {"1.0.0"}
        except AssertionError as error:
            error.add_note(f"{kind} struck {site} at point {point} of {update}: {fleet.started}")
            raise


def test_halt_holds_who_knows_it_and_a_resume_lets_all_go_on() -> None:
    fleet = Fleet()
    fleet.publish("1.0.0", timedelta())
    fleet.publish("2.0.0", NEWS_AT)
    halt = fleet.tag(ControlKind.HALT, "2.0.0")
    resume = fleet.tag(ControlKind.RESUME, "2.0.0", resumes=fleet.tags[0].payload)
    for site in ("b", "c", "d", "e"):
        fleet.lives[site].at(NEWS_AT, lambda site=site: fleet.tell(site, halt, 1))
    fleet.live(2 * NEWS_AT + 5 * MINUTE)
    assert starts(fleet, "2.0.0") == ["a"]
    assert {fleet.lives[site].record(APP).hold_reason for site in ("b", "c", "d", "e")} == {"halted"}
    for site in RINGS:
        fleet.tell(site, halt, 1)
        fleet.tell(site, resume, 2)
    fleet.live(LONG, "2.0.0")
    assert fleet.are_all_at("2.0.0")


@pytest.mark.parametrize("is_new", [True, False], ids=["made-anew", "journal-lost"])
def test_node_that_lost_its_memory_in_mid_rollout_runs_what_its_wave_runs(is_new: bool) -> None:
    """The other pilot still runs the old release, since the canary has not soaked; so does who is made anew."""
    fleet = Fleet()
    fleet.publish("1.0.0", timedelta())
    fleet.publish("3.0.0", NEWS_AT)
    life = fleet.lives["b"]

    def lose() -> None:
        fleet.forget("b", is_new=is_new)
        raise DaemonDies

    life.at(NEWS_AT + 2 * MINUTE, lose)
    fleet.live(3 * NEWS_AT)
    assert (fleet.version("b"), len(life.running(APP))) == ("1.0.0", 1)
    assert [one for one in fleet.started if one[1] == "3.0.0"] == [("a", "3.0.0", "gate")]
    if is_new:
        assert fleet.started[-1] == ("b", "1.0.0", "fellows")
    fleet.publish("4.0.0", 3 * NEWS_AT)
    fleet.live(LONG, "4.0.0")
    assert fleet.are_all_at("4.0.0")


def cut_off(fleet: Fleet) -> dict[str, list[str]]:
    """Registries and reports are gone for everybody; what each had pulled until then."""
    for life in fleet.lives.values():
        life.engine.is_registry_down = True
    fleet.mail.is_down = True
    return {site: list(life.engine.pulls) for site, life in fleet.lives.items()}


@pytest.mark.parametrize("cause", ["return", "rollback"])
def test_way_back_needs_no_network_and_ends_in_one_move(cause: str) -> None:
    """Once commit or tag has come. All go at once: what they know to be good needs no evidence."""
    fleet = Fleet()
    fleet.laws()
    fleet.publish("1.0.0", timedelta())
    fleet.publish("2.0.0", NEWS_AT)
    fleet.live(LONG, "2.0.0")
    pulled, age = cut_off(fleet), max(life.age for life in fleet.lives.values())
    ref = fleet.tag(ControlKind.ROLLBACK, "2.0.0") if cause == "rollback" else ""
    for site, life in fleet.lives.items():
        life.at(age, lambda site=site: fleet.tell(site, ref, 1) if ref else fleet.show(site, BACK))
        life.at(age + 2 * MINUTE, life.repository.go_offline)
    fleet.live(age + 40 * MINUTE)
    assert {fleet.version(site) for site in RINGS} == {"1.0.0"}
    assert sorted(fleet.started[10:]) == [(site, "1.0.0", cause) for site in RINGS]
    assert {site: life.engine.pulls for site, life in fleet.lives.items()} == pulled
