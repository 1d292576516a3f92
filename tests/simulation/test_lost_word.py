"""A node that told what failed on it loses its journal: it does not try again, and goes on where its word ended."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.simulation.life import Life, PowerCut, WorkerDies, journalled
from tests.simulation.rest import is_resting
from tests.simulation.test_signed_road import FIRST_AT, Road, version

from edgegitops.adapters.journal_memory import MemoryJournal
from edgegitops.adapters.notes_memory import MemoryNotes
from edgegitops.adapters.reports_sqlite import ReportsStore
from edgegitops.core.model.events import PhaseMoved, ReportMade, WordTakenOver
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase
from edgegitops.core.model.report import Report
from edgegitops.core.trust import signing
from edgegitops.core.trust.reports import NAMESPACE, statement_in
from edgegitops.daemon.post import Post
from edgegitops.errors import UnavailableError

ME = "plant/gw"
BLOWS = {"worker": WorkerDies, "power": PowerCut}


class Share:
    """A folder that all nodes share; it can be away."""

    def __init__(self) -> None:
        self.shown: dict[str, bytes] = {}
        self.is_away = False

    def publish(self, name: str, data: bytes) -> None:
        self._ask()
        self.shown[name] = data

    def collect(self, names: list[str]) -> dict[str, bytes]:
        self._ask()
        return {name: self.shown[name] for name in names if name in self.shown}

    def _ask(self) -> None:
        if self.is_away:
            raise UnavailableError("reports", "reach the share", "it is not mounted")

    @property
    def told(self) -> Report:
        said = statement_in(self.shown[ME])
        assert said is not None
        return said.report


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    return Road(tmp_path_factory.mktemp("road"))


def reporting(road: Road, folder: Path) -> tuple[Life, Share]:
    """A node that has just been enrolled, and reports to a share."""
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    life, share = road.live(), Share()
    life.post = Post(
        lambda _: (share,),
        ReportsStore(folder / "before.db"),
        lambda payload: signing.sign(payload, key, NAMESPACE),
        lambda: signing.public_line(key),
    )
    return life, share


def failed_once(road: Road, folder: Path) -> tuple[Life, Share]:
    """A node that runs the first release again, after a bad one; it has published that."""
    life, share = reporting(road, folder)
    life.at(timedelta(), lambda: road.show(life, "one"))
    life.at(FIRST_AT, lambda: road.show(life, "bad"))
    life.live(timedelta(minutes=40), lambda: bool(told_failures(share)) and is_resting(life, "line"))
    assert version(life) == "1.0.0"
    assert told_failures(share)
    return life, share


def told_failures(share: Share) -> dict[str, int]:
    told = share.told.deployments.get("line") if ME in share.shown else None
    return {one.digest: one.sequence for one in told.failures} if told else {}


def lose(life: Life, folder: Path) -> None:
    """The whole state directory but the mirror, the floor's copy and what containers need."""
    post = life.post
    assert post is not None
    life.journal, life.notes = MemoryJournal(), MemoryNotes()
    life.post = Post(post.transports, ReportsStore(folder / "after.db"), post.sign, post.key_line)
    life.worked_at = None


def has_tried(life: Life) -> bool:
    """Whether anything but waiting was done for another release than the one that runs."""
    return any(move.new is not Phase.SUPERSEDED for move in journalled(life, PhaseMoved))


def assert_taken_over(life: Life, share: Share, before: Report, failures: dict[str, int]) -> None:
    record, ledger = life.record("line"), life.journal.ledger()
    assert {digest: latch.told_in for digest, latch in record.latches.items()} == failures
    assert (version(life), record.hold_reason, has_tried(life)) == ("1.0.0", HoldReason.LATCHED, False)
    assert ledger.is_sure
    assert share.told.sequence > before.sequence
    assert share.told.installation not in {before.installation, ""}
    assert told_failures(share) == failures


def test_release_that_failed_does_not_start_again_after_a_lost_journal(road, tmp_path):
    life, share = failed_once(road, tmp_path)
    running, before, failures = life.running("line"), share.told, told_failures(share)
    lose(life, tmp_path)
    life.live(life.age + timedelta(minutes=20))
    assert life.running("line") == running
    assert_taken_over(life, share, before, failures)
    assert [one.sequence for one in journalled(life, WordTakenOver)] == [before.sequence]
    assert journalled(life, ReportMade)[0].sequence == before.sequence + 1


def test_while_the_share_is_away_nothing_begins_and_what_runs_is_healed(road, tmp_path):
    life, share = failed_once(road, tmp_path)
    running, before, failures = life.running("line"), share.told, told_failures(share)
    share.is_away = True
    lose(life, tmp_path)
    life.live(life.age + timedelta(minutes=5))
    life.engine.end(next(iter(running)), 1)
    life.live(life.age + timedelta(minutes=10))
    record = life.record("line")
    assert (life.running("line"), version(life)) == (running, "1.0.0")
    assert (record.hold_reason, has_tried(life)) == (HoldReason.EVIDENCE, False)
    assert not journalled(life, ReportMade)
    share.is_away = False
    life.live(life.age + timedelta(minutes=20))
    assert_taken_over(life, share, before, failures)


def test_node_that_is_new_starts_as_soon_as_it_knows_that_it_published_nothing(road, tmp_path):
    life, share = reporting(road, tmp_path)
    share.is_away = True
    road.show(life, "one")
    life.live(timedelta(minutes=10))
    assert (life.record("line").hold_reason, has_tried(life)) == (HoldReason.EVIDENCE, False)
    share.is_away = False
    life.live(life.age + timedelta(minutes=5))
    assert (version(life), share.told.deployments["line"].failures) == ("1.0.0", ())


def struck(
    road: Road, folder: Path, blow: str = "", point: int = -1
) -> tuple[Life, Share, Report, dict[str, int], int]:
    """A lost journal, and a blow at one of the writes that follow; how many of those there were."""
    life, share = failed_once(road, folder)
    before, failures, points = share.told, told_failures(share), [0]
    lose(life, folder)

    def blows(*_: object) -> None:
        points[0] += 1
        if points[0] == point + 1:
            raise BLOWS[blow]

    life.journal.before_append = life.journal.after_append = blows
    life.live(life.age + timedelta(minutes=20))
    return life, share, before, failures, points[0]


@pytest.mark.parametrize("blow", BLOWS)
def test_word_that_is_taken_over_outlives_every_blow(road, tmp_path, blow):
    *_, count = struck(road, tmp_path / "none")
    for point in range(list(BLOWS).index(blow), min(count, 24), 2):
        life, share, before, failures, _ = struck(road, tmp_path / str(point), blow, point)
        assert_taken_over(life, share, before, failures)
