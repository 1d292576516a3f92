"""Law: the waves of a deployment as they are written; what is left out has the published default.

Shares are exact. What no schema can tell is judged here: two waves of one name, a wave that is called like the
implicit last one, and a gate that nothing healthy would open.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from fractions import Fraction
from typing import Any

from edgegitops.core.documents.judge import Page
from edgegitops.core.documents.selectors import read_selector
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.quantities import parse_duration
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.report import HEARTBEAT
from edgegitops.core.model.waves import REST, Approvals, Gate, RolloutPolicy, Wave

_WAVES = ("spec", "rollout", "waves")
REPORTS_THAT_COUNT = 3
"""How many heartbeats old a report may be, where no `maxReportAge` is written."""


def read_rollout(spec: Mapping[str, Tree], heartbeat: timedelta = HEARTBEAT) -> RolloutPolicy:
    """`spec.rollout` of a judged deployment, in a fleet whose nodes report at least once a `heartbeat`."""
    rollout = spec.get("rollout", {})
    told: dict[str, Any] = {"is_paused": rollout.get("paused", False)}
    if "maxNodes" in rollout.get("direct", {}):
        told["direct_most"] = rollout["direct"]["maxNodes"]
    return RolloutPolicy(tuple(_wave(one, heartbeat) for one in rollout.get("waves", ())), **told)


def _wave(tree: Mapping[str, Tree], heartbeat: timedelta) -> Wave:
    most = tree.get("max")
    approvals = tree.get("approvals", {})
    asked = {"roles": tuple(approvals["roles"])} if "roles" in approvals else {}
    return Wave(
        name=tree["name"],
        selector=read_selector(tree["selector"]) if "selector" in tree else None,
        percent=tree.get("percent"),
        most=most if isinstance(most, int) or most is None else _share(most),
        gate=_gate(tree.get("gate", {}), heartbeat),
        approvals=Approvals(count=approvals.get("count", 0), **asked),
    )


def _gate(tree: Mapping[str, Tree], heartbeat: timedelta) -> Gate:
    shares = {"minHealthy": "min_healthy", "maxFailures": "max_failures"}
    spans = {"soak": "soak", "maxReportAge": "max_report_age"}
    told: dict[str, Any] = {"max_report_age": REPORTS_THAT_COUNT * heartbeat}
    told |= {ours: _share(tree[key]) for key, ours in shares.items() if key in tree}
    told |= {ours: parse_duration(tree[key]) for key, ours in spans.items() if key in tree}
    if "minCount" in tree:
        told["min_count"] = tree["minCount"]
    return Gate(**told)


def _share(text: str) -> Fraction:
    return Fraction(int(text.removesuffix("%")), 100)


def rollout_faults(spec: Mapping[str, Tree], page: Page) -> Iterator[Fault]:
    """What is wrong with the waves of a deployment's spec beyond its schema, whose faults are told elsewhere."""
    rollout = spec.get("rollout")
    waves = rollout.get("waves") if isinstance(rollout, dict) else None
    seen: set[str] = set()
    for at, wave in enumerate(waves if isinstance(waves, list) else ()):
        if not isinstance(wave, dict) or not isinstance(wave.get("name"), str):
            continue
        name, path = wave["name"], (*_WAVES, at, "name")
        if name == REST:
            message = f"{REST!r} is the name of the last wave, which takes all nodes that no other takes"
            yield page.fault(FaultCode.WRONG_VALUE, message, path, suggestion="another name")
        if name in seen:
            yield page.fault(FaultCode.DUPLICATE_NAME, f"there are two waves {name!r}", path, suggestion="another name")
        seen.add(name)
        gate = wave.get("gate")
        if isinstance(gate, dict) and gate.get("minHealthy") == "0%":
            where = (*_WAVES, at, "gate", "minHealthy")
            message = "a wave of which nobody must be healthy shows nothing"
            yield page.fault(FaultCode.WRONG_VALUE, message, where, expected="1% to 100%")
