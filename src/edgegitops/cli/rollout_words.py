"""What a control tag would do, in words and as JSON, before and after it is made."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgegitops.cli.plain_words import HOLDS, clock, span, visible
from edgegitops.core.model.codec import Tree, to_tree
from edgegitops.core.model.control import ControlKind, ControlTag

if TYPE_CHECKING:
    from edgegitops.core.overview.effect import Touched
    from edgegitops.core.overview.lost_tags import Sought
    from edgegitops.core.plan.compare import Change
    from edgegitops.core.rollout.count import Tally
    from edgegitops.workbench_rollout import Desk

_MOST_NAMED = 6


@dataclass(frozen=True, slots=True)
class Told:
    """A tag that is to be made, and what it would do: `effect` in one clause, groups of nodes with their change."""

    desk: "Desk"
    draft: ControlTag
    groups: "tuple[tuple[Touched, Change | None], ...]"
    effect: str
    notes: tuple[str, ...]


def names(nodes: Sequence[str]) -> str:
    """The first few names and how many more there are."""
    if len(nodes) <= _MOST_NAMED:
        return ", ".join(nodes)
    return f"{', '.join(nodes[:_MOST_NAMED])} and {len(nodes) - _MOST_NAMED} more"


def count(number: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def sought_lines(one: "Sought", deployment: str) -> Iterator[str]:
    """A tag that nobody here has: who names it, and what to do."""
    after = ", ".join(f"{tag.number:06} {tag.kind}" for tag in one.continued_by)
    named = f", continued by {after}" if after else ""
    who = f"{names(one.nodes)} told of it" if one.nodes else "any that fetched it"
    yield f"a tag is missing here, and nothing positive after it counts: payload {one.payload}{named}"
    yield (
        f"  to do: git fetch --tags; if the remote lost it: edgegitops rollout restore-log {deployment}, in a clone "
        f"that has it, or with --on-node on a node that has it ({who})"
    )


def before(told: Told) -> list[str]:
    """What a person reads before signing."""
    from edgegitops.core.trust.control_message import message_of

    draft = told.draft
    lines = [f"{draft.kind} of {draft.deployment} at {draft.target[:12]}: {told.effect}", ""]
    for group, change in told.groups:
        lines += [*_group(group, change), *_windows(told, group)]
    if not told.groups:
        lines.append("No node is known on which something would change now.")
    else:
        lines.append("Holds, windows and interlocks are asked at each node before anything is stopped there.")
    lines += [f"note: {visible(one)}" for one in told.notes]
    message = message_of(draft, told.desk.repository).rstrip("\n")
    return [*lines, "", "The tag says:", *(f"  {visible(line)}".rstrip() for line in message.split("\n")), ""]


def _group(group: "Touched", change: "Change | None") -> Iterator[str]:
    yield f"wave {group.wave}, {count(len(group.nodes), 'node')}: {names(group.nodes)}"
    if change is None:
        yield "  nothing changes, or this clone cannot tell what"
        return
    old, new = (version or "nothing" for version in change.versions)
    yield f"  {old} -> {new}" if old != new else f"  {new}, in another form"
    yield from (f"  container {one.name}: {one.fate}" for one in change.containers)
    if change.downtime.at_most:
        typical, most = change.downtime.typical, change.downtime.at_most
        yield f"  expected downtime: {span(typical)} typical, {span(most)} at most"
    if group.guessed:
        yield f"  guessed, because they report nothing: {names(group.guessed)}"


def _windows(told: Told, group: "Touched") -> Iterator[str]:
    """Whether the plant's calendar lets it begin now, and else when."""
    shut = told.desk.shut_windows(group)
    if shut is None:
        yield "  windows: none; it may begin at any time"
        return
    if told.draft.ignores_windows:
        yield "  windows: not asked, where the node's own policy allows that"
        return
    if not shut:
        yield "  windows: open now"
    for one in shut:
        until = f" until {clock(one.until)}" if one.until else ""
        yield visible(f"  windows: shut{until} on {names(one.nodes)}: {one.detail}")


def notes(desk: "Desk", draft: ControlTag, groups: "Sequence[Touched]") -> list[str]:
    """What a person should know before signing."""
    from edgegitops.core.overview.effect import EXCLUDING, excluded, held_then

    found = list(_of_log(desk, draft))
    if draft.kind in EXCLUDING:
        barred = excluded(desk.situation, draft.target)
        found.append(f"bars what {draft.target[:12]} gave to {count(len(barred), 'node')}: {names(barred)}")
        if any(one.new is None for one in groups):
            found.append("a node that kept no good release goes on with what it runs, and raises an alarm")
    if draft.kind is ControlKind.HOTFIX:
        others = {tag.owner for tag in desk.situation.log.hotfix([draft.target])}
        mine = "this would be the second" if others else "one owner alone opens nothing"
        found.append(f"two owners have to ask for it: {mine}; the other makes it with the same command after a fetch")
    roles = roles_for(desk, draft)
    for shut, nodes in held_then(desk.situation, draft, roles).items():
        found.append(f"held all the same: {names(nodes)}: {HOLDS[shut.reason][0]} ({shut.reason}): {shut.detail}")
    if roles:
        holders = sorted({name for role in roles for name in desk.holders(role)})
        found.append(f"who may: {', '.join(sorted(roles))} ({', '.join(holders) or 'nobody now'})")
    return found


def _of_log(desk: "Desk", draft: ControlTag) -> Iterator[str]:
    log = desk.situation.log
    if desk.refused_head:
        yield desk.refused_head
    if log.missing:
        lost = ", ".join(sorted(one[:12] for one in log.missing))
        yield (
            f"the log has a hole: {lost} is missing here, nothing positive counts after it, and this tag continues "
            "nothing that does; fetch the tags; if the "
            f"remote lost it: edgegitops rollout restore-log {desk.situation.deployment}"
        )
    if len(log.heads) > len(draft.previous):
        several = f"the log is forked; this tag names {len(draft.previous)} of {len(log.heads)} heads"
        yield f"{several}, as many as one may, and counts for nothing yet: say it again until one names all"
    elif len(log.heads) > 1:
        yield f"the log is forked; this tag names all {len(log.heads)} heads and heals it"
    for ref, why in desk.refused.items():
        yield f"{ref} takes no part: {why}"


def standing_lines(desk: "Desk") -> Iterator[str]:
    """Each word that stops or bars something until another one ends it."""
    log, name = desk.situation.log, desk.situation.deployment
    for tag in (*log.halts, *log.exclusions):
        end = "resume" if tag.kind is ControlKind.HALT else "retry"
        head = f"{tag.kind} {tag.number:06} by {tag.owner or tag.key[:12]} at {tag.target[:12]} stands"
        yield visible(f"{head}: {tag.reason}; edgegitops rollout {end} {name} --reason … ends it")


def tag_tree(tag: ControlTag) -> dict[str, Tree]:
    """A control tag as JSON."""
    return {
        "number": tag.number,
        "kind": str(tag.kind),
        "payload": tag.payload,
        "target": tag.target,
        "owner": tag.owner,
        "wave": tag.wave or None,
        "reason": tag.reason,
    }


def tally_tree(one: "Tally") -> dict[str, Tree]:
    """The numbers of a wave as JSON."""
    return {
        "name": one.wave.name,
        "size": one.size,
        "covered": list(one.covered),
        "good": sorted(one.good),
        "needed": one.need if one.covered else 0,
        "failed": sorted(one.failed),
        "allowed": one.allowed,
        "maintenance": list(one.resting),
    }


def roles_for(desk: "Desk", draft: ControlTag) -> frozenset[str]:
    """The roles of which a signer needs one; none where any known key may."""
    from edgegitops.core.overview.waves import roles_of

    wave = desk.situation.waves.get(draft.wave) if draft.kind is ControlKind.APPROVE else None
    return frozenset(wave.approvals.roles) if wave else roles_of(desk.situation.edition.policy, draft)


def after(desk: "Desk", made: ControlTag) -> list[str]:
    """What is said of a tag that was made: who signed, then what is wrong with that."""
    from edgegitops.workbench_rollout import name_of

    lines = [f"Signed: {name_of(made)} by {visible(made.owner or made.key[:12])}; nodes will believe it."]
    roles = roles_for(desk, made)
    if roles and not roles & made.roles_now:
        held = ", ".join(sorted(made.roles_now)) or "no role now"
        lines.append(
            f"warning: this key holds {held}, and {made.kind} needs {' or '.join(sorted(roles))}: "
            "nodes keep the tag, and it has no effect"
        )
    if made.kind is ControlKind.HOTFIX:
        log = desk.situation.log
        owners = {tag.owner for tag in log.tags if tag.kind is made.kind and tag.target == made.target}
        if not owners - {made.owner}:
            until = f" before {clock(made.expires_at)}" if made.expires_at else ""
            lines.append(f"A second owner has to make the other tag{until}, after fetching this one.")
    return lines


def json_of(
    told: Told, made: ControlTag | None = None, *, warnings: Sequence[str] = (), is_pushed: bool = False
) -> str:
    """The answer for scripts."""
    from edgegitops.core.trust.control_message import message_of
    from edgegitops.workbench_rollout import name_of

    draft = told.draft
    tree: dict[str, Tree] = {
        "tag": name_of(draft),
        "kind": str(draft.kind),
        "deployment": draft.deployment,
        "target": draft.target,
        "wave": draft.wave or None,
        "message": message_of(draft, told.desk.repository),
        "effect": told.effect,
        "groups": [{**_group_tree(group, change), **_windows_tree(told, group)} for group, change in told.groups],
        "notes": list(told.notes),
        "isMade": made is not None,
        "payload": made.payload if made else None,
        "owner": made.owner if made else None,
        "rolesNow": sorted(made.roles_now) if made else [],
        "warnings": list(warnings),
        "isPushed": is_pushed,
    }
    return json.dumps(tree, indent=2)


def _windows_tree(told: Told, group: "Touched") -> dict[str, Tree]:
    shut = told.desk.shut_windows(group)
    rows: list[Tree] = [
        {"nodes": list(one.nodes), "detail": one.detail, "until": to_tree(one.until) if one.until else None}
        for one in shut or ()
    ]
    return {"hasWindows": shut is not None, "shutWindows": rows}


def _group_tree(group: "Touched", change: "Change | None") -> dict[str, Tree]:
    return {
        "wave": group.wave,
        "nodes": list(group.nodes),
        "guessed": list(group.guessed),
        "versions": {"old": change.versions[0] or None, "new": change.versions[1] or None} if change else None,
        "containers": [{"name": one.name, "fate": str(one.fate)} for one in change.containers] if change else [],
        "downtime": to_tree(change.downtime) if change else None,
    }


def sought_tree(one: "Sought") -> Tree:
    """A tag that nobody here has."""
    return {
        "payload": one.payload,
        "continuedBy": [tag.payload for tag in one.continued_by],
        "nodes": list(one.nodes),
    }
