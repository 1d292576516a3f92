"""What the ledger remembers of operators and signers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from edgegitops.core.model import events as e
from edgegitops.core.model.ledger import DeploymentRecord, Ledger, Signed, StepFailure
from edgegitops.core.model.release import Release
from edgegitops.core.model.spec import DeploymentSpec
from edgegitops.core.model.trust import Floor
from edgegitops.core.reconcile.fold import advance

AT = datetime(2026, 3, 1, tzinfo=UTC)


def after(ledger: Ledger, *events: e.Event) -> Ledger:
    for event in events:
        seq = ledger.seq + 1
        ledger = advance(ledger, e.Entry(seq, AT + timedelta(seconds=seq), event, "", ""))
    return ledger


def believed(commit: str, owner: str = "ada") -> e.FloorMoved:
    return e.FloorMoved(Floor(commit, "a", "b", 1, AT), f"key of {owner}", owner)


def test_retry_forgets_failures_and_nothing_else() -> None:
    failed = DeploymentRecord("line", failures={"pull-image app": StepFailure(4, AT)}, hold_reason="image-unavailable")
    ledger = Ledger(deployments={"line": failed, "press": DeploymentRecord("press")})
    tried = after(ledger, e.RetryAsked())
    assert tried == replace(
        ledger, seq=1, deployments={"line": replace(failed, failures={}), "press": DeploymentRecord("press")}
    )


def test_signer_of_the_floor_is_remembered_with_its_instant() -> None:
    ledger = after(Ledger(), believed("c1", "ada"))
    assert ledger.signed == {"c1": Signed("key of ada", "ada", AT + timedelta(seconds=1))}


def test_signers_of_what_is_kept_stay_and_the_others_go() -> None:
    release = Release("1" * 64, "c1", DeploymentSpec("line", {}))
    serving = DeploymentRecord("line", serving=release)
    ledger = after(Ledger(deployments={"line": serving}), believed("c1"), believed("c2"), believed("c3", "bob"))
    assert set(ledger.signed) == {"c1", "c3"}
    in_force = after(Ledger(), believed("c1"), e.SnapshotAccepted("c1"), believed("c2"), believed("c3"))
    assert set(in_force.signed) == {"c1", "c3"}
