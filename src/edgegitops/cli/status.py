"""`edgegitops status`: what runs on this node, at which release, what is held and why; also with the agent dead.

Exit code 0 says that the question was answered; with `--check` 1 says that something is not as wanted: the agent does
not run, its state directory cannot be written, Podman does not answer, the newest commit is refused or invalid, a hold
or an alarm stands, or a deployment is not healthy.
"""

import json
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgegitops.cli import node_view as view
from edgegitops.cli.node_view import Look
from edgegitops.cli.options import CONFIG
from edgegitops.cli.plain_words import HOLDS, SHORT, clock, folded, job_words, span, terminal_width, until, visible, why
from edgegitops.core.model.codec import Tree, to_tree
from edgegitops.core.model.ledger import DeploymentRecord, Ledger
from edgegitops.core.model.node_config import NodeConfig
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase

COLOURS = {
    Phase.HEALTHY: "green",
    Phase.PROVING: "cyan",
    Phase.REVERTED: "yellow",
    Phase.REFUSED: "yellow",
    Phase.REGRESSED: "red",
    Phase.STUCK: "bold red",
    "ready": "green",
    "unready": "yellow",
    "not-live": "red",
}


@click.command(epilog="Example: edgegitops status --check")
@CONFIG
@click.option("--check", is_flag=True, help="Exit with 1 where something is not as wanted.")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON (schemas/output/status.schema.json).")
@click.pass_context
def status(ctx: click.Context, file: str, *, check: bool, as_json: bool) -> None:
    """What runs on this node, at which release, and what is held."""
    from edgegitops import bootstrap, bootstrap_node

    config = bootstrap.read_config(file)
    look = Look(
        now=bootstrap_node.now(),
        ledger=bootstrap_node.remember(config),
        observed=bootstrap_node.observe(config),
        is_agent_running=bootstrap_node.is_agent_running(config),
        state_problem=bootstrap_node.state_problem(config),
    )
    shown = describe(look, config)
    if as_json:
        click.echo(json.dumps(shown, indent=2))
    else:
        _print(shown, look.now)
    ctx.exit(1 if check and not shown["isAsWanted"] else 0)


def describe(look: Look, config: NodeConfig) -> dict[str, Tree]:
    """The answer as a JSON tree."""
    ledger = look.ledger
    records = [record for _, record in sorted(ledger.deployments.items()) if view.is_shown(record)]
    deployments = [_deployment(record, look) for record in records]
    holds = view.standing_holds(ledger, look.now)
    refused = {"commit": ledger.refused_tip, "reason": ledger.refused_reason} if ledger.refused_tip else None
    is_able = look.is_agent_running and look.observed is not None and not look.state_problem
    is_fine = is_able and not refused and not ledger.invalid_revision
    return {
        "site": config.site,
        "node": config.node,
        "isAsWanted": bool(
            is_fine and not holds and not ledger.alarms and all(one["isAsWanted"] for one in deployments)
        ),
        "daemon": "running" if look.is_agent_running else "not running",
        "engine": "answering" if look.observed else "not answering",
        "stateProblem": look.state_problem or None,
        "floor": ledger.floor.commit if ledger.floor else None,
        "revision": ledger.snapshot or None,
        "signedBy": _signer(ledger),
        "refusedTip": refused,
        "invalidRevision": ledger.invalid_revision or None,
        "deployments": deployments,
        "alarms": [to_tree(alarm) for _, alarm in sorted(ledger.alarms.items())],
        "holds": [view.hold_tree(hold) for hold in holds],
    }


def _signer(ledger: Ledger) -> str | None:
    signed = ledger.signed.get(ledger.snapshot)
    return (signed.owner or signed.key or None) if signed else None


def _deployment(record: DeploymentRecord, look: Look) -> dict[str, Tree]:
    coming = record.transition.new if record.transition else None
    rows = view.containers(record, look)
    return {
        "name": record.name,
        "isAsWanted": view.is_as_wanted(record, rows),
        "phase": str(record.phase),
        "since": to_tree(record.phase_at),
        "release": view.release_tree(record.serving, look.ledger),
        "next": view.release_tree(coming, look.ledger),
        "isRemoving": record.transition is not None and coming is None,
        "soakedSeconds": to_tree(record.soaked_for),
        "containers": rows,
        "jobs": view.jobs(record),
        "waiting": view.waiting_tree(record, look.now),
        "knownGood": [view.release_tree(release, look.ledger) for release in record.lkg],
        "latches": [to_tree(latch) for _, latch in sorted(record.latches.items())],
    }


# --- for people -------------------------------------------------------------------------------------------------------


def _print(shown: dict[str, Any], now: datetime) -> None:
    console = Console(highlight=False, width=terminal_width())

    def say(text: str, style: str = "") -> None:
        for part in folded(visible(text), console.width):
            console.print(Text(part, style=style), soft_wrap=False)

    by = f", signed by {shown['signedBy']}" if shown["signedBy"] else ""
    revision = f"revision {shown['revision'][:SHORT]}{by}" if shown["revision"] else "no revision believed yet"
    say(f"{shown['site']}/{shown['node']}  agent {shown['daemon']}  {revision}", "bold")
    if shown["daemon"] != "running":
        say("The agent does not run: nothing changes here until it does (systemctl start edgegitops).", "yellow")
    if shown["engine"] != "answering":
        say("Podman does not answer: what containers do is not known (edgegitops node check).", "yellow")
    if shown["stateProblem"]:
        say(f"{shown['stateProblem']}: nothing new happens here until it can be written; what runs goes on.", "red")
    if shown["refusedTip"]:
        refused = shown["refusedTip"]
        say(f"Commit {refused['commit'][:SHORT]} is refused, what runs stays: {why(refused['reason'])}", "yellow")
    if shown["invalidRevision"]:
        say(f"The manifests of {shown['invalidRevision'][:SHORT]} have faults; those before stay in force.", "yellow")
    for hold in shown["holds"]:
        say(_hold_line(hold, now), "yellow")
    if shown["deployments"]:
        console.print()
        console.print(_table(shown["deployments"], now))
    elif shown["revision"]:
        say("Nothing is deployed here.")
    else:
        say("Nothing runs here before a revision is believed; where that lasts, edgegitops node check says why.")
    _print_waiting(console, shown["deployments"])
    if shown["alarms"]:
        console.print()
    for alarm in shown["alarms"]:
        since = span(now - datetime.fromisoformat(alarm["since"]))
        say(f"alarm {alarm['code']} ({alarm['subject']}) for {since}: {alarm['detail']}", "red")


def _hold_line(hold: dict[str, Any], now: datetime) -> str:
    what = hold["deployment"] or "everything"
    healing = ", healing too," if hold["stopsHealing"] else ""
    end = until(datetime.fromisoformat(hold["until"]), now) if hold["until"] else "without an end"
    since = span(now - datetime.fromisoformat(hold["since"]))
    return f"An operator has held {what}{healing} for {since}, {end}: {hold['reason']}"


def _table(deployments: list[dict[str, Any]], now: datetime) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("deployment", "state", "for"):
        table.add_column(title, no_wrap=True)
    table.add_column("release, health", overflow="fold")
    for one in deployments:
        style = COLOURS.get(one["phase"], "")
        table.add_row(one["name"], Text(one["phase"], style), _for(one["since"], now), Text(_releases(one)))
        for row in one["containers"]:
            state = "unknown" if row["state"] is None else row["state"]
            health = Text(visible(_health(row)), COLOURS.get(row["health"], ""))
            word = view.which(row, one["containers"])
            name = f"  {row['container']}{f' ({word})' if word else ''}"
            table.add_row(name, state, _for(row["since"], now), health)
        for job in one["jobs"]:
            table.add_row(f"  {job['job']}", "job", "", Text(job_words(job, now), _job_style(job)))
    return table


def _job_style(job: dict[str, Any]) -> str:
    return "yellow" if job["last"] and job["last"]["result"] in {"failed", "timed-out", "interrupted"} else ""


def _for(since: str | None, now: datetime) -> str:
    return span(now - datetime.fromisoformat(since)) if since else ""


def _releases(one: dict[str, Any]) -> str:
    now, coming = _release(one["release"]), _release(one["next"])
    if one["isRemoving"]:
        return f"{now}, is being removed"
    if not coming:
        return now
    return f"{now} → {coming}" if now else f"→ {coming}"


def _release(release: dict[str, Any] | None) -> str:
    if release is None:
        return ""
    return f"{release['version']} ({release['name']})" if release["version"] else str(release["name"])


def _health(row: dict[str, Any]) -> str:
    if row["state"] == "exited":
        rests = ", as it may" if row["isResting"] else ""
        return f"ended with exit code {row['exitCode']}{rests}"
    times = "" if not row["ends"] else f", ended {row['ends']} time{'s'[: row['ends'] > 1]} in 30 min"
    detail = f": {row['healthDetail']}" if row["healthDetail"] and row["health"] != "ready" else ""
    health = "" if row["health"] == "unknown" else f"{'' if row['state'] else 'was '}{row['health']}{detail}"
    return f"{health}{times}".removeprefix(", ")


def _print_waiting(console: Console, deployments: list[dict[str, Any]]) -> None:
    """Why something waits; an operator's hold was told above."""
    waiting = [(one["name"], one["waiting"]) for one in deployments if one["waiting"]]
    told = [(name, wait) for name, wait in waiting if wait["reason"] != HoldReason.OPERATOR]
    if told:
        console.print()
    for name, wait in told:
        end = f", {until_words}" if (until_words := _again(wait["until"])) else ""
        since = f" since {clock(datetime.fromisoformat(wait['since']))}" if wait["since"] else ""
        for part in folded(f"{name} waits{since}{end}: {why(wait['reason'], wait['detail'])}", console.width):
            console.print(Text(part, "yellow"))
        if advice := HOLDS.get(wait["reason"], ("", ""))[1]:
            console.print(*(Text(part) for part in folded(f"  to do: {advice}", console.width)), sep="\n")


def _again(at: str | None) -> str:
    return f"next look {clock(datetime.fromisoformat(at))}" if at else ""
