"""What a node asks of history and reports before it starts a release: of whom, and under which policy."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.core.test_history import IMAGE, Repo, application, manifest, site
from tests.core.trust.conftest import Forge

from edgegitops.bootstrap import load_schemas
from edgegitops.core.history import FleetChain
from edgegitops.core.model.control import ControlKind, ControlTag, Forgiven
from edgegitops.core.model.facts import Desired, Facts, NodeIdentity
from edgegitops.core.model.ledger import DeploymentRecord, Latch, Ledger
from edgegitops.core.model.observed import Observed
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedFailure, ReportedState, StoredReport
from edgegitops.core.model.trust import Floor, Pin
from edgegitops.core.model.waves import Edition, Editions
from edgegitops.core.permit import Permit, Rollouts, retried
from edgegitops.core.rollout.assumed import Assumed
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.evidence import Evidence
from edgegitops.core.trust.reports import key_id, payload_of, sealed
from edgegitops.core.witness import stored_statement
from edgegitops.lab.enrolment import keys_manifest

FLEET = "urn:edgegitops:test"
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
RINGS = {"a": "canary", "b": "pilot", "c": "rest"}


def deployment(*rings: str, **rollout: object) -> str:
    waves = [{"name": ring, "selector": {"matchTags": {"ring": ring}}, "gate": {"soak": "1m"}} for ring in rings]
    spec = {"application": "app", "selector": {"all": True}, "rollout": {"waves": waves} | rollout}
    return manifest("Deployment", "app", spec)


class Plant:
    """Three sites of one node, one a wave; the node of `c` asks, where nothing else is said."""

    def __init__(self) -> None:
        self.forge, self.repo = Forge(), Repo()
        for name, ring in RINGS.items():
            self.repo.files[f"sites/{name}.yaml"] = site(name, ring)
            self.repo.files[f"trust/nodes/{name}.yaml"] = self.keys(name)
        self.repo.files["deployments/app.yaml"] = deployment("canary", "pilot")
        self.first = self.repo.commit()
        self.reports: dict[str, tuple[StoredReport, ...]] = {}
        self.ledger = Ledger(installation="i")
        self.is_reporting = True
        self.is_answered = True
        self.runs = self.first
        self.site = "c"
        self.heads: tuple[str, ...] = ()
        self.tags: tuple[ControlTag, ...] = ()

    def line(self, name: str) -> str:
        return self.forge.signer(name).line

    def keys(self, name: str) -> str:
        return keys_manifest(name, {"gw": self.line(name)})

    def tell(self, name: str, revision: str, *failures: str) -> None:
        """The node of a site runs what a revision gives it, well, or has told that digests failed there."""
        digest = self.digest(name, revision)
        kept = tuple(ReportedFailure(revision, one, 1, "crashed") for one in failures)
        told = ReportedDeployment(revision, digest, ReportedState.HEALTHY, timedelta(minutes=2), kept)
        report = Report(FLEET, name, "gw", "i", "b", 1, NOW, 1, revision, deployments={"app": told})
        report = replace(report, heads={"app": self.heads} if self.heads else {})
        data = sealed(payload_of(report), b"-----BEGIN SSH SIGNATURE-----\n")
        self.reports[f"{name}/gw"] = (StoredReport(data, key_id(self.line(name)), is_noted=True),)

    def digest(self, name: str, revision: str) -> str:
        chain = self.repo.chain()
        at = chain.position(revision)
        assert at is not None
        return chain.edition(at).digest(f"{name}/gw")

    def ask(self) -> Permit:
        """What the node of `site`, which runs the first revision, may start."""
        node = NodeIdentity(FLEET, self.site, "gw", Pin(FLEET, "", self.repo.commits[0]))
        history = self.repo.history()
        old = history.desired(self.first, node, NodePolicy())
        new = history.desired(self.repo.commits[-1], node, NodePolicy())
        assert isinstance(old, Desired)
        assert isinstance(new, Desired)
        facts = Facts(
            now=NOW,
            boot_id="b",
            node=node,
            policy=NodePolicy(),
            ledger=replace(self.ledger, floor=Floor(self.repo.commits[-1], "p", "t", 1, NOW)),
            observed=Observed(NOW),
            objects=self.repo.store.objects(),
            schemas=load_schemas(),
            reports=self.reports,
            heard_from=frozenset(f"{name}/gw" for name in (*RINGS, "d")),
            is_answered=self.is_answered,
            is_reporting=self.is_reporting,
        )
        record = DeploymentRecord("app", Phase.HEALTHY, serving=old.releases["app"])
        if not self.runs:
            record = DeploymentRecord("app")
        said = (stored_statement(one, fleet=FLEET, name=name) for name, (one,) in self.reports.items())
        heard = Evidence(frozenset(one for one in said if one is not None))
        assumed = Assumed(heard, frozenset(self.tags)) if self.tags else None
        return Rollouts(facts, new, assumed).permit("app", record)


@pytest.fixture
def plant() -> Plant:
    return Plant()


def test_gate_asks_the_members_of_its_own_wave_and_of_those_before_it(plant: Plant) -> None:
    plant.repo.commit(apps__app__app=application("two"))
    assert plant.ask().reports == {f"{name}/gw": plant.line(name) for name in RINGS}


def test_good_news_opens_nothing_while_nobody_answers_where_reports_are_kept(plant: Plant) -> None:
    """Red where core/permit.py has `if True or not (` for `if self.facts.is_answered or not (`: what was heard before,
    and is fresh still, would open the gate.
    """
    revision = plant.repo.commit(apps__app__app=application("two"))
    for name in RINGS:
        plant.tell(name, revision)
    assert plant.ask().hold is None
    plant.is_answered = False
    hold = plant.ask().hold
    assert hold is not None
    assert hold.reason is HoldReason.EVIDENCE
    assert hold.until is not None, "it is asked again"


def test_node_from_which_a_halt_is_kept_opens_nothing_by_news_of_those_who_have_it(plant: Plant) -> None:
    """A server that deletes the halt and shows what was said after it hides nothing: others tell of the latter.

    Red where core/permit.py has `log.by_payload.keys() for log` for `log.rooted for log`.
    """
    manager = frozenset({"release-manager"})
    revision = plant.repo.commit(apps__app__app=application("two"))
    halt = ControlTag("t1", 1, "app", ControlKind.HALT, revision, "rosa", roles=manager, roles_now=manager)
    after = replace(halt, payload="t2", number=2, kind=ControlKind.APPROVE, wave="x", previous=("t1",))
    plant.heads = ("t2",)
    for name in RINGS:
        plant.tell(name, revision)
    plant.tags = (halt, after)
    assert plant.ask().hold.reason is HoldReason.HALTED  # type: ignore[union-attr] # else it fails
    plant.tags = (after,)
    assert plant.ask().hold.reason is HoldReason.GATE  # type: ignore[union-attr] # else it fails
    plant.tags = (replace(halt, kind=ControlKind.APPROVE, wave="x"), after)
    assert plant.ask().hold is None


def test_first_wave_needs_nobodys_good_news_and_goes_on_while_nobody_answers(plant: Plant) -> None:
    revision = plant.repo.commit(apps__app__app=application("two"))
    plant.is_answered, plant.site = False, "a"
    assert plant.ask().hold is None
    plant.tell("a", revision, plant.digest("a", revision))
    hold = plant.ask().hold
    assert hold is not None
    assert hold.reason is HoldReason.TOO_MANY_FAILURES, "bad news that is known counts"


def test_fresh_node_takes_nothing_from_its_fellows_while_nobody_answers(plant: Plant) -> None:
    """Red where core/permit.py does not look for `Cause.FELLOWS`."""
    plant.runs = ""
    plant.repo.files["sites/d.yaml"] = site("d", "canary")
    plant.repo.files["trust/nodes/d.yaml"] = plant.keys("d")
    plant.first = plant.repo.commit()
    plant.tell("a", plant.first)
    plant.site = "d"
    permit = plant.ask()
    assert (permit.hold, permit.cause) == (None, "fellows")
    plant.is_answered = False
    hold = plant.ask().hold
    assert hold is not None
    assert hold.reason is HoldReason.EVIDENCE


def test_node_that_a_release_moves_into_the_first_wave_still_hears_those_that_were_before_it(plant: Plant) -> None:
    """Without their word the policy that is replaced would stay shut for ever."""
    revision = plant.repo.commit(apps__app__app=application("two"), sites__c=site("c", "canary"))
    assert plant.ask().reports.keys() == {"a/gw", "b/gw", "c/gw"}
    plant.tell("a", revision)
    held = plant.ask().hold
    assert held is not None
    assert held.reason is HoldReason.GATE
    plant.tell("b", revision)
    assert plant.ask().hold is None


def test_release_that_drops_the_waves_is_judged_by_the_ones_that_it_drops(plant: Plant) -> None:
    revision = plant.repo.commit(apps__app__app=application("two"), deployments__app=deployment())
    assert plant.ask().reports.keys() == {"a/gw", "b/gw", "c/gw"}
    assert plant.ask().hold is not None
    plant.tell("a", revision)
    plant.tell("b", revision)
    assert plant.ask().hold is None


@pytest.mark.parametrize("gone", [{"sites__b": None, "trust__nodes__b": None}, {"trust__nodes__b": None}])
def test_failure_of_a_node_that_was_removed_with_its_key_still_shuts(plant: Plant, gone: dict[str, str | None]) -> None:
    """Red where core/permit.py has `if now or all(one == now` for `if all(one == now`."""
    bad = plant.repo.commit(apps__app__app=application("two"))
    digest = plant.digest("b", bad)
    plant.repo.commit(**gone)
    plant.tell("a", bad)
    plant.tell("b", bad, digest)
    held = plant.ask().hold
    assert held is not None
    assert held.reason is HoldReason.TOO_MANY_FAILURES
    assert "b/gw" in plant.ask().reports


def test_node_that_was_in_an_earlier_wave_when_it_failed_is_asked_though_it_is_in_a_later_one_now(plant: Plant) -> None:
    """It counts by the wave that it had then; this node was offline at that revision and never heard it."""
    plant.repo.files["sites/d.yaml"] = site("d", "late")
    plant.repo.files["trust/nodes/d.yaml"] = plant.keys("d")
    plant.repo.files["sites/c.yaml"] = site("c", "pilot")
    plant.first = plant.repo.commit()
    bad = plant.repo.commit(apps__app__app=application("two"), sites__d=site("d", "canary"))
    digest = plant.digest("d", bad)
    last = plant.repo.commit(sites__d=site("d", "late"))
    for name in "ab":
        plant.tell(name, last)
    assert plant.ask().reports.keys() == {"a/gw", "b/gw", "c/gw", "d/gw"}
    plant.tell("d", bad, digest)
    held = plant.ask().hold
    assert held is not None
    assert held.reason is HoldReason.TOO_MANY_FAILURES


def test_node_that_came_and_went_on_the_way_is_asked_under_the_key_that_it_had(plant: Plant) -> None:
    bad = plant.repo.commit(
        apps__app__app=application("two"), sites__d=site("d", "canary"), trust__nodes__d=plant.keys("d")
    )
    digest = plant.digest("d", bad)
    last = plant.repo.commit(sites__d=None, trust__nodes__d=None)
    for name in "ab":
        plant.tell(name, last)
    assert plant.ask().reports["d/gw"] == plant.line("d")
    plant.tell("d", bad, digest)
    held = plant.ask().hold
    assert held is not None
    assert held.reason is HoldReason.TOO_MANY_FAILURES


def test_node_without_a_journal_starts_nothing_and_asks_again(plant: Plant) -> None:
    revision = plant.repo.commit(apps__app__app=application("two"))
    plant.tell("a", revision)
    plant.tell("b", revision)
    assert plant.ask().hold is None
    for ledger in (Ledger(), Ledger(installation="i", is_put_back=True)):
        plant.ledger = ledger
        held = plant.ask().hold
        assert held is not None
        assert (held.reason, held.until) == (HoldReason.EVIDENCE, NOW + timedelta(seconds=60))


def test_node_that_publishes_nothing_has_nothing_to_know_of_itself(plant: Plant) -> None:
    revision = plant.repo.commit(apps__app__app=application("two"))
    plant.tell("a", revision)
    plant.tell("b", revision)
    plant.ledger, plant.is_reporting = Ledger(), False
    assert plant.ask().hold is None


def with_secret(version: int) -> str:
    containers = {"main": {"image": IMAGE, "env": {"WORD": {"secret": "db"}}}}
    spec = {"version": str(version), "secrets": {"db": {"version": version}}, "containers": containers}
    return manifest("Application", "app", spec)


def test_secret_that_came_a_commit_late_opens_no_gate(plant: Plant) -> None:
    """At the commit between, the release could not be resolved; that must not be kept for the one that has it."""
    plant.repo.files["secrets/db.1.age"] = "sealed"
    plant.first = plant.repo.commit(apps__app__app=with_secret(1))
    plant.repo.commit(apps__app__app=with_secret(2))
    whole = plant.repo.commit(**{"secrets/db.2.age": "sealed"})
    assert plant.digest("c", plant.first) != plant.digest("c", whole)
    held = plant.ask().hold
    assert held is not None
    assert held.reason is HoldReason.GATE


def test_history_that_denies_what_the_manifests_want_holds_it(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two are made by the same rules; where they differ, a rule is broken, and nothing may pass by it."""
    plant.repo.commit(apps__app__app=application("two"))
    old = plant.digest("c", plant.first)
    monkeypatch.setattr(FleetChain, "digest_at", lambda *_: old)
    held = plant.ask().hold
    assert held is not None
    assert held.reason is HoldReason.EVIDENCE


def test_wave_that_asks_nobody_is_opened_by_a_fresh_view_only(plant: Plant) -> None:
    """`is_opening` is what a stale view forbids: a canary alone in its wave is a wave, too."""
    plant.repo.commit(apps__app__app=application("two"))
    plant.site = "a"
    told = plant.ask()
    assert (told.hold, dict(told.reports), told.is_opening) == (None, {}, True)


def test_release_without_waves_opens_none(plant: Plant) -> None:
    plant.repo.files["deployments/app.yaml"] = deployment()
    plant.first = plant.repo.commit()
    plant.repo.commit(apps__app__app=application("two"))
    told = plant.ask()
    assert (told.hold, told.is_opening) == (None, False)


@pytest.mark.parametrize(("target", "is_forgiven"), [("r1", False), ("r2", True)])
def test_latch_ends_by_a_retry_of_its_revision_or_a_later_one(target: str, is_forgiven: bool) -> None:
    latch = Latch("new", "r2", "crashed", NOW, told_in=7)
    tag = ControlTag("t1", 1, "app", ControlKind.RETRY, target, "rosa", forgives=(Forgiven("c/gw", 7),))
    manager = frozenset({"release-manager"})
    log = ControlLog(frozenset({replace(tag, roles=manager, roles_now=manager)}), NOW)
    chain = Editions((Edition("r1"), Edition("r2")))
    record = DeploymentRecord("app", latches={"new": latch})
    assert bool(retried(record, "c/gw", log, chain)) is is_forgiven
