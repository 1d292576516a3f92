"""What a node makes of control tags that a server moves, deletes, wraps, copies or invents: alarms, nothing else."""

from dataclasses import replace

import pytest
from tests.core.trust.conftest import Forge
from tests.core.trust.test_control_tags import text

from edgegitops.core.model.control import ControlKind
from edgegitops.core.model.events import AlarmRaised, ControlTagKept, Entry, Event
from edgegitops.core.model.facts import Desired, Facts, NodeIdentity
from edgegitops.core.model.ledger import DeploymentRecord, KeptTag, Ledger
from edgegitops.core.model.observed import Observed
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.reasons import Alarm, HoldReason
from edgegitops.core.permit import Rollouts
from edgegitops.core.reconcile.fold import advance
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.tagged import MOST_TOLD

REF = "refs/tags/rollout/vision-qa/000007"
HALT = {"Kind": "halt", "Wave": None}


class Remote:
    """A fleet whose control tags a hostile server shows."""

    def __init__(self) -> None:
        self.fleet = Forge().enrol()
        self.shown: dict[str, str] = {}
        self.kept: dict[str, KeptTag] = {}
        self.is_unfetched = False

    def made(self, *, by: str | None = "max", name: str = REF, kind: str = "commit", of: str = "", **said) -> str:
        """A tag object that calls itself so."""
        head = f"object {of or self.fleet.tip}\ntype {kind}\ntag {name.removeprefix('refs/tags/')}\n"
        head += "tagger Max <max@example> 1780000000 +0000\n\n"
        payload = head.encode() + text(self.fleet, **(HALT | said)).encode()
        signature = self.fleet.signer(by).sign(payload, "git") if by else b""
        return self.fleet.store.put("tag", payload + signature)

    def rollouts(self) -> Rollouts:
        """What the node makes of what is shown and kept."""
        facts = Facts(
            now=self.fleet.now,
            boot_id="boot",
            node=NodeIdentity(self.fleet.fleet, "plant", "press-1", self.fleet.pin),
            policy=NodePolicy(),
            ledger=replace(Ledger(), floor=self.fleet.floor(), controls=self.kept),
            observed=Observed(self.fleet.now),
            objects=self.fleet.store,
            schemas={},
            tip=None if self.is_unfetched else self.fleet.tip,
            tags=self.shown,
        )
        return Rollouts(facts, Desired("r" * 40, {}))

    def look(self) -> tuple[list[ControlKind], tuple[Event, ...]]:
        """What the node believes now, and what it has to tell; it remembers what it journals."""
        rollouts = self.rollouts()
        told = rollouts.events
        for event in told:
            if isinstance(event, ControlTagKept):
                self.kept = advance(Ledger(controls=self.kept), Entry(1, self.fleet.now, event, "", "")).controls
        return [tag.kind for tag in rollouts.log("vision-qa").tags], told

    def word(self) -> ControlLog:
        """The log, once what is new is kept."""
        self.look()
        return self.rollouts().log("vision-qa")

    def alarms(self) -> tuple[list[ControlKind], list[tuple[str, str]]]:
        """What is believed, and the alarms that are raised."""
        kinds, told = self.look()
        return kinds, [(event.code, event.subject) for event in told if isinstance(event, AlarmRaised)]


@pytest.fixture
def remote() -> Remote:
    """A halt by the release manager is believed and kept."""
    made = Remote()
    made.shown = {REF: made.made()}
    assert made.alarms() == ([ControlKind.HALT], [])
    return made


def test_moved_tag_changes_nothing_and_is_an_alarm(remote: Remote) -> None:
    """Red where core/tagged.py has `sorted(facts.tags.items()):` for `(*((one.ref, one.object) for one in
    kept.values()), *sorted(facts.tags.items())):`.
    """
    remote.shown = {REF: remote.made(by="mallory")}
    kinds, alarms = remote.alarms()
    assert kinds == [ControlKind.HALT]
    assert set(alarms) == {(Alarm.CONTROL_TAG_MOVED, REF), (Alarm.CONTROL_TAG_REFUSED, REF)}


def test_tag_that_its_own_maker_moved_stays_beside_what_it_said_first(remote: Remote) -> None:
    remote.shown = {REF: remote.made(Kind="revoke")}
    kinds, alarms = remote.alarms()
    assert sorted(kinds) == [ControlKind.HALT, ControlKind.REVOKE]
    assert alarms == [(Alarm.CONTROL_TAG_MOVED, REF)]


def test_word_that_another_key_signed_first_still_has_the_roles_of_its_maker(remote: Remote) -> None:
    """Who has any key, a revoked one too, signs the manager's very words, and a server shows that first.

    Red where core/tagged.py has `found.payload not in {payload for payload, _ in known}:` for `(found.payload,
    found.key) not in known:`.
    """
    remote.shown = {REF: remote.made(by="anna", Kind="revoke")}
    assert not remote.word().exclusions
    remote.shown = {REF: remote.made(by="max", Kind="revoke")}
    assert len(remote.word().exclusions) == 1
    remote.shown = {}
    assert len(remote.word().exclusions) == 1
    assert len(remote.kept) == 3
    assert not any(isinstance(event, ControlTagKept) for event in remote.look()[1])
    hold = remote.rollouts().permit("vision-qa", DeploymentRecord("vision-qa")).hold
    assert hold is None or "fetched again" not in hold.detail


def test_deleted_tag_stays_in_force_and_is_an_alarm(remote: Remote) -> None:
    """Red where core/tagged.py has `sorted(facts.tags.items()):` for `(*((one.ref, one.object) for one in
    kept.values()), *sorted(facts.tags.items())):`.
    """
    other = "refs/tags/rollout/other/000001"
    remote.shown = {other: remote.made(name=other, Deployment="other")}
    kinds, alarms = remote.alarms()
    assert (kinds, alarms) == ([ControlKind.HALT], [(Alarm.CONTROL_TAG_MOVED, REF)])


def test_deletion_of_the_only_tag_is_an_alarm_too(remote: Remote) -> None:
    remote.shown = {}
    assert remote.alarms() == ([ControlKind.HALT], [(Alarm.CONTROL_TAG_MOVED, REF)])


def test_mirror_that_was_never_fetched_shows_no_deletion(remote: Remote) -> None:
    remote.shown, remote.is_unfetched = {}, True
    assert remote.alarms() == ([ControlKind.HALT], [])


NEW = "refs/tags/rollout/vision-qa/000008"


def refused(remote: Remote, oid: str, words: str) -> None:
    """The object under a new ref takes no part, for this reason, and what was there before stays."""
    remote.shown |= {NEW: oid}
    kinds, (alarm,) = remote.look()
    assert isinstance(alarm, AlarmRaised)
    assert (kinds, alarm.code, alarm.subject) == ([ControlKind.HALT], Alarm.CONTROL_TAG_REFUSED, NEW)
    assert words in alarm.detail


def test_lightweight_tag_says_nothing(remote: Remote) -> None:
    """Red where core/trust/lookup.py has `if False:` for `if header.kind != kind:`."""
    refused(remote, remote.fleet.tip, "is a commit where a tag is needed")


def test_nested_tag_says_nothing(remote: Remote) -> None:
    """Red where core/trust/control_tags.py has `or False:` for `or tag.kind != "commit":`."""
    refused(remote, remote.made(name=NEW, kind="tag", of=remote.shown[REF]), "names a tag")


def test_tag_under_another_name_says_nothing(remote: Remote) -> None:
    """Red where core/trust/control_tags.py has `if False or` for `if tag.name != ref.removeprefix(PREFIX) or`."""
    refused(remote, remote.shown[REF], "the tag calls itself")


def test_tag_of_another_deployment_says_nothing_of_this_one(remote: Remote) -> None:
    refused(remote, remote.made(name=NEW, Deployment="other"), "not the one of its name")


def test_tag_of_another_repository_says_nothing(remote: Remote) -> None:
    """Red where core/trust/control_tags.py has `if False:` for `if one["Repository"] != repository:`."""
    refused(remote, remote.made(name=NEW, Repository="urn:edgegitops:other"), "is another fleet's")


def test_tag_by_a_stranger_says_nothing(remote: Remote) -> None:
    """Red where core/trust/control_tags.py has `if False:` for `if roles is None:`."""
    refused(remote, remote.made(by="mallory", name=NEW), "key-unknown")


def test_unsigned_tag_says_nothing(remote: Remote) -> None:
    refused(remote, remote.made(by=None, name=NEW), "unsigned")


def test_thousands_of_tags_by_strangers_hide_none_that_counts_and_are_few_alarms(remote: Remote) -> None:
    junk = remote.made(by="mallory")
    remote.shown |= {f"refs/tags/rollout/vision-qa/{number:06}": junk for number in range(1000, 2500)}
    kinds, alarms = remote.alarms()
    assert (kinds, len(alarms)) == ([ControlKind.HALT], MOST_TOLD + 1)
    assert remote.look()[0] == [ControlKind.HALT]


def test_believed_tag_that_is_lost_and_not_shown_any_more_lets_nothing_start(remote: Remote) -> None:
    lost = remote.shown.pop(REF)
    del remote.fleet.store.kept[lost]
    held = remote.rollouts().permit("vision-qa", DeploymentRecord("vision-qa")).hold
    assert held is not None
    assert held.reason is HoldReason.EVIDENCE
    assert REF in held.detail
    assert remote.rollouts().permit("other", DeploymentRecord("other")).hold is None


def test_kept_tag_is_not_verified_again_and_says_the_same(remote: Remote) -> None:
    """Another worker has the journal and the object. Were the signature looked at again, this one would not fit."""
    first = remote.rollouts().log("vision-qa").tags
    (kept,) = remote.kept.values()
    assert kept.key
    data = remote.fleet.store.kept[kept.object]
    start = data.data.index(b"-----BEGIN")
    spoiled = data.data[:start] + data.data[start:].replace(b"\nU1NI", b"\nU1NJ")
    assert spoiled != data.data
    remote.fleet.store.kept[kept.object] = replace(data, data=spoiled)
    assert remote.rollouts().log("vision-qa").tags == first


def test_note_of_a_tag_counts_for_its_own_payload_only(remote: Remote) -> None:
    """Red where core/trust/control_tags.py has `if proof is not None:` for `if proof is not None and proof.payload ==
    payload:`.
    """
    forged = remote.made(by="mallory", Kind="revoke")
    (payload, kept), *_ = remote.kept.items()
    remote.kept = {payload: replace(kept, object=forged)}
    remote.shown = {}
    kinds, _ = remote.look()
    assert kinds == []


def test_key_that_made_very_many_tags_is_an_alarm_and_all_count(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red where core/tagged.py has `if False` for `if count > MANY`."""
    monkeypatch.setattr("edgegitops.core.tagged.MANY", 2)
    for number in (8, 9):
        ref = f"refs/tags/rollout/vision-qa/{number:06}"
        remote.shown[ref] = remote.made(name=ref, Reason=f"halt {number}")
    kinds, alarms = remote.alarms()
    assert kinds == [ControlKind.HALT] * 3
    ((code, subject),) = alarms
    assert (code, subject.startswith("key/")) == (Alarm.CONTROL_TAGS_MANY, True)
