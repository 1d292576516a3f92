"""`edgegitops explain DEPLOYMENT`: why is this running here, and why not yet? One screen, in plain words.

In order: what runs and whose word it is; what is wanted; why it is not so yet, and what a person can do; what was good
before; what happened last. All of it comes from this node: journal, mirror and engine, without a network.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from edgegitops.cli import explain_gate
from edgegitops.cli import node_view as view
from edgegitops.cli.explain_gate import Gate
from edgegitops.cli.node_view import Look
from edgegitops.cli.options import CONFIG
from edgegitops.cli.plain_words import (
    FORCES,
    HOLDS,
    SHORT,
    clock,
    folded,
    job_words,
    release_words,
    span,
    terminal_width,
    until,
    visible,
    why,
)
from edgegitops.core.model import events as e
from edgegitops.core.model import naming
from edgegitops.core.model.codec import Tree, to_tree
from edgegitops.core.model.facts import Desired
from edgegitops.core.model.ledger import DeploymentRecord
from edgegitops.core.model.reasons import Alarm, HoldReason, Refusal
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.view import CONTROL_TAGS

if TYPE_CHECKING:
    from edgegitops.core.model.control import ControlTag
    from edgegitops.core.overview.waves import Force
    from edgegitops.ports import Journal

LAST = 5
_ENDED = frozenset({Refusal.ENDED_WHILE_PROVING, Refusal.DEADLINE_MISSED, Refusal.PROBE_FAILED})
"""Failures of which the programs' own words say the most."""
INDENT = 12
_WINDOWS = (500, 4_000, 1_000_000)

# What a phase means, for somebody who does not know the life cycle.
PHASES = {
    Phase.ABSENT: "nothing of it is on this node",
    Phase.PENDING: "it waits for its turn",
    Phase.PREPARING: "images are being downloaded and containers made; what runs is not touched",
    Phase.READY: "everything is prepared; it waits to be allowed to switch",
    Phase.SWITCHING: "the old containers are being stopped and the new ones started",
    Phase.PROVING: "the new release runs and must prove itself",
    Phase.HEALTHY: "healthy",
    Phase.REVERTING: "the new release failed; the one before is being brought back",
    Phase.REVERTED: "the new release failed and was undone; the one before runs again",
    Phase.STUCK: "a release failed and could not be undone; a person must look",
    Phase.REFUSED: "the new release could not be prepared; what ran runs on",
    Phase.SUPERSEDED: "the change was replaced by a newer one before it began",
    Phase.CANCELLED: "the change was called off before it began",
    Phase.REGRESSED: "it was healthy and is not any more",
    Phase.REMOVING: "it is being removed",
}


@dataclass(frozen=True, slots=True)
class _Case:
    """One deployment, with all that is known of it."""

    look: Look
    record: DeploymentRecord
    desired: Desired | None
    last: tuple[Tree, ...]
    said: "tuple[tuple[ControlTag, Force], ...]" = ()
    gate: Gate | None = None


@click.command(epilog="Example: edgegitops explain vision-qa")
@click.argument("deployment")
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON (schemas/output/explain.schema.json).")
@click.pass_context
def explain(ctx: click.Context, deployment: str, file: str, *, as_json: bool) -> None:
    """Why DEPLOYMENT runs as it does on this node, and why what is wanted is not so yet; exit 1 if it is not known."""
    from edgegitops import bootstrap, bootstrap_node

    config = bootstrap.read_config(file)
    ledger = bootstrap_node.remember(config)
    desired = bootstrap_node.wanted(config, ledger)
    known = {*ledger.deployments, *(desired.releases if desired else ()), *_refused_names(desired)}
    if deployment not in known:
        near = get_close_matches(deployment, known, n=1)
        there = f"there are: {', '.join(sorted(known))}" if known else "there are none"
        click.echo(f"No deployment {deployment} is known here{f'; did you mean {near[0]}?' if near else f'; {there}.'}")
        ctx.exit(1)
    look = Look(bootstrap_node.now(), ledger, bootstrap_node.observe(config), bootstrap_node.is_agent_running(config))
    record = ledger.deployments.get(deployment) or DeploymentRecord(deployment)
    story = _last_story(bootstrap_node.history(config), deployment, ledger.seq)
    said = bootstrap_node.said_of(config, ledger, desired, deployment)
    gate = bootstrap_node.gate_of(config, ledger, desired, record)
    case = _Case(look, record, desired, story, said, Gate(*gate) if gate else None)
    told = describe(case, site=config.site, node=config.node)
    click.echo(json.dumps(told, indent=2) if as_json else "\n".join(_lines(told, case)))


def _refused_names(desired: Desired | None) -> frozenset[str]:
    return frozenset(desired.refused.by_deployment) if desired else frozenset()


# --- what is known ----------------------------------------------------------------------------------------------------


def describe(case: _Case, *, site: str, node: str) -> dict[str, Tree]:
    """The answer as a JSON tree."""
    record, look, desired = case.record, case.look, case.desired
    ledger = look.ledger
    target = desired.releases.get(record.name) if desired else None
    rows = view.containers(record, look)
    refusals = desired.refused.by_deployment.get(record.name, ()) if desired else ()
    return {
        "site": site,
        "node": node,
        "name": record.name,
        "phase": str(record.phase),
        "since": to_tree(record.phase_at),
        "release": view.release_tree(record.serving, ledger),
        "next": view.release_tree(record.transition.new if record.transition else None, ledger),
        "containers": rows,
        "jobs": view.jobs(record),
        "isWantedKnown": desired is not None,
        "isEnrolled": desired.is_enrolled if desired else None,
        "wanted": view.release_tree(target, ledger),
        "notAdmitted": [visible(f"{fault.file}: {fault.message}") for fault in refusals],
        "isAsWanted": view.is_as_wanted(record, rows) and _is_target(case),
        "reasons": _reasons(case),
        "gate": explain_gate.tree(case.gate) if case.gate else None,
        "knownGood": [view.release_tree(release, ledger) for release in record.lkg],
        "copies": [*_copied(record), *_failed(case)],
        "said": [_said(tag, force) for tag, force in case.said[-LAST:]],
        "last": list(case.last),
    }


def _said(tag: "ControlTag", force: "Force") -> Tree:
    """A control tag that this node keeps, and what it does now."""
    return {
        "number": tag.number,
        "kind": str(tag.kind),
        "by": visible(tag.owner or tag.key[:SHORT]),
        "target": tag.target,
        "wave": tag.wave or None,
        "reason": visible(tag.reason),
        "force": str(force),
    }


def _copied(record: DeploymentRecord) -> list[str]:
    """Volumes that were copied before the transition that goes on."""
    return sorted(record.transition.snapshots) if record.transition is not None else []


def _failed(case: _Case) -> list[str]:
    """Volumes that keep what a failed release left."""
    volumes = case.look.observed.volumes if case.look.observed is not None else {}
    of = {name: labels for name, labels in volumes.items() if labels.get(naming.LABEL_FAILED)}
    return sorted(name for name, labels in of.items() if labels.get(naming.LABEL_DEPLOYMENT) == case.record.name)


def _is_target(case: _Case) -> bool:
    if case.desired is None or not case.desired.is_enrolled:
        return False
    target, serving = case.desired.releases.get(case.record.name), case.record.serving
    return (target.digest if target else "") == (serving.digest if serving else "")


def _reasons(case: _Case) -> list[Tree]:
    """Every reason why it is not as wanted, or may not become so, the most telling first."""
    record, look = case.record, case.look
    ledger = look.ledger
    found: list[Tree] = []
    holds = view.standing_holds(ledger, look.now, record.name)
    for hold in holds:
        scope = "this node" if not hold.deployment else record.name
        healing = "; healing is stopped too" if hold.stops_healing else ""
        advice = f"edgegitops unhold{f' {hold.deployment}' if hold.deployment else ''}, or wait until it ends"
        detail = f"an operator holds {scope}: {hold.reason}{healing}"
        found.append(_reason("operator", detail, advice, since=hold.since, until=hold.until))
    target = case.desired.releases.get(record.name) if case.desired else None
    latch = record.latches.get(target.digest) if target else None
    if latch is not None and latch.reason == Refusal.REGRESSED and _is_target(case):
        detail = f"{release_words(target)} counts as failed here and runs on: {why(latch.reason, latch.detail)}"
        advice = f"release a fix; where the cause was elsewhere: edgegitops rollout retry {record.name}"
        found.append(_reason(Refusal.REGRESSED, detail, advice, since=latch.at))
    elif latch is not None:
        word = "cannot be taken by this node" if latch.is_refusal else "failed on this node and is not started again"
        advice = f"release a fix, or raise metadata.attempt in deployments/{record.name}.yaml to try the same again"
        if latch.reason in _ENDED:
            advice += f"; what it wrote last: edgegitops logs {record.name}/CONTAINER --previous"
        detail = f"{release_words(target)} {word}: {why(latch.reason, latch.detail)}"
        found.append(_reason("refused-here" if latch.is_refusal else "latched", detail, advice, since=latch.at))
    found += _behind(case, target)
    told = {"latched", "refused-here"} if latch else set()
    told |= {"operator"} if holds else set()
    if record.hold_reason and record.hold_reason not in told:
        advice = HOLDS.get(record.hold_reason, ("", ""))[1]
        detail = why(record.hold_reason, record.hold_detail)
        end = view.waits_until(record, look.now)
        found.append(_reason(record.hold_reason, detail, advice, since=record.hold_since, until=end))
    found += _of_the_node(case)
    tags = f"{CONTROL_TAGS}{record.name}/"
    for alarm in ledger.alarms.values():
        if alarm.code == Alarm.CONTROL_TAG_MOVED and alarm.subject.startswith(tags):
            advice = f"edgegitops rollout restore-log {record.name} --on-node shows it again"
            found.append(_reason(alarm.code, f"alarm: {alarm.code}: {alarm.detail}", advice, since=alarm.since))
    codes = {f"{alarm.code}: {alarm.detail}": alarm for alarm in ledger.alarms.values() if alarm.subject == record.name}
    for text, alarm in codes.items():
        if not (latch and alarm.code == Alarm.RELEASE_FAILED):  # the latch has told it
            found.append(_reason(alarm.code, f"alarm: {text}", "", since=alarm.since))
    return found


_HAS_AN_END = frozenset({HoldReason.OPERATOR, HoldReason.WINDOW})
_BEGUN = frozenset({Phase.SWITCHING, Phase.PROVING, Phase.REVERTING})


def _behind(case: _Case, target: Release | None) -> Iterator[Tree]:
    """Another release that waits because one has begun: it goes to its end first."""
    transition = case.record.transition
    new = transition.new if transition is not None and transition.phase in _BEGUN else None
    if new is None or transition is None or target is None or target.digest == new.digest:
        return
    left = max(new.policy.soak - case.record.soaked_for, timedelta())
    until = f", {span(left)} more of being well" if transition.phase is Phase.PROVING else ""
    words = f"{release_words(new)} has begun and goes to its end first{until}"
    yield _reason("begun", words, "", since=transition.phase_at)


def _of_the_node(case: _Case) -> Iterator[Tree]:
    """What keeps every deployment of this node as it is."""
    ledger, look = case.look.ledger, case.look
    if not look.is_agent_running:
        yield _reason("agent-stopped", "the agent does not run on this node", "systemctl start edgegitops")
    if look.observed is None:
        yield _reason("engine-unavailable", "Podman does not answer", "edgegitops node check says more")
    if ledger.refused_tip:
        alarms = ledger.alarms.values()
        detail = next((one.detail for one in alarms if one.code in {"revision-refused", "history-diverged"}), "")
        detail = detail.removeprefix(f"{ledger.refused_reason}: ")
        text = f"commit {ledger.refused_tip[:SHORT]} is newer and is not believed: {why(ledger.refused_reason, detail)}"
        yield _reason(ledger.refused_reason, text, "have it signed by who may; a newer commit cannot skip it")
    if ledger.invalid_revision:
        detail = next((one.detail for one in ledger.alarms.values() if one.code == "revision-invalid"), "")
        text = f"commit {ledger.invalid_revision[:SHORT]} is newer and has faults: {detail}"
        yield _reason("revision-invalid", text, "edgegitops validate in a clone shows all of them")
    fetch = ledger.alarms.get("fetch-failed fleet")
    if fetch is not None:
        advice = "edgegitops node check; what runs is kept meanwhile"
        yield _reason("fetch-failed", f"the repository cannot be read: {fetch.detail}", advice, since=fetch.since)
    if case.desired is not None and not case.desired.is_enrolled:
        yield _reason("unenrolled", HOLDS["unenrolled"][0], HOLDS["unenrolled"][1])


def _reason(
    code: str, text: str, advice: str, *, since: datetime | None = None, until: datetime | None = None
) -> dict[str, Tree]:
    return {
        "code": code,
        "text": visible(text),
        "toDo": advice,
        "since": to_tree(since) if since else None,
        "until": to_tree(until) if until else None,
    }


def _last_story(journal: "Journal | None", deployment: str, seq: int) -> tuple[Tree, ...]:
    """The last transition of the deployment, a line a move: read backwards in growing windows."""
    if journal is None:
        return ()
    story: list[Tree] = []
    for window in _WINDOWS:
        story = _story(journal.entries(max(0, seq - window)), deployment)
        if (story and story[0]["isBegin"]) or window >= seq:
            break
    return tuple({"at": one["at"], "text": one["text"]} for one in story)


def _story(entries: Iterator[e.Entry], deployment: str) -> list[Tree]:
    story: list[Tree] = []
    for entry in entries:
        event = entry.event
        if getattr(event, "deployment", None) != deployment:
            continue
        if isinstance(event, e.TransitionBegan):
            move = event.transition
            new = release_words(move.new) if move.new else "nothing (removal)"
            story = [_told(entry, f"set out from {release_words(move.old)} to {new}", is_begin=True)]
        elif isinstance(event, e.PhaseMoved):
            because = f": {why(event.reason, event.detail)}" if event.reason or event.detail else ""
            story.append(_told(entry, f"{event.new}{because}"))
        elif isinstance(event, e.ContainerEnded):
            code = "" if event.exit_code is None else f" with exit code {event.exit_code}"
            story.append(_told(entry, visible(f"container {event.container} ended{code}")))
        elif isinstance(event, e.JobEnded) and story:
            because = f": {event.detail}" if event.detail else ""
            story.append(_told(entry, visible(f"job {event.job} {event.result}{because}")))
    return story


def _told(entry: e.Entry, text: str, *, is_begin: bool = False) -> Tree:
    return {"at": to_tree(entry.at), "text": text, "isBegin": is_begin}


# --- for people -------------------------------------------------------------------------------------------------------


def _lines(told: dict[str, Any], case: _Case) -> list[str]:
    now, record = case.look.now, case.record
    phase = Phase(told["phase"])
    lines = [f"{told['name']} on {told['site']}/{told['node']}", ""]
    runs = _release_line(told["release"]) if told["release"] else ["nothing of it"]
    since = f" for {span(now - datetime.fromisoformat(told['since']))}" if told["since"] else ""
    lines += _row("runs", *runs)
    lines += _row("state", f"{phase}{since}{'' if phase is Phase.HEALTHY else f': {PHASES.get(phase, phase)}'}")
    if phase is Phase.PROVING:
        policy = case.record.transition.new.policy if case.record.transition and case.record.transition.new else None
        soaked = f", ready without a break for {span(case.record.soaked_for)}"
        lines += _row("", f"{soaked.removeprefix(', ')}{f' of {span(policy.soak)}' if policy else ''}")
    lines += _row("containers", *(_container_line(row, now, _which(row, told)) for row in told["containers"]))
    lines += _row("jobs", *(f"{one['job']}: {job_words(one, now)}" for one in told["jobs"]))
    lines += _row("wanted", *_wanted(told))
    for number, reason in enumerate(told["reasons"]):
        label = "note" if phase is Phase.HEALTHY and _is_target(case) else "why not"
        lines += _row("" if number else label, *_reason_lines(reason, now))
    lines += _row("gate", *(explain_gate.lines(case.gate, record.name) if case.gate else ()))
    if told["knownGood"]:
        lines += _row("known good", *(_short(one) for one in told["knownGood"]))
    lines += _row("volumes", *(f"{one} was copied before this update" for one in _copied(case.record)))
    kept = "keeps what the failed release left, until another release is healthy"
    lines += _row("" if _copied(case.record) else "volumes", *(f"{one} {kept}" for one in _failed(case)))
    lines += _row("last", *_last_lines(told["last"]))
    lines += _row("people said", *(_said_line(one) for one in told["said"]))
    width = terminal_width()
    return [part.rstrip() for line in lines for part in folded(line, width, INDENT)]


def _said_line(said: dict[str, Any]) -> str:
    about = f" wave {said['wave']}" if said["wave"] else ""
    reason = f": {said['reason']}" if said["reason"] else ""
    head = f"{said['number']:06} {said['kind']}{about} by {said['by']} at {said['target'][:SHORT]}"
    return f"{head}{reason} ({FORCES[said['force']]})"


def _row(label: str, *texts: str) -> list[str]:
    return [f"{label if number == 0 else '':<{INDENT}}{text}" for number, text in enumerate(texts)]


def _short(release: dict[str, Any]) -> str:
    return f"{release['version']} ({release['name']})" if release["version"] else str(release["name"])


def _release_line(release: dict[str, Any]) -> list[str]:
    signer = f", signed by {release['signedBy']}" if release["signedBy"] else ", its signer is not remembered"
    at = f", believed {clock(datetime.fromisoformat(release['believedAt']))}" if release["believedAt"] else ""
    return [_short(release), f"from commit {release['revision'][:SHORT]}{signer}{at}"]


def _which(row: dict[str, Any], told: dict[str, Any]) -> str:
    """Of two containers of one name, which is which; empty where there is one."""
    word = view.which(row, told["containers"])
    release = told["release"] if word == "old" else told["next"]
    return f" ({word}{f', {_short(release)}' if release else ''})" if word else ""


def _container_line(row: dict[str, Any], now: datetime, which: str = "") -> str:
    state = row["state"] or "not known"
    since = f" for {span(now - datetime.fromisoformat(row['since']))}" if row["since"] else ""
    code = f" with exit code {row['exitCode']}" if row["state"] == "exited" else ""
    rests = ", as it may" if row["isResting"] else ""
    is_told = row["health"] != "unknown" and row["state"] in {"running", None}
    health = f", {'' if row['state'] else 'was '}{row['health']}" if is_told else ""
    detail = f" ({row['healthDetail']})" if row["healthDetail"] and row["health"] != "ready" else ""
    ends = f", ended {row['ends']} time{'s'[: row['ends'] > 1]} in 30 min" if row["ends"] else ""
    return visible(f"{row['container']}{which}: {state}{code}{since}{health}{detail}{rests}{ends}")


def _wanted(told: dict[str, Any]) -> list[str]:
    wanted = told["wanted"]
    if not told["isWantedKnown"]:
        return ["not known: no valid revision is on this node yet"]
    if told["notAdmitted"]:
        return ["it, but this node's own policy does not allow it:", *told["notAdmitted"]]
    if wanted is None:
        return ["nothing of it" if told["isEnrolled"] else "not known: the manifests do not name this node"]
    if told["release"] and told["release"]["digest"] == wanted["digest"]:
        return ["just that"]
    return _release_line(wanted)


def _reason_lines(reason: dict[str, Any], now: datetime) -> list[str]:
    since = f" (since {clock(datetime.fromisoformat(reason['since']))})" if reason["since"] else ""
    end = f", {_end(reason, now)}" if reason["until"] else ""
    return [f"{reason['text']}{end}{since}", *([f"to do: {reason['toDo']}"] if reason["toDo"] else [])]


def _end(reason: dict[str, Any], now: datetime) -> str:
    """When it ends, where that is certain; all else is only looked at again then."""
    at = datetime.fromisoformat(reason["until"])
    return until(at, now) if reason["code"] in _HAS_AN_END else f"looked at again {clock(at)}"


def _last_lines(story: list[dict[str, Any]]) -> list[str]:
    """The beginning and the newest moves; what is between them is counted."""
    shown = [f"{clock(datetime.fromisoformat(one['at']))}  {one['text']}" for one in story]
    if not shown:
        return ["nothing happened to it yet"]
    left_out = len(shown) - LAST
    if left_out <= 0:
        return shown
    return [shown[0], f"({left_out} more: edgegitops journal show)", *shown[-(LAST - 1) :]]
