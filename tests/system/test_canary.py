"""Canary waves on real nodes: six sites, real Podman, real Git over HTTP. The stories follow one another on one plant.

Each has a release of its own. What may never happen ("it starts nowhere else") is asked at the end, over everything
that the nodes ever journalled and that their containers ever wrote, so that no story has to wait for nothing.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.system.agent_plant import is_chain_whole, record
from tests.system.canary_plant import (
    APP,
    CANARY,
    PILOT,
    SITES,
    SOAK,
    WEAK,
    CanaryPlant,
    is_newest,
    starts_in,
    went_in_waves,
)

from edgegitops.adapters.clock_system import SystemClock
from edgegitops.core.model import events as e
from edgegitops.core.model.reasons import Alarm, HoldReason
from edgegitops.core.model.release import Phase
from edgegitops.core.model.report import ReportedDeployment, ReportedState
from edgegitops.core.trust.reports import NAMESPACE, payload_of, sealed
from edgegitops.core.trust.signing import sign
from edgegitops.lab.lab import Lab

pytestmark = pytest.mark.system
STRONG = next(site for site in PILOT if site != WEAK)
UNPLUGGED, FRESH, THIRD = "f", "e", "d"
PLUGGED = tuple(site for site in SITES if site != UNPLUGGED)
ALLOWED = {
    "1.0.0": set(SITES),
    "2.0.0": {CANARY},
    "3.0.0": {CANARY, WEAK},
    "4.0.0": set(PLUGGED),
    "5.0.0": {CANARY, STRONG},
    "6.0.0": {CANARY},
    "7.0.0": set(SITES),
    "8.0.0": set(SITES),
}
"""Where each release may ever have started."""


@pytest.fixture(scope="module")
def plant(request: pytest.FixtureRequest) -> Iterator[CanaryPlant]:
    """Six nodes that know one another's report keys; nothing is deployed, and no agent runs."""
    with Lab.start(SITES) as lab:
        made = CanaryPlant(lab)
        made.failed_before = request.session.testsfailed
        yield made


@pytest.fixture(autouse=True)
def in_order(request: pytest.FixtureRequest, plant: CanaryPlant) -> None:
    """A story that went wrong leaves a plant in which the next ones mean nothing."""
    if request.session.testsfailed > plant.failed_before:
        pytest.skip("an earlier story of this plant went wrong")


def test_good_release_goes_wave_by_wave(plant):
    plant.release("1.0.0")
    for site in SITES:
        plant.node(site).start_agent()
    plant.runs("1.0.0")
    went_in_waves(plant, "1.0.0")
    plant.node(UNPLUGGED).unplug()  # until it is plugged in again below


def test_release_that_crashes_after_its_start_undoes_itself_at_the_canary(plant):
    before = plant.serving(THIRD)
    plant.release("2.0.0", FAIL_AFTER="1")
    plant.eventually(lambda node: record(node, APP).phase is Phase.REVERTED, "2.0.0 undone", [CANARY])
    plant.waits_for(HoldReason.TOO_MANY_FAILURES, [*PILOT, THIRD, FRESH])
    plant.keeps(before, SITES)
    assert plant.shut("pilot") == plant.shut("wide") == {HoldReason.TOO_MANY_FAILURES}
    (start,) = plant.starts(CANARY, "2.0.0")
    assert Phase.REVERTED in start.phases
    assert plant.sites_that_started("2.0.0") == {CANARY}


def test_failure_that_was_told_once_cannot_be_taken_back(plant):
    told = plant.reports.read(CANARY)
    plant.reports.delete(CANARY)
    plant.looks([*PILOT, THIRD, FRESH])
    plant.waits_for(HoldReason.TOO_MANY_FAILURES, [*PILOT, THIRD, FRESH])
    plant.reports.put(CANARY, told)


def test_canary_installed_anew_does_not_start_again_what_failed_there(plant):
    plant.reinstall(CANARY)
    plant.waits_for(HoldReason.LATCHED, [CANARY])
    assert plant.starts(CANARY, "2.0.0") == plant.starts(CANARY)[-1:]


def test_release_that_fails_on_one_pilot_halts_the_wave_of_pilots_too(plant):
    """The other one had heard that the canary runs it well, and hears of the failure before it starts."""
    before = plant.serving(THIRD)
    plant.hold(*PILOT)
    plant.release("3.0.0", fails_if_weak=True)
    plant.runs("3.0.0", [CANARY])
    plant.eventually(lambda _: _tells_well(plant, CANARY, "3.0.0"), "3.0.0 told to be well", [CANARY])
    plant.looks([STRONG])
    plant.unhold(WEAK)
    plant.eventually(lambda node: record(node, APP).phase is Phase.REVERTED, "3.0.0 undone", [WEAK])
    plant.eventually(lambda _: bool(_told_failures(plant, WEAK)), "3.0.0 told", [WEAK])
    plant.unhold(STRONG)
    plant.waits_for(HoldReason.TOO_MANY_FAILURES, [STRONG, THIRD, FRESH])
    plant.keeps(before, [*PILOT, THIRD, FRESH])
    assert plant.shut("pilot") >= {HoldReason.TOO_MANY_FAILURES}
    assert plant.sites_that_started("3.0.0") == {CANARY, WEAK}


def test_halt_in_mid_wave_stops_who_has_not_started_until_a_resume(plant):
    plant.hold(WEAK)
    plant.release("4.0.0")
    plant.begins("4.0.0", STRONG)
    halt = plant.tag(1, "halt", key="engineer")  # any key may, with plain git
    plant.knows(halt, PLUGGED)
    plant.unhold(WEAK)
    plant.waits_for(HoldReason.HALTED, [WEAK, THIRD, FRESH])
    plant.runs("4.0.0", [CANARY, STRONG])  # what has started goes on
    assert plant.shut("pilot") == plant.shut("wide") == {HoldReason.HALTED}
    resume = plant.command("resume", APP, "--reason", "the sensor was dirty", "--yes", "--push")["payload"]
    plant.runs("4.0.0", PLUGGED)
    for site in PLUGGED:
        for start in plant.starts(site, "4.0.0"):
            assert not plant.kept_at(site, halt) < start.at < plant.kept_at(site, resume)


def test_revert_goes_to_those_that_ran_the_release(plant):
    before = plant.serving(THIRD)
    plant.hold(WEAK)
    plant.release("5.0.0")
    plant.runs("5.0.0", [CANARY, STRONG])
    plant.waits_for(HoldReason.GATE, [THIRD, FRESH])
    plant.told = plant.reports.read(CANARY)
    tip = plant.revert(before)
    plant.runs(before, [CANARY, STRONG])
    plant.believes(tip, PLUGGED)
    plant.unhold(WEAK)
    plant.runs(before, PLUGGED)
    for site in (CANARY, STRONG):
        assert [one.version for one in plant.starts(site)][-2:] == ["5.0.0", before]
        assert plant.starts(site)[-1].cause == "return"
    assert plant.sites_that_started("5.0.0") == {CANARY, STRONG}
    for site in (WEAK, THIRD, FRESH):
        assert len(plant.starts(site, before)) == 1


def test_of_two_releases_in_quick_succession_only_the_second_goes_on(plant):
    plant.hold(*PILOT)
    plant.release("6.0.0")
    plant.begins("6.0.0", CANARY)
    tip = plant.release("7.0.0")
    plant.believes(tip, PLUGGED)
    plant.unhold(STRONG)
    plant.runs("7.0.0", [CANARY, STRONG])
    plant.waits_for(HoldReason.GATE, [THIRD, FRESH])
    assert plant.sites_that_started("6.0.0") == {CANARY}


def test_node_installed_anew_in_mid_rollout_runs_what_its_wave_runs(plant):
    wave = plant.serving(THIRD)
    before = plant.reports.told(FRESH)
    plant.reinstall(FRESH)
    plant.keeps(wave, [FRESH])
    plant.waits_for(HoldReason.GATE, [FRESH])
    (start,) = starts_in(plant.journals(FRESH)[-1])
    assert (start.version, start.cause) == (wave, "fellows")
    plant.eventually(lambda _: plant.reports.told(FRESH).sequence > before.sequence, "its next report", [FRESH])
    assert plant.reports.told(FRESH).installation != before.installation


def test_node_that_was_unplugged_comes_back_to_the_newest_open_release(plant):
    plant.node(UNPLUGGED).plug()
    plant.believes(list(plant.versions)[-1], [UNPLUGGED])
    plant.waits_for(HoldReason.GATE, [UNPLUGGED])
    plant.keeps("1.0.0", [UNPLUGGED])
    plant.unhold(WEAK)
    plant.runs("7.0.0")
    went_in_waves(plant, "7.0.0")
    assert [one.version for one in plant.starts(UNPLUGGED)] == ["1.0.0", "7.0.0"]


def test_forged_replayed_and_deleted_reports_open_nothing(plant):
    """The canary has yet to start what it is said to run well."""
    before = plant.serving(THIRD)
    plant.hold(CANARY)
    again = plant.release("5.0.0")
    plant.believes(again)
    others = [site for site in SITES if site != CANARY]
    plant.waits_for(HoldReason.GATE, others)
    true = plant.reports.read(CANARY)
    for lie in (_forged(plant, again), plant.told):
        plant.reports.put(CANARY, lie)
        plant.looks(others)
        plant.waits_for(HoldReason.GATE, others)
    plant.reports.delete(CANARY)
    plant.looks(others)
    plant.waits_for(HoldReason.GATE, others)
    plant.keeps(before, SITES)
    plant.reports.put(CANARY, true)


def test_relabel_of_all_sites_while_a_release_is_pending_opens_nothing(plant):
    before = plant.serving(THIRD)
    plant.hold(CANARY)
    plant.release("8.0.0")
    tip = plant.relabel(dict.fromkeys(SITES, "canary"))
    plant.believes(tip)
    plant.looks(SITES)
    plant.waits_for(HoldReason.GATE, [site for site in SITES if site != CANARY])
    plant.keeps(before, SITES)
    plant.unhold(CANARY)
    plant.runs("8.0.0")
    went_in_waves(plant, "8.0.0")


def test_over_their_whole_life_nothing_started_where_it_should_not(plant):
    for version, sites in ALLOWED.items():
        assert plant.sites_that_started(version) == sites, version
    for site in ALLOWED["5.0.0"]:
        assert len(plant.starts(site, "5.0.0")) == 1, "it came a second time"
    assert len(plant.starts(CANARY, "2.0.0")) == 1
    assert [one.version for one in plant.starts(UNPLUGGED)] == ["1.0.0", "7.0.0", "8.0.0"]
    for site in SITES:
        assert is_newest(plant, site), f"{site} started what had been replaced"
        assert is_chain_whole(plant.node(site))
        events = [one.event for journal in plant.journals(site) for one in journal]
        assert not [one for one in events if isinstance(one, e.AlarmRaised) and one.code == Alarm.BUG]


def test_reports_tell_no_more_than_they_should(plant):
    for site in SITES:
        told = json.loads(plant.reports.read(site).partition(b"\n-----BEGIN")[0])
        assert set(told) <= {
            "fleet",
            "site",
            "node",
            "installation",
            "boot",
            "sequence",
            "issuedAt",
            "rootVersion",
            "floor",
            "heads",
            "deployments",
            "alarms",
        }


def _told_failures(plant: CanaryPlant, site: str) -> list[str]:
    """The revisions whose failure a node has published."""
    return [one.revision for one in plant.reports.told(site).deployments[APP].failures]


def _tells_well(plant: CanaryPlant, site: str, version: str) -> bool:
    """Whether a node has published that it runs a version well, for as long as its gate asks."""
    told = plant.reports.told(site).deployments[APP]
    is_that = plant.versions.get(told.revision) == version
    return is_that and told.state is ReportedState.HEALTHY and told.soaked_for >= SOAK


def _forged(plant: CanaryPlant, revision: str) -> bytes:
    """What the canary would say if it ran a release well; signed by another node that somebody broke into."""
    true = plant.reports.told(CANARY)
    transition = record(plant.node(CANARY), APP).transition
    assert transition is not None
    assert transition.new is not None
    told = ReportedDeployment(revision, transition.new.digest, ReportedState.HEALTHY, timedelta(hours=1))
    lie = replace(true, sequence=true.sequence + 100, issued_at=SystemClock().now(), deployments={APP: told})
    key = (plant.node(WEAK).home / "report.key").read_bytes()
    return sealed(payload_of(lie), sign(payload_of(lie), key, NAMESPACE))
