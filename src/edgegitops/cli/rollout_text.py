"""Law: where a rollout stands is told once: each wave with its numbers, what holds its nodes, and what would help now.

1. What is said twice is read by nobody: advice that stands above is not repeated, and a node that failed is named with
   what failed, not among those that are missing.
2. A word of a person that still acts is told for as long as it does, also where nothing waits for it.
3. A control tag that no node tells of is told: it may never have left the clone.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from edgegitops.cli.plain_words import HOLDS, OF_THE_ROLLOUT, REFUSALS, clock, span, visible
from edgegitops.cli.rollout_words import count, names, sought_lines, standing_lines
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.report import ReportedState

if TYPE_CHECKING:
    from edgegitops.core.model.report import Report
    from edgegitops.core.overview.lost_tags import Sought
    from edgegitops.core.overview.situation import Situation
    from edgegitops.core.overview.waves import RolloutView, Waiting, WaveView
    from edgegitops.core.rollout.wave_gate import Shut
    from edgegitops.workbench_rollout import Desk

_SOAKING = "soaking"
_CHANGING = "changing"
_BY_FAILURES = frozenset({"latched", "too-many-failures"})
_STICKING = frozenset({"halted", "too-many-failures", "latched", "excluded"})
"""Holds that do not end by hearing more; the others of the rollout come and go with the newest reports."""
_SELF_SAID = frozenset({"approval", "too-little-evidence", "latched", "halted"})
"""Holds whose detail is the whole sentence."""
_STOPPED = {
    "halted": "halted",
    "too-many-failures": "stopped by failures",
    "excluded": "taken back by a rollback or revocation",
}
_TO_DO = "    to do: "
LACKS = {
    "no-report": "reports nothing of it",
    "runs-another-release": "does not run it yet",
    "not-healthy": "is not healthy",
    _CHANGING: "changes to it, and is not proven yet",
    _SOAKING: "has not soaked yet",
    "report-too-old": "its last report is too old",
    "knows-more-than-this-clone": "knows a tag or root that this clone does not have; fetch",
    "told-two-things-at-once": "told two things under one number, so nothing good of it counts",
    "failed": "failed",
}


def _all(view: "RolloutView") -> Iterator["Waiting"]:
    for wave in view.waves:
        yield from wave.waiting
    yield from view.leaving


def lines(desk: "Desk", view: "RolloutView") -> Iterator[str]:
    """The rollout as people read it; a line may be longer than a screen is wide."""
    said = set()
    for line in _lines(desk, view):
        if line not in said or not line.startswith(_TO_DO):
            yield line
        said.add(line)


def _lines(desk: "Desk", view: "RolloutView") -> Iterator[str]:
    situation = desk.situation
    yield f"{situation.deployment} at {view.revision[:12]}: {_state(desk, view)}"
    if desk.unheard:
        yield visible(f"  reports could not be had, so nothing counts as healthy: {desk.unheard}")
    waves = [wave for wave in view.waves if wave.tally.size]
    for wave in waves:
        yield from _wave(desk, wave, is_last=wave is waves[-1])
    for one in view.leaving:
        yield f"  to be removed from {count(len(one.nodes), 'node')}: {names(one.nodes)}"
        yield from _held(desk, one)
    yield from (f"  {line}" for line in standing_lines(desk))
    yield from (f"  log: {line}" for line in (*log_lines(desk), *_unheard_of(desk)))


def _state(desk: "Desk", view: "RolloutView") -> str:
    """In one word or a few."""
    why = stopped(desk, view)
    if why or not view.is_through:
        return why or "under way"
    is_well = all(lack == _SOAKING for wave in view.waves for _, lack in wave.missing)
    return "every node runs what it should" if is_well else "every node has begun it, and not all are well yet"


def stopped(desk: "Desk", view: "RolloutView") -> str:
    """What ends it until somebody acts, if anything; a halt by a person is told first."""
    stops = {str(one.shut.reason) for one in _all(view) if one.shut}
    if desk.situation.parting:
        stops.add("excluded")
    return next((word for reason, word in _STOPPED.items() if reason in stops), "")


def _wave(desk: "Desk", wave: "WaveView", *, is_last: bool) -> Iterator[str]:
    one = wave.tally
    yield f"  wave {one.wave.name}: {count(one.size, 'node')}, {_numbers(wave, is_last=is_last)}"
    for why, nodes in sorted(_failures(desk, one.failed).items()):
        yield f"    failed: {names(nodes)}: {why}"
    reasons: dict[str, list[str]] = {}
    for node, lack in wave.missing:
        is_told = node in one.failed or (is_last and lack == _SOAKING)  # for the last soak nobody waits
        if not is_told:
            reasons.setdefault(_CHANGING if _is_changing(desk, node, lack) else lack, []).append(node)
    for why, nodes in reasons.items():
        yield f"    missing: {names(nodes)}: {_lack(desk, wave, why, nodes)}"
    silent = [] if is_last or desk.unheard else _silent(desk, wave)
    if silent:
        yield f"    silent: {names(silent)}: no report that is young enough to count"
        yield (
            f"{_TO_DO}see that they run and reach the reports; for one that is gone for good: state: maintenance in "
            "the manifest of its site, and then the approval that is asked for here"
        )
    if one.resting:
        yield f"    in maintenance: {names(one.resting)}"
    for waiting in wave.waiting:
        yield from _held(desk, waiting)


def _silent(desk: "Desk", wave: "WaveView") -> list[str]:
    """Who is waited for, and has told nothing for longer than the gate lets it."""
    from edgegitops.core.rollout.evidence import is_fresh

    reading, oldest = desk.situation.reading, wave.tally.wave.gate.max_report_age
    said = {node: reading.evidence.latest.get(node) for node, _ in wave.missing}
    return [node for node, one in said.items() if one is None or not is_fresh(one, oldest, reading.standpoint)]


def _failures(desk: "Desk", failed: Iterable[str]) -> dict[str, list[str]]:
    """Nodes by what failed there, as they reported it."""
    found: dict[str, list[str]] = {}
    for node in sorted(failed):
        told, wanted = desk.situation.told(node), desk.situation.edition.digest(node)
        of_it = sorted(told.failures if told else (), key=lambda one: (one.digest == wanted, one.at))
        reason = of_it[-1].reason if of_it else ""
        words = f"{REFUSALS[reason]} ({reason})" if reason in REFUSALS else reason or "its report is gone"
        found.setdefault(visible(words), []).append(node)
    return found


def _is_changing(desk: "Desk", node: str, lack: str) -> bool:
    """Whether a node that is not healthy only has not come so far yet."""
    told = desk.situation.told(node)
    return lack == "not-healthy" and told is not None and told.state is ReportedState.CHANGING


def _lack(desk: "Desk", wave: "WaveView", lack: str, nodes: list[str]) -> str:
    told = [desk.situation.told(node) for node in nodes]
    soaked = [one.soaked_for for one in told if one is not None]
    if lack == _SOAKING and soaked:
        return f"soaked for {span(min(soaked))} of {span(wave.tally.wave.gate.soak)}"
    return LACKS[lack]


def _numbers(wave: "WaveView", *, is_last: bool) -> str:
    one = wave.tally
    if not one.covered:
        return "nothing changes for it" if not wave.waiting else "none of them counts as evidence"
    good = "" if is_last else f", {len(one.good)} of {one.need} needed good"
    return f"{len(one.covered)} covered{good}, {len(one.failed)} failed of {one.allowed} allowed"


def _held(desk: "Desk", waiting: "Waiting") -> Iterator[str]:
    if waiting.shut is None:
        does = "goes back now" if waiting.cause == "rollback" else "may start now"
        yield f"    {does} ({waiting.cause}): {names(waiting.nodes)}"
        yield from _held_there(desk, waiting.nodes)
        yield from _contradicted(desk, waiting.nodes)
        return
    shut = waiting.shut
    words, advice = HOLDS.get(shut.reason, ("", ""))
    why = f"{words or shut.reason} ({shut.reason}): {shut.detail}"
    why = f"{shut.detail} ({shut.reason})" if shut.reason in _SELF_SAID and shut.detail else why
    yield visible(f"    held: {names(waiting.nodes)}: {why}")
    yield f"{_TO_DO}{_help(desk, shut) or _patience(waiting) or advice}"
    if shut.reason not in _STICKING:
        yield from _contradicted(desk, waiting.nodes)


def _held_there(desk: "Desk", nodes: Sequence[str]) -> Iterator[str]:
    """What nodes report to be held by that no clone knows: operators, windows, interlocks and the like."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        told = desk.situation.told(node)
        for reason in told.holds if told else ():
            if reason not in OF_THE_ROLLOUT:
                found.setdefault(reason, []).append(node)
    for reason, held in sorted(found.items()):
        yield visible(f"      held there: {names(held)}: {HOLDS.get(reason, ('it is held',))[0]} ({reason})")


def _contradicted(desk: "Desk", nodes: Sequence[str]) -> Iterator[str]:
    """What holds nodes that know as much as this clone, and is not to be seen here: a report that this store has no
    more, for instance.
    """
    situation = desk.situation
    found: dict[str, list[str]] = {}
    for node in nodes:
        report, told = situation.reading.evidence.latest.get(node), situation.told(node)
        if report is None or told is None or report.floor != desk.head:
            continue
        if set(report.heads.get(situation.deployment, ())) == set(situation.log.heads):
            for reason in _STICKING & set(told.holds):
                found.setdefault(reason, []).append(node)
    name = situation.deployment
    for reason, held in sorted(found.items()):
        yield visible(f"      held there all the same: {names(held)}: {HOLDS[HoldReason(reason)][0]} ({reason})")
        yield (
            f"      to do: what they know of is not in these reports; edgegitops explain {name} there tells it, and "
            f"edgegitops rollout retry {name} --node SITE/NODE@REPORT --reason … forgives it"
        )


def _help(desk: "Desk", shut: "Shut") -> str:
    """Which word by whom would help now; empty where none would."""
    if not shut.approvals:
        return _forgiveness(desk, shut)
    who = sorted({name for role in shut.roles for name in desk.holders(role)})
    current = " --policy-current" if shut.is_about_policy else ""
    asked = f"{count(shut.approvals, 'owner')} with the role {' or '.join(shut.roles)}"
    return (
        f"{asked} ({', '.join(who) or 'nobody holds it now'}): "
        f"edgegitops rollout approve {desk.situation.deployment} --wave {shut.wave}{current} --reason …"
    )


def _patience(waiting: "Waiting") -> str:
    """Of a gate that waits for an earlier wave."""
    shut = waiting.shut
    if shut is None or shut.reason != HoldReason.GATE or shut.is_about_policy:
        return ""
    if waiting.opens_at is not None:
        return f"nothing; {shut.wave} has soaked at {clock(waiting.opens_at)} if it stays well"
    return f"nothing while {shut.wave} is under way; above is who is missing there"


def _forgiveness(desk: "Desk", shut: "Shut") -> str:
    """The retry that ends what failures hold."""
    if shut.reason not in _BY_FAILURES:
        return ""
    who = ", ".join(desk.holders("release-manager")) or "nobody holds it now"
    retry = f"edgegitops rollout retry {desk.situation.deployment} --reason …"
    return f"release a fix; or, where the release was not the cause, a release-manager ({who}) forgives it: {retry}"


def log_lines(desk: "Desk") -> Iterator[str]:
    """The heads of the log of control tags, and what is wrong with it."""
    log = desk.situation.log
    by_payload = log.by_payload
    if log.heads:
        heads = [by_payload[one] for one in log.heads]
        yield f"head{'s'[: len(heads) > 1]} {', '.join(f'{one.number:06} {one.kind} by {one.owner}' for one in heads)}"
    if len(log.heads) > 1:
        yield "forked: nothing positive in the fork counts; the next tag names all heads and heals it"
    for one in sought_of(desk):
        yield from sought_lines(one, desk.situation.deployment)
    yield from (f"{ref} takes no part: {visible(why)}" for ref, why in desk.refused.items())
    if desk.refused_head:
        yield visible(desk.refused_head)


def _unheard_of(desk: "Desk") -> Iterator[str]:
    """The newest words that no node tells of: not pushed, or not fetched there."""
    from edgegitops.workbench_rollout import name_of

    situation, log = desk.situation, desk.situation.log
    told = {one for report in situation.reading.evidence.latest.values() for one in _heads(report, situation)}
    if not situation.reading.evidence.latest or not told <= log.by_payload.keys():
        return
    for head in log.heads:
        if head not in told:
            name = name_of(log.by_payload[head])
            yield f"no node tells of {name} yet; if it was not pushed: git push origin refs/tags/{name}"


def _heads(report: "Report", situation: "Situation") -> tuple[str, ...]:
    return tuple(report.heads.get(situation.deployment, ()))


def sought_of(desk: "Desk") -> "tuple[Sought, ...]":
    """Tags that others know and this clone does not have."""
    from edgegitops.core.overview.lost_tags import sought

    situation = desk.situation
    return sought(situation.log, situation.reading.evidence, situation.deployment)
