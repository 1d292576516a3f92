"""Law: the bulletin is a summary of the ledger at an instant; it grows with deployments and codes, never with time."""

from datetime import datetime

from edgegitops.core.model.bulletin import AlarmLine, Bulletin, DeploymentLine
from edgegitops.core.model.ledger import Ledger
from edgegitops.core.model.plant import is_plausible
from edgegitops.core.model.release import Phase


def summarise(ledger: Ledger, now: datetime) -> Bulletin:
    """What is to be told of the node; a deployment that is gone and that nothing is wanted of is left out."""
    alarms: dict[str, AlarmLine] = {}
    for alarm in ledger.alarms.values():
        known = alarms.get(alarm.code, AlarmLine(0, alarm.since))
        alarms[alarm.code] = AlarmLine(known.count + 1, min(known.since, alarm.since))
    floor_at = ledger.floor.clock if ledger.floor else None
    return Bulletin(
        deployments=tuple(
            DeploymentLine(name, record.phase, record.phase_at, record.hold_reason, record.hold_since)
            for name, record in sorted(ledger.deployments.items())
            if record.phase is not Phase.ABSENT or record.hold_reason
        ),
        alarms=alarms,
        operator_holds=sum(hold.until is None or now < hold.until for hold in ledger.holds.values()),
        floor_at=floor_at,
        is_clock_plausible=is_plausible(now, floor_at),
    )
