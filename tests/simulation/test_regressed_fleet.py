"""What soaked and regressed later is a failure as any other: it shuts the gates of later waves and of its own, also
once it is well again, and until a retry names it. What regressed runs on all the while.
"""

from datetime import timedelta

import pytest
from tests.simulation.life import DaemonDies
from tests.simulation.releases import BEHAVIOURS
from tests.simulation.whole_lives import APP, MINUTE, RINGS, VERSIONS, Fleet, image

from edgegitops.core.model.control import ControlKind, Forgiven
from edgegitops.core.model.release import Phase

NEWS_AT = 10 * MINUTE
UNWELL_AT = 40 * MINUTE
WELL_AT = 44 * MINUTE
LATE = timedelta(hours=1)
LONG = timedelta(hours=6)
NEWS = "2.0.0"


def become(fleet: Fleet, site: str, behaviour: str) -> None:
    """What runs there of the newest release is like this from now on."""
    fleet.lives[site].engine.behaviours[image(NEWS, VERSIONS[NEWS])] = BEHAVIOURS[behaviour]


def regressing(site: str, late: tuple[str, ...]) -> Fleet:
    """A fleet in which one node regresses and is well again before others see the release."""
    fleet = Fleet()
    fleet.laws()
    fleet.publish("1.0.0", timedelta())
    for one, life in fleet.lives.items():
        life.at(LATE if one in late else NEWS_AT, lambda one=one: fleet.show(one, NEWS))
    life = fleet.lives[site]
    life.at(UNWELL_AT, lambda: become(fleet, site, "mute"))
    life.at(WELL_AT, lambda: become(fleet, site, "good"))
    fleet.live(LATE + 30 * MINUTE)
    return fleet


@pytest.mark.parametrize(("site", "late"), [("a", ("b", "c", "d", "e")), ("d", ("e",))], ids=["canary", "own-wave"])
def test_release_that_regressed_somewhere_starts_nowhere_else_until_a_retry(site: str, late: tuple[str, ...]) -> None:
    fleet = regressing(site, late)
    early = set(RINGS) - set(late)
    assert {one for one, version, _ in fleet.started if version == NEWS} == early
    assert {fleet.lives[one].record(APP).hold_reason for one in late} == {"too-many-failures"}
    record = fleet.lives[site].record(APP)
    assert (record.phase, fleet.version(site), len(fleet.lives[site].running(APP))) == (Phase.HEALTHY, NEWS, 1)
    (failure,) = record.latches.values()
    assert (failure.reason, failure.told_in > 0) == ("regressed", True)
    ref = fleet.tag(ControlKind.RETRY, NEWS, forgives=(Forgiven(f"{site}/gw", failure.told_in),))
    for one in RINGS:
        fleet.tell(one, ref, 1)
    fleet.live(LONG, NEWS)
    assert fleet.are_all_at(NEWS)
    assert not fleet.lives[site].record(APP).latches


def test_node_that_lost_its_journal_runs_on_and_still_tells_that_it_regressed() -> None:
    fleet = regressing("d", ("e",))
    life = fleet.lives["d"]
    (told,) = life.record(APP).latches.values()

    def lose() -> None:
        fleet.forget("d", is_new=False)
        raise DaemonDies

    life.at(life.age + MINUTE, lose)
    fleet.live(LATE + 60 * MINUTE)
    (known,) = life.record(APP).latches.values()
    assert (known.digest, known.reason, known.told_in) == (told.digest, told.reason, told.told_in)
    assert (fleet.version("d"), len(life.running(APP)), fleet.version("e")) == (NEWS, 1, "1.0.0")
