"""A node's post between transports that lie, fail and forget, and a journal that may be lost."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.core.trust.conftest import Forge

from edgegitops.adapters.clock_memory import MemoryClock
from edgegitops.adapters.journal_memory import MemoryJournal
from edgegitops.adapters.reports_memory import MemoryReports
from edgegitops.adapters.reports_refused import RefusedReports
from edgegitops.adapters.reports_sqlite import ReportsStore
from edgegitops.core.model.facts import NodeIdentity
from edgegitops.core.model.report import (
    HEARTBEAT,
    Report,
    ReportedDeployment,
    ReportedFailure,
    ReportedState,
    Reporting,
)
from edgegitops.core.trust import sshsig
from edgegitops.core.trust.reports import NAMESPACE, payload_of, sealed, statement_in
from edgegitops.core.witness import evidence_of
from edgegitops.daemon.post import GIVEN_UP_AFTER, HEARD_AGAIN_AFTER, HEARD_FOR, SOONEST, Post, Postman
from edgegitops.errors import UnavailableError

ME, PEER = "plant/press-1", "plant/press-2"


class Node:
    """One node, worker after worker."""

    def __init__(self, path):
        self.forge = Forge().enrol()
        self.transport, self.store = MemoryReports(), ReportsStore(path)
        self.others = ()
        self.said = Reporting()
        self.journal = MemoryJournal()
        self.clock = MemoryClock(datetime(2026, 5, 4, 12, tzinfo=UTC))
        self.rekeyed = {}
        self.own_key = "press-1"

    def key(self, name):
        return self.rekeyed.get(name) or self.forge.signer(name.partition("/")[2]).line

    def report(self, name, *, sequence=1, by=""):
        site, _, node = name.partition("/")
        said = Report(
            self.forge.fleet, site, node, "i1", "b1", sequence, self.clock.now(), 1, "", alarms=(f"a{sequence}",)
        )
        payload = payload_of(said)
        return sealed(payload, self.forge.signer(by or node).sign(payload, NAMESPACE))

    def work(self, *wanted):
        """One worker's post until nothing is under way."""
        mine = self.forge.signer(self.own_key)
        sign = lambda payload: mine.sign(payload, NAMESPACE)  # noqa: E731 - one expression
        post = Post(lambda _: (self.transport, *self.others), self.store, sign, lambda: mine.line)
        identity = NodeIdentity(self.forge.fleet, "plant", "press-1", self.forge.pin)
        with ThreadPoolExecutor(2) as pool:
            postman = Postman(post, identity, self.journal, self.clock, pool)
            postman.turn({}, {name: self.key(name) for name in wanted}, self.said)
            while postman.under_way:
                for one in postman.under_way:
                    one.exception()
                postman.turn({}, {name: self.key(name) for name in wanted}, self.said)
        return postman

    @property
    def told(self):
        return statement_in(self.transport.shown[ME]).report


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path / "reports.db")


def kept(node, name=PEER):
    return [one.data for one in node.store.stored().get(name, ())]


def test_what_its_node_did_not_sign_is_not_kept_and_pushes_nothing_out(node):
    """Red where core/trust/reports.py has `if False:` for `if signed.key_id != key:`."""
    bad_news = node.transport.shown[PEER] = node.report(PEER)
    node.work(PEER)
    for at in range(20):
        node.transport.shown[PEER] = node.report(PEER, sequence=at, by="mallory")
        node.work(PEER)
    assert kept(node) == [bad_news]


def accused(node, name, *, sequence, digest="b" * 64):
    """A report that tells a failure."""
    failure = ReportedFailure("r2", digest, sequence, "crashed")
    told = {"line": ReportedDeployment("r1", "a" * 64, ReportedState.REVERTED, failures=(failure,))}
    made = replace(statement_in(node.report(name, sequence=sequence)).report, deployments=told)
    payload = payload_of(made)
    return sealed(payload, node.forge.signer(name.partition("/")[2]).sign(payload, NAMESPACE))


def test_old_good_news_shown_again_push_no_bad_news_out(node):
    """Whoever may write to the share has all old reports of a node, and they are signed.

    Red where core/rollout/retention.py has `(one not in bygone, 0)` for `(one not in bygone, rank(one))`.
    """
    bad_news = node.transport.shown[PEER] = accused(node, PEER, sequence=100)
    node.work(PEER)
    for at in range(1, 80):
        node.transport.shown[PEER] = node.report(PEER, sequence=at)
        node.work(PEER)
    assert kept(node) == [bad_news]


def test_failure_that_a_newer_report_does_not_tell_any_more_stays_beside_it(node):
    bad_news = node.transport.shown[PEER] = accused(node, PEER, sequence=3)
    node.work(PEER)
    for at in range(4, 8):
        node.transport.shown[PEER] = node.report(PEER, sequence=at)
        node.work(PEER)
    assert kept(node) == [node.transport.shown[PEER], bad_news]
    assert [one.is_accusing for one in node.store.stored()[PEER]] == [False, True]


def test_node_that_was_made_anew_with_another_key_is_heard_although_it_counts_from_one(node):
    """Its new journal knows no sequence, and nobody believes its old reports any more: it never comes above them."""
    old = node.transport.shown[PEER] = accused(node, PEER, sequence=5000)
    node.work(PEER)
    another = node.forge.signer("press-2b")
    fresh = node.transport.shown[PEER] = node.report(PEER, sequence=1, by="press-2b")
    node.rekeyed[PEER] = another.line
    node.work(PEER)
    evidence = evidence_of(node.store.stored(), {PEER: another.line}, node.forge.fleet, {})
    assert evidence.latest[PEER].sequence == 1
    assert [one.digest for one in evidence.failures("line")] == ["b" * 64]
    assert kept(node) == [fresh, old]


def test_report_that_is_there_is_not_verified_again_by_the_next_worker(node, monkeypatch):
    node.transport.shown[PEER] = node.report(PEER)
    node.work(PEER)
    node.work()
    monkeypatch.setattr("edgegitops.core.trust.sshsig.verify", None)
    node.work(PEER)
    assert not node.journal.ledger().alarms


def test_next_worker_verifies_what_is_new_and_what_was_damaged_and_nothing_else(node, tmp_path, monkeypatch):
    """Red where daemon/archive.py has no `_has`, and where core/witness.py reads without `is_noted`."""
    names = [f"plant/press-{at}" for at in range(2, 9)]
    new, damaged = names[:2]
    node.transport.shown |= {name: node.report(name) for name in names}
    node.work(*names)
    node.transport.shown[new] = node.report(new, sequence=2)
    with closing(sqlite3.connect(tmp_path / "reports.db")) as db, db:
        db.execute("UPDATE reports SET data = ? WHERE node = ?", (node.report(damaged, sequence=3), damaged))
    verified = []
    real = sshsig.verify
    monkeypatch.setattr(sshsig, "verify", lambda *said: verified.append(said[1]) or real(*said))
    node.work(*names)
    read = evidence_of(node.store.stored(), {name: node.key(name) for name in names}, node.forge.fleet, {}).latest
    assert {name: read[name].sequence for name in names} == {**dict.fromkeys(names, 1), new: 2}
    by_others = [one for one in verified if b'"node":"press-1"' not in one]
    assert sorted(by_others) == sorted(payload_of(read[name]) for name in (new, damaged))


def test_own_sequence_goes_on_after_a_lost_journal_and_store_under_another_installation(node, tmp_path):
    for _ in range(3):
        node.work()
        node.clock.advance(HEARTBEAT)
    before = node.told
    node.journal, node.store = MemoryJournal(), ReportsStore(tmp_path / "new.db")
    node.work()
    assert before.sequence == 3
    assert node.told.sequence == 4
    assert node.told.installation != before.installation


def test_journal_put_back_from_an_older_copy_never_says_a_sequence_twice(node):
    node.work()
    first = node.told
    node.transport.shown[ME] = node.report(ME, sequence=9)
    node.clock.advance(HEARTBEAT)
    node.work()
    assert node.told.sequence == 10
    assert node.told.installation != first.installation


def test_without_a_journal_nothing_is_said_before_the_own_word_was_heard(node):
    node.transport.wrong = UnavailableError("reports", "collect", "not mounted")
    node.work()
    assert node.journal.ledger().report_sequence == 0
    node.transport.wrong = None
    node.work()
    assert node.told.sequence == 1


def test_forged_own_report_moves_no_sequence(node):
    node.transport.shown[ME] = node.report(ME, sequence=10**12, by="mallory")
    node.work()
    assert node.told.sequence == 1


@pytest.mark.parametrize("wrong", [UnavailableError("reports", "publish", "read-only"), OSError(5, "broken")])
def test_transport_that_fails_in_whatever_way_is_an_alarm_and_the_next_report_is_never_due_at_once(node, wrong):
    node.work()
    node.clock.advance(3 * HEARTBEAT)
    node.transport.wrong = wrong
    postman = node.work(PEER)
    assert any("reports-unreachable" in key for key in node.journal.ledger().alarms)
    assert postman.due_at() >= node.clock.now() + SOONEST


def test_instant_that_has_no_utc_is_no_report(node):
    odd = replace(statement_in(node.report(PEER)).report, sequence=5)
    payload = payload_of(odd).replace(b"2026-05-04T12:00:00Z", b"9999-12-31T23:59:59-23:59")
    node.transport.shown[PEER] = sealed(payload, node.forge.signer("press-2").sign(payload, NAMESPACE))
    node.work(PEER)
    assert not kept(node)


def test_lost_journal_latches_again_what_failed_and_says_so_under_the_same_sequence(node):
    node.transport.shown[ME] = accused(node, ME, sequence=7)
    node.work()
    ledger = node.journal.ledger()
    assert ledger.deployments["line"].latches["b" * 64].told_in == 7
    assert (node.told.sequence, [one.sequence for one in node.told.deployments["line"].failures]) == (8, [7])


def test_lost_journal_takes_over_nothing_while_one_of_two_transports_does_not_answer(node):
    node.transport.shown[ME] = accused(node, ME, sequence=7)
    node.others = (MemoryReports(),)
    node.others[0].wrong = UnavailableError("reports", "collect", "not mounted")
    node.work()
    assert not node.journal.ledger().is_sure
    assert statement_in(node.transport.shown[ME]).report.sequence == 7
    node.others[0].wrong = None
    node.work()
    assert node.journal.ledger().is_sure
    assert node.told.sequence == 8


def test_last_sequence_that_there_is_ends_no_worker(node):
    """Whoever stole a node's key could say it; the node goes on healing, and says what is wrong."""
    node.transport.shown[ME] = node.report(ME, sequence=2**53 - 1)
    node.work()
    (alarm,) = node.journal.ledger().alarms.values()
    assert "another report key" in alarm.detail
    node.own_key = "press-1b"
    node.work()
    node.clock.advance(HEARTBEAT)
    node.work()
    assert not node.journal.ledger().alarms
    assert node.told.sequence < 9


def test_own_word_from_the_end_of_time_ends_no_worker(node):
    """Whoever stole a node's key could say it."""
    site, _, name = ME.partition("/")
    said = Report(node.forge.fleet, site, name, "i1", "b1", 4, datetime.max.replace(tzinfo=UTC), 1, "")
    payload = payload_of(said)
    node.transport.shown[ME] = sealed(payload, node.forge.signer(name).sign(payload, NAMESPACE))
    node.others = (MemoryReports(),)
    node.others[0].wrong = UnavailableError("reports", "collect", "away")
    assert node.work().due_at() <= node.clock.now() + HEARTBEAT, "it may say nothing yet"
    node.others[0].wrong = None
    assert node.work().due_at() <= node.clock.now() + HEARTBEAT
    assert node.told.sequence == 5


def two(node):
    """A second transport beside the first."""
    other = MemoryReports()
    node.others = (other,)
    return other


def test_transport_that_fails_stops_no_other_and_is_named_alone(node):
    other = two(node)
    node.work()  # a journal that is new hears all of them first
    node.clock.advance(HEARTBEAT)
    node.transport.wrong = UnavailableError("reports", "publish", "git://reports: gone")
    other.shown[PEER] = node.report(PEER)
    node.work(PEER)
    assert statement_in(other.shown[ME]).report.sequence == 2
    assert kept(node) == [other.shown[PEER]]
    (alarm,) = node.journal.ledger().alarms.values()
    assert (alarm.code, alarm.detail) == ("reports-unreachable", "git://reports: gone")
    node.transport.wrong = None
    node.work(PEER)
    assert not node.journal.ledger().alarms


def test_transport_that_lost_our_word_is_given_it_again_without_a_new_sequence(node):
    node.work()
    said = node.transport.shown.pop(ME)
    node.work()
    assert node.transport.shown[ME] == said
    node.transport.shown[ME] = node.report(ME, sequence=50, by="mallory")
    node.work()
    assert node.transport.shown[ME] == said


def test_only_way_that_shows_nobody_else_any_more_does_not_answer(node):
    """A share that is not mounted is an empty folder. Red where that counts as an answer: `nobody reported`."""
    assert node.work(PEER).is_answered, "nobody was heard here yet"
    node.transport.shown[PEER] = node.report(PEER)
    node.work(PEER)
    share, node.transport.shown = node.transport.shown, {}
    for _ in range(2):
        assert not node.work(PEER).is_answered, "with our own word alone, too"
    assert any("mounted" in one.detail for one in node.journal.ledger().alarms.values())
    assert ME in node.transport.shown, "a share that was emptied fills again"
    assert node.work().is_answered, "nobody else is asked for"
    two(node)
    assert node.work(PEER).is_answered, "by which of two ways the other came nobody knows"
    node.others, node.transport.shown = (), share
    assert node.work(PEER).is_answered
    assert not node.journal.ledger().alarms


def test_newer_word_of_our_own_is_never_replaced_by_an_older_one(node):
    node.work()
    node.transport.shown[ME] = node.report(ME, sequence=9)
    node.work()
    assert node.told.sequence >= 9


def test_own_word_that_is_there_and_cannot_be_had_lets_nothing_be_said(node):
    """Red where daemon/post.py has `if False:` for `if found.get(self._name) == b"":`."""
    node.transport.shown[ME] = b""
    node.work()
    assert not node.journal.ledger().is_sure
    assert node.journal.ledger().report_sequence == 0
    assert any("could not be had" in one.detail for one in node.journal.ledger().alarms.values())


def test_way_that_is_denied_for_good_is_told_and_holds_up_nobody(node):
    node.others = (RefusedReports("the policy does not allow it"),)
    node.work()
    assert node.told.sequence == 1
    assert [one.detail for one in node.journal.ledger().alarms.values()] == ["the policy does not allow it"]


class Hung(MemoryReports):
    """A transport whose collection never ends until it is let go."""

    def __init__(self):
        super().__init__()
        self.is_over = threading.Event()

    def collect(self, names):
        self.is_over.wait()
        return super().collect(names)


def test_transport_that_never_ends_is_given_up_and_keeps_no_worker(node):
    hung = Hung()
    post = Post(lambda _: (hung,), node.store, lambda payload: payload, lambda: node.key(ME))
    identity = NodeIdentity(node.forge.fleet, "plant", "press-1", node.forge.pin)
    with ThreadPoolExecutor(1) as pool:
        postman = Postman(post, identity, node.journal, node.clock, pool)
        postman.turn({}, {})
        assert postman.under_way
        node.clock.advance(GIVEN_UP_AFTER)
        postman.turn({}, {})
        assert not postman.under_way
        assert not postman.is_answered
        hung.is_over.set()
    assert any("given up" in one.detail for one in node.journal.ledger().alarms.values())


def test_place_that_answers_after_it_was_given_up_does_not_speak_for_the_one_that_follows(node):
    """What this node said there before nobody knows yet: it would say one sequence twice."""
    hung, other = Hung(), MemoryReports({ME: node.report(ME, sequence=30)})
    other.wrong = UnavailableError("reports", "collect", "away")
    places = {"": hung, "https://git.example/r.git": other}
    post = Post(lambda said: (places[said.git],), node.store, lambda payload: payload, lambda: node.key(ME))
    identity = NodeIdentity(node.forge.fleet, "plant", "press-1", node.forge.pin)
    with ThreadPoolExecutor(2) as pool:
        postman = Postman(post, identity, node.journal, node.clock, pool)
        postman.turn({}, {})
        (first,) = postman.under_way
        node.clock.advance(GIVEN_UP_AFTER)
        postman.turn({}, {}, Reporting("https://git.example/r.git"))
        (second,) = postman.under_way
        second.exception()
        hung.is_over.set()
        first.exception()
        postman.take()
    assert not node.journal.ledger().is_sure
    assert not postman.is_answered


def test_heartbeat_is_the_fleets_and_never_below_a_minute(node):
    node.said = Reporting(heartbeat=4 * HEARTBEAT)
    node.work()
    node.clock.advance(2 * HEARTBEAT)
    node.work()
    assert node.told.sequence == 1
    node.clock.advance(2 * HEARTBEAT)
    assert node.work().due_at() == node.clock.now() + 4 * HEARTBEAT
    node.said = Reporting(heartbeat=timedelta(seconds=1))
    assert node.work().due_at() == node.clock.now() + SOONEST


def test_what_cannot_be_sent_is_tried_again_after_pauses_that_double_up_to_a_heartbeat(node):
    node.work()
    node.transport.wrong = UnavailableError("reports", "collect", "gone")
    node.work(PEER)
    pauses = []
    for _ in range(8):
        due = node.work(PEER).due_at()
        pauses.append(due - node.clock.now())
        node.clock.advance(pauses[-1])
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (SOONEST, HEARTBEAT)


def test_fleet_that_says_another_place_has_it_heard_before_anything_is_said_there(node):
    first, second = MemoryReports(), MemoryReports()
    second.shown[ME] = node.report(ME, sequence=30)
    places = {"": first, "https://git.example/r.git": second}
    post = Post(
        lambda said: (places[said.git],),
        node.store,
        lambda payload: node.forge.signer("press-1").sign(payload, NAMESPACE),
        lambda: node.key(ME),
    )
    identity = NodeIdentity(node.forge.fleet, "plant", "press-1", node.forge.pin)
    with ThreadPoolExecutor(2) as pool:
        postman = Postman(post, identity, node.journal, node.clock, pool)
        for said in (Reporting(), Reporting("https://git.example/r.git")):
            for _ in range(4):
                postman.turn({}, {}, said)
                for one in postman.under_way:
                    one.exception()
    assert statement_in(first.shown[ME]).report.sequence == 1
    assert statement_in(second.shown[ME]).report.sequence > 30


def test_who_was_asked_a_moment_ago_is_known_whether_it_answered_or_not(node):
    """Red where daemon/post.py has `return names` for `return names if self._clock.monotonic() - at < HEARD_FOR else
    frozenset()`.
    """
    assert node.work(PEER).heard_from == {ME, PEER}
    node.transport.wrong = UnavailableError("reports", "collect", "away")
    postman = node.work(PEER)
    assert postman.heard_from == {ME, PEER}
    node.clock.advance(HEARD_FOR)
    assert postman.heard_from == frozenset()


def test_one_way_that_answers_is_an_answer_and_a_push_that_fails_is_none_the_less(node, monkeypatch):
    """Red where daemon/post.py has `self._is_answered = not any(wrong)`."""
    away = UnavailableError("reports", "collect", "away")
    assert node.work(PEER).is_answered
    node.transport.wrong = away
    assert not node.work(PEER).is_answered
    two(node)
    assert node.work(PEER).is_answered
    node.others = ()
    node.transport.wrong = None
    node.transport.shown.clear()
    monkeypatch.setattr(node.transport, "publish", RefusedReports("read only").publish)
    assert node.work(PEER).is_answered


def test_worker_that_lives_long_hears_again(node):
    """Red where daemon/post.py has `is_again = False`: what came meanwhile is seen by the next worker only."""
    post = Post(lambda _: (node.transport,), node.store, lambda payload: payload, lambda: node.key(ME))
    identity = NodeIdentity(node.forge.fleet, "plant", "press-1", node.forge.pin)
    wanted = {PEER: node.key(PEER)}
    with ThreadPoolExecutor(2) as pool:
        postman = Postman(post, identity, node.journal, node.clock, pool)

        def hear() -> int:
            postman.turn({}, wanted)
            while postman.under_way:
                wait(postman.under_way)
                postman.turn({}, wanted)
            return len(postman.heard.get(PEER, ()))

        assert hear() == 0
        node.transport.shown[PEER] = node.report(PEER)
        assert hear() == 0
        node.clock.advance(HEARD_AGAIN_AFTER)
        assert hear() == 1


def test_where_there_is_nowhere_to_ask_nobody_is_waited_for(node):
    post = Post(lambda _: (), node.store, lambda payload: payload, lambda: node.key(ME))
    identity = NodeIdentity(node.forge.fleet, "plant", "press-1", node.forge.pin)
    with ThreadPoolExecutor(1) as pool:
        postman = Postman(post, identity, node.journal, node.clock, pool)
        assert postman.heard_from == frozenset(), "not known yet"
        postman.turn({}, {})
        assert postman.heard_from is None
