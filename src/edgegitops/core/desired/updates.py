"""Law: what steers an update (rollback, drift, prune, pause, minReady) is read apart from the spec and never part of
its digest. What is written there and not yet obeyed is a fault: a wave that is passed over would be no wave.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edgegitops.core.desired.care import read_depends_on
from edgegitops.core.desired.probes import read_span
from edgegitops.core.desired.reading import Cursor, Keys
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.release import After, DriftPolicy, UpdatePolicy, VolumePrune
from edgegitops.core.model.waves import Wave

_KEYS = Keys(
    frozenset({"application", "selector", "values", "overrides", "rollout", "rollback", "drift", "prune"})
    | {"windows", "interlocks", "dependsOn"}
)
_ROLLOUT_KEYS = Keys(frozenset({"paused", "waves", "direct"}))
_ROLLBACK_KEYS = Keys(frozenset({"automatic", "deadline", "soak", "keep", "safe", "maxAttempts", "after", "needs"}))
_PRUNE_KEYS = Keys(frozenset({"volumes"}))
_UPDATE_KEYS = Keys(frozenset({"strategy", "minReady"}))
_HIGHEST = 100


def read_policy(deployment: Cursor, application: Mapping[str, Cursor], wave: Wave | None = None) -> UpdatePolicy:
    """The policy; `deployment` is the deployment's spec, `application` the fields of the application's, `wave` the
    node's where it is a written one: its soak is the node's own where `rollback.soak` says none.
    """
    fields = deployment.fields(_KEYS)
    told: dict[str, Any] = {"soak": wave.gate.soak, "gate_soak": wave.gate.soak} if wave else {}
    if "rollback" in fields:
        told |= _rollback(fields["rollback"])
    if "dependsOn" in fields:
        told["depends_on"] = read_depends_on(fields["dependsOn"])
    if "drift" in fields:
        told["drift"] = fields["drift"].choice(DriftPolicy, default=DriftPolicy.REPORT)
    prune = fields["prune"].fields(_PRUNE_KEYS) if "prune" in fields else {}
    if "volumes" in prune:
        told["prune_volumes"] = prune["volumes"].choice(VolumePrune, default=VolumePrune.KEEP)
    rollout = fields["rollout"].fields(_ROLLOUT_KEYS) if "rollout" in fields else {}
    if "paused" in rollout:
        told["paused"] = rollout["paused"].flag()
    policy = UpdatePolicy(**told)
    return _with_update(policy, application["update"]) if "update" in application else policy


def _rollback(spot: Cursor) -> dict[str, Any]:
    fields = spot.fields(_ROLLBACK_KEYS)
    told: dict[str, Any] = {key: fields[key].flag() for key in ("automatic", "safe") if key in fields}
    told |= {key: read_span(fields[key]) for key in ("deadline", "soak", "needs") if key in fields}
    if "keep" in fields:
        told["keep"] = fields["keep"].whole(1, _HIGHEST)
    if "maxAttempts" in fields:
        told["max_attempts"] = fields["maxAttempts"].whole(1, _HIGHEST)
    if "after" in fields:
        told["after"] = fields["after"].choice(After, default=After.REPORTED)
    return told


def _with_update(policy: UpdatePolicy, spot: Cursor) -> UpdatePolicy:
    fields = spot.fields(_UPDATE_KEYS)
    if "strategy" in fields and fields["strategy"].text() != "recreate":
        fields["strategy"].note(FaultCode.NOT_SUPPORTED_YET, "only recreate is supported yet", "recreate")
    return replace(policy, min_ready=read_span(fields["minReady"])) if "minReady" in fields else policy
