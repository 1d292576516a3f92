"""What a node looks like when a story is over: at one release, recorded as such, and nothing of another is there."""

from tests.simulation.laws import Laws, configs, names
from tests.simulation.life import FLEET, Life

from edgegitops.core.model.ledger import DeploymentRecord
from edgegitops.core.model.naming import digest_of
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase, Release

AT_REST = frozenset({Phase.HEALTHY, Phase.REVERTED, Phase.REFUSED, Phase.SUPERSEDED, Phase.CANCELLED, Phase.ABSENT})


def is_resting(life: Life, deployment: str) -> bool:
    """No transition is open and what serves runs."""
    record = life.record(deployment)
    return record.transition is None and record.phase in AT_REST


def assert_at(life: Life, laws: Laws, deployment: str, release: Release | None) -> DeploymentRecord:
    """The deployment is at this release: recorded, running in whole, and alone."""
    record = life.record(deployment)
    story = f"{deployment}: {record.phase} {record.hold_reason} {record.hold_detail}"
    assert record.transition is None, story
    assert record.phase in AT_REST, story
    serving = record.serving.digest if record.serving else None
    assert serving == (release.digest if release else None), story
    assert life.running(deployment) - laws.tampered == names(release), story
    present = {seen.name for seen in life.engine.observe().owned(FLEET, deployment)}
    told = {seen.name: seen.configs for seen in life.engine.observe().owned(FLEET, deployment)}
    assert all(told[name] == of for name, of in configs(release).items() if name in told), story
    assert present - laws.tampered == names(release), story
    assert not life.journal.ledger().intents, story
    assert life.journal.verify() is None
    assert_tidy(life, laws)
    return record


def assert_tidy(life: Life, laws: Laws) -> None:
    """Once every deployment is healthy or gone, only what may be needed is kept of all that was brought here."""
    records = life.journal.ledger().deployments.values()
    if any(record.phase not in (Phase.HEALTHY, Phase.ABSENT) or record.failures for record in records):
        return
    kept = laws.kept()
    needless = {one for one in life.engine.images if digest_of(one) not in kept}
    assert needless == {one for one in laws.foreign_images if digest_of(one) not in kept}
    assert not life.artifacts.present() - kept


def assert_latched(record: DeploymentRecord, release: Release) -> None:
    """The release failed here, is marked so, and is held for it."""
    latch = record.latches.get(release.digest)
    assert latch is not None, f"{release.short} failed and is not latched"
    reason = HoldReason.REFUSED_HERE if latch.is_refusal else HoldReason.LATCHED
    assert record.hold_reason == reason, record.hold_detail
