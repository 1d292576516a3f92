"""`edgegitops rollout status` and `history`: where a rollout stands, and what people said about it.

Asked of a clone and of reports, with the functions that nodes ask. What a node keeps in its own journal is not known
here: windows, interlocks, holds of operators. Exit 1 where the rollout is halted, has too many failures, or was taken
back.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from edgegitops.cli.options import REPORTS
from edgegitops.cli.plain_words import FORCES, HOLDS, OF_THE_ROLLOUT, clock, span, visible
from edgegitops.cli.rollout_words import count, names, roles_for, sought_lines, sought_tree, tag_tree, tally_tree
from edgegitops.core.model.codec import Tree, to_tree
from edgegitops.core.model.control import ControlKind, ControlTag
from edgegitops.core.model.reasons import HoldReason

if TYPE_CHECKING:
    from edgegitops.cli.watching import View
    from edgegitops.core.overview.lost_tags import Sought
    from edgegitops.core.overview.waves import RolloutView, Waiting, WaveView
    from edgegitops.core.rollout.wave_gate import Shut
    from edgegitops.workbench_rollout import Base, Desk

_COLOURS = {
    "held": "yellow",
    "failed": "red",
    "may start": "green",
    "to do": "cyan",
    "wave": "bold",
    "reports": "red",
    "goes back": "green",
    "silent": "yellow",
}
_SOAKING = "soaking"
_BY_FAILURES = frozenset({"latched", "too-many-failures"})
_STICKING = frozenset({"halted", "too-many-failures", "latched", "excluded"})
"""Holds that do not end by hearing more; the others of the rollout come and go with the newest reports."""
_STOPPED = {
    "halted": "halted",
    "too-many-failures": "stopped by failures",
    "excluded": "taken back by a rollback or revocation",
}
LACKS = {
    "no-report": "reports nothing of it",
    "runs-another-release": "runs another release",
    "not-healthy": "is not healthy, or not yet",
    _SOAKING: "has not soaked yet",
    "report-too-old": "its last report is too old",
    "knows-more-than-this-clone": "knows a tag or root that this clone does not have; fetch",
    "told-two-things-at-once": "told two things under one number, so nothing good of it counts",
    "failed": "failed",
}
_PATH = click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")


@click.command(epilog="Example: edgegitops rollout status vision-qa --reports /mnt/reports --watch")
@click.argument("deployment", default="")
@_PATH
@REPORTS
@click.option("--watch", "is_watching", is_flag=True, help="Look again every 5 s, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="As JSON (schemas/output/rollout-status.schema.json).")
@click.pass_context
def status(  # noqa: PLR0913 - one parameter an option
    ctx: click.Context, deployment: str, path: Path, *, reports: Path | str | None, is_watching: bool, as_json: bool
) -> None:
    """Where the rollout of DEPLOYMENT stands, wave by wave; of every deployment that has waves where none is named.

    PATH is a clone of the fleet repository; it is read as far as it was fetched (origin's main branch, else HEAD).
    """
    if deployment and path == Path() and Path(deployment).is_dir():
        deployment, path = "", Path(deployment)
    look = _Look(deployment, path, reports, as_json=as_json)
    if is_watching:
        from edgegitops.cli.watching import watch

        watch(look.view, title=f"edgegitops rollout status {deployment}".strip(), as_lines=as_json)
    seen = look.seen()
    click.echo(look.text(seen))
    ctx.exit(1 if any(_stopped(desk, view) for desk, view in seen) else 0)


@dataclass
class _Look:
    """What is asked, and what an earlier look read of the clone."""

    deployment: str
    path: Path
    reports: Path | str | None
    as_json: bool
    base: "Base | None" = None

    def seen(self) -> "list[tuple[Desk, RolloutView]]":
        """Look now."""
        from edgegitops import workbench_rollout
        from edgegitops.core.overview.waves import view_of

        self.base = workbench_rollout.open_base(self.path, self.base)
        asked = [self.deployment] if self.deployment else workbench_rollout.with_waves(self.base)
        desks = [workbench_rollout.open_desk(self.path, name, self.reports, self.base) for name in asked]
        return [(desk, view_of(desk.situation)) for desk in desks]

    def text(self, seen: "list[tuple[Desk, RolloutView]]") -> str:
        """For people, or as JSON."""
        if self.as_json:
            return json.dumps(self._trees(seen), indent=2)
        return "\n\n".join("\n".join(_text(*one)) for one in seen) or "no deployment has waves"

    def view(self) -> "View":
        """One look for who watches."""
        from edgegitops.cli.watching import View

        seen = self.seen()
        key = json.dumps(self._trees(seen))
        lines = [key] if self.as_json else self.text(seen).split("\n")
        at = self.base.now if self.base else seen[0][0].now
        return View(at, [Text(line, style=_style(line)) for line in lines], key)

    def _trees(self, seen: "list[tuple[Desk, RolloutView]]") -> Tree:
        trees: list[Tree] = [_tree(*one) for one in seen]
        return trees[0] if self.deployment else trees


def _style(line: str) -> str:
    return next((style for word, style in _COLOURS.items() if line.lstrip().startswith(word)), "")


def view_lines(deployment: str, path: Path, reports: Path | str | None) -> list[str]:
    """The rollout as `status` shows it to people, line by line."""
    from edgegitops import workbench_rollout
    from edgegitops.core.overview.waves import view_of

    desk = workbench_rollout.open_desk(path, deployment, reports)
    return list(_text(desk, view_of(desk.situation)))


def _all(view: "RolloutView") -> Iterator["Waiting"]:
    for wave in view.waves:
        yield from wave.waiting
    yield from view.leaving


# --- for people -------------------------------------------------------------------------------------------------------


def _text(desk: "Desk", view: "RolloutView") -> Iterator[str]:
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
    yield from (f"  log: {line}" for line in _log(desk))


def _state(desk: "Desk", view: "RolloutView") -> str:
    """In one word or a few."""
    stopped = _stopped(desk, view)
    if stopped or not view.is_through:
        return stopped or "under way"
    is_well = all(lack == _SOAKING for wave in view.waves for _, lack in wave.missing)
    return "every node runs what it should" if is_well else "every node has begun it, and not all are well yet"


def _stopped(desk: "Desk", view: "RolloutView") -> str:
    """What ends it until somebody acts, if anything; a halt by a person is told first."""
    stops = {str(one.shut.reason) for one in _all(view) if one.shut}
    if desk.situation.parting:
        stops.add("excluded")
    return next((word for reason, word in _STOPPED.items() if reason in stops), "")


def _wave(desk: "Desk", wave: "WaveView", *, is_last: bool) -> Iterator[str]:
    one = wave.tally
    yield f"  wave {one.wave.name}: {count(one.size, 'node')}, {_numbers(wave, is_last=is_last)}"
    if one.failed:
        yield f"    failed: {names(sorted(one.failed))}"
    reasons: dict[str, list[str]] = {}
    for node, lack in wave.missing:
        if not (is_last and lack == _SOAKING):  # nobody waits for that
            reasons.setdefault(lack, []).append(node)
    for why, nodes in reasons.items():
        yield f"    missing: {names(nodes)}: {_lack(desk, wave, why, nodes)}"
    silent = [] if is_last else _silent(desk, wave)
    if silent:
        yield f"    silent: {names(silent)}: no report that is young enough to count"
        yield "    to do: see that they run and reach the reports; for one that is gone for good: state: maintenance in"
        yield "      the manifest of its site, and then the approval that is asked for here"
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
    yield visible(f"    held: {names(waiting.nodes)}: {words or shut.reason} ({shut.reason}): {shut.detail}")
    yield f"    to do: {_help(desk, shut) or _patience(waiting) or advice}"
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


def _log(desk: "Desk") -> Iterator[str]:
    log = desk.situation.log
    by_payload = log.by_payload
    if log.heads:
        heads = [by_payload[one] for one in log.heads]
        yield f"head{'s'[: len(heads) > 1]} {', '.join(f'{one.number:06} {one.kind} by {one.owner}' for one in heads)}"
    if len(log.heads) > 1:
        yield "forked: nothing positive in the fork counts; the next tag names all heads and heals it"
    for one in _sought(desk):
        yield from sought_lines(one, desk.situation.deployment)
    yield from (f"{ref} takes no part: {visible(why)}" for ref, why in desk.refused.items())
    if desk.refused_head:
        yield visible(desk.refused_head)


def _sought(desk: "Desk") -> "tuple[Sought, ...]":
    from edgegitops.core.overview.lost_tags import sought

    situation = desk.situation
    return sought(situation.log, situation.reading.evidence, situation.deployment)


# --- as JSON ----------------------------------------------------------------------------------------------------------


def _tree(desk: "Desk", view: "RolloutView") -> dict[str, Tree]:
    log, sought = desk.situation.log, _sought(desk)
    return {
        "deployment": desk.situation.deployment,
        "revision": view.revision,
        "isThrough": view.is_through,
        "unheard": desk.unheard or None,
        "waves": [_wave_tree(desk, wave) for wave in view.waves],
        "leaving": [_waiting_tree(desk, one) for one in view.leaving],
        "log": {
            "heads": list(log.heads),
            "isForked": len(log.heads) > 1,
            "missing": [one.payload for one in sought],
            "sought": [sought_tree(one) for one in sought],
            "refused": [{"ref": ref, "why": why} for ref, why in desk.refused.items()],
        },
    }


def _wave_tree(desk: "Desk", wave: "WaveView") -> Tree:
    return {
        **tally_tree(wave.tally),
        "missing": [{"node": node, "why": str(lack)} for node, lack in wave.missing],
        "waiting": [_waiting_tree(desk, waiting) for waiting in wave.waiting],
    }


def _waiting_tree(desk: "Desk", waiting: "Waiting") -> Tree:
    shut = waiting.shut
    needs: Tree = None
    if shut is not None and shut.approvals:
        owners = sorted({name for role in shut.roles for name in desk.holders(role)})
        needs = {
            "wave": shut.wave,
            "count": shut.approvals,
            "roles": list(shut.roles),
            "owners": list(owners),
            "isAboutPolicy": shut.is_about_policy,
        }
    return {
        "nodes": list(waiting.nodes),
        "mayStart": shut is None,
        "cause": waiting.cause or None,
        "reason": str(shut.reason) if shut else None,
        "detail": shut.detail if shut else None,
        "approval": needs,
        "opensAt": to_tree(waiting.opens_at) if waiting.opens_at else None,
    }


# --- history ----------------------------------------------------------------------------------------------------------


@click.command(epilog="Example: edgegitops rollout history vision-qa")
@click.argument("deployment")
@_PATH
@click.option("--json", "as_json", is_flag=True, help="As JSON (schemas/output/rollout-history.schema.json).")
def history(deployment: str, path: Path, *, as_json: bool) -> None:
    """All control tags of DEPLOYMENT that the clone at PATH has, and what each does now."""
    from edgegitops import workbench_rollout

    desk = workbench_rollout.open_desk(path, deployment, workbench_rollout.NOBODY)
    tags = sorted(desk.situation.log.tags, key=lambda tag: (tag.number, tag.payload))
    if as_json:
        click.echo(json.dumps({"deployment": deployment, "tags": [_tag_tree(desk, tag) for tag in tags]}, indent=2))
        return
    for tag in tags:
        click.echo("\n".join(_tag_lines(desk, tag)))
    for line in list(_log(desk)) or ["nobody has tagged this deployment"]:
        click.echo(line)


def _force(desk: "Desk", tag: ControlTag) -> str:
    from edgegitops.core.overview.waves import Force, force_of, is_lapsed

    force = force_of(desk.situation.log, tag, roles_for(desk, tag))
    return Force.LAPSED if force is Force.IN_FORCE and is_lapsed(desk.situation, tag) else force


def _tag_lines(desk: "Desk", tag: ControlTag) -> Iterator[str]:
    about = f" wave {tag.wave}" if tag.wave else ""
    owner = tag.owner or tag.key[:12]
    yield visible(f"{tag.number:06} {tag.kind}{about} by {owner} at {tag.target[:12]}: {FORCES[_force(desk, tag)]}")
    if tag.reason:
        yield visible(f"       {tag.reason}")
    if tag.kind is ControlKind.RETRY and tag.forgives:
        yield f"       forgives {', '.join(f'{one.node}@{one.sequence}' for one in tag.forgives)}"
    if tag.expires_at:
        yield f"       expires {clock(tag.expires_at)}"


def _tag_tree(desk: "Desk", tag: ControlTag) -> Tree:
    return {
        **tag_tree(tag),
        "expiresAt": to_tree(tag.expires_at) if tag.expires_at else None,
        "previous": list(tag.previous),
        "forgives": [f"{one.node}@{one.sequence}" for one in tag.forgives],
        "resumes": tag.resumes or None,
        "to": tag.to or None,
        "force": _force(desk, tag),
    }
