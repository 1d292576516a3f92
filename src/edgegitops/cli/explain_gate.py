"""The gate of a node in plain words: whose reports count, whose are missing or stale, which failure concerns it, and
which approvals by whom there are and would help. For `explain`; nothing is judged here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgegitops.cli.plain_words import FORCES, HOLDS, SHORT, span, visible
from edgegitops.cli.rollout_words import count, names, tally_tree
from edgegitops.core.model.codec import Tree

if TYPE_CHECKING:
    from edgegitops.core.overview.own_gate import GateWave, Missing, OwnGate

_LACKS = {
    "no-report": "no report of it is known here",
    "runs-another-release": "does not run it yet",
    "not-healthy": "is not healthy, or not yet",
    "soaking": "has not soaked yet",
    "report-too-old": "its last report is too old",
    "knows-more-than-this-clone": "knows a tag or root that this node does not have yet",
    "told-two-things-at-once": "told two things under one number, so nothing good of it counts",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate, and who holds each role that it asks for."""

    own: "OwnGate"
    holders: Mapping[str, tuple[str, ...]]


def lines(gate: Gate, deployment: str) -> Iterator[str]:
    """What `explain` says of it."""
    own = gate.own
    base = f"from {own.base[:SHORT]}" if own.base else "from nothing"
    policy = ", by the waves of before, which this commit replaces" if own.is_old_policy else ""
    yield f"{base} to {own.candidate[:SHORT]}: {_verdict(own)}{policy}"
    for wave in own.waves:
        yield from _wave(wave)
    for failure in own.failures:
        told = f" (report {failure.sequence})" if failure.sequence else ""
        yield visible(
            f"failure that concerns this node: {failure.node} at {failure.revision[:SHORT]}: {failure.reason}{told}"
        )
    yield from _approvals(gate, deployment)


def _verdict(own: "OwnGate") -> str:
    if own.shut is None:
        return f"open ({own.cause})" if own.cause else "open"
    words = HOLDS.get(own.shut.reason, ("", ""))[0] or own.shut.reason
    return visible(f"shut: {words} ({own.shut.reason})")


def _wave(wave: "GateWave") -> Iterator[str]:
    one = wave.tally
    whose = ", this node's own" if wave.is_own else ""
    head = f"wave {one.wave.name}{whose}, {count(one.size, 'node')}"
    if wave.is_own and not one.covered:
        yield f"{head}: only its failures would count"
        return
    if not one.covered:
        yield f"{head}: nothing changes for it, so it shows nothing"
        return
    yield (
        f"{head}: {len(one.good)} good of {one.need} needed, {len(one.failed)} failed of {one.allowed} allowed, "
        f"{len(one.covered)} covered"
    )
    if one.good:
        yield f"  these reports count: {names(sorted(one.good))}"
    yield from (f"  missing: {missing.node}: {_lack(wave, missing)}" for missing in wave.missing)
    if one.resting:
        yield f"  in maintenance, not waited for: {names(one.resting)}"


def _lack(wave: "GateWave", missing: "Missing") -> str:
    gate = wave.tally.wave.gate
    if missing.lack == "soaking" and missing.soaked_for is not None:
        return f"soaked for {span(missing.soaked_for)} of {span(gate.soak)}"
    if missing.lack == "report-too-old" and missing.age is not None:
        return f"its last report is {span(missing.age)} old, and counts for {span(gate.max_report_age)}"
    return _LACKS[missing.lack]


def _approvals(gate: Gate, deployment: str) -> Iterator[str]:
    own, shut = gate.own, gate.own.shut
    for tag in own.given:
        yield visible(
            f"approved by {tag.owner} at {tag.target[:SHORT]} ({tag.number:06}){tag.reason and ': '}{tag.reason}"
        )
    for tag, force in own.lapsed:
        who = tag.owner or tag.key[:SHORT]
        yield visible(
            f"the approval {tag.number:06} by {who} at {tag.target[:SHORT]} does not count here: {FORCES[force]}"
        )
    lacking = shut.approvals if shut else 0
    if not lacking and own.asked.count:
        yield f"approvals: {len({tag.owner for tag in own.given})} of {own.asked.count} given"
    if shut is None or not lacking:
        return
    holders = sorted({name for role in shut.roles for name in gate.holders.get(role, ())})
    current = " --policy-current" if shut.is_about_policy else ""
    yield visible(
        f"would help now: {count(lacking, 'approval')} by {' or '.join(shut.roles)} "
        f"({', '.join(holders) or 'nobody holds it'}): "
        f"edgegitops rollout approve {deployment} --wave {shut.wave}{current}"
    )


def tree(gate: Gate) -> Tree:
    """As JSON."""
    own, shut = gate.own, gate.own.shut
    return {
        "base": own.base or None,
        "candidate": own.candidate,
        "isOpen": shut is None,
        "cause": own.cause or None,
        "reason": str(shut.reason) if shut else None,
        "detail": visible(shut.detail) if shut else None,
        "isOldPolicy": own.is_old_policy,
        "waves": [_wave_tree(wave) for wave in own.waves],
        "failures": [
            {"node": one.node, "revision": one.revision, "reason": one.reason, "sequence": one.sequence}
            for one in own.failures
        ],
        "approvals": {
            "asked": own.asked.count,
            "given": [tag.payload for tag in own.given],
            "notCounting": [tag.payload for tag, _ in own.lapsed],
            "lacking": shut.approvals if shut else 0,
            "wave": (shut.wave or None) if shut else None,
            "roles": list(shut.roles) if shut else [],
            "owners": sorted({name for role in (shut.roles if shut else ()) for name in gate.holders.get(role, ())}),
            "isAboutPolicy": shut.is_about_policy if shut else False,
        },
    }


def _wave_tree(wave: "GateWave") -> Tree:
    return {
        **tally_tree(wave.tally),
        "isOwn": wave.is_own,
        "missing": [
            {
                "node": each.node,
                "why": str(each.lack),
                "soakedSeconds": each.soaked_for.total_seconds() if each.soaked_for is not None else None,
                "ageSeconds": each.age.total_seconds() if each.age is not None else None,
            }
            for each in wave.missing
        ],
    }
