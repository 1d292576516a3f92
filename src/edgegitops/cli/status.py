"""`edgegitops status`: what runs on this node, at which release, what is held and why; also with the daemon dead."""

import json
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table

from edgegitops.cli.agent import CONFIG
from edgegitops.core.model.codec import Tree, to_tree
from edgegitops.core.model.ledger import DeploymentRecord, Health, Ledger
from edgegitops.core.model.release import Phase

COLOURS = {
    Phase.HEALTHY: "green",
    Phase.PROVING: "cyan",
    Phase.REVERTED: "yellow",
    Phase.REFUSED: "yellow",
    Phase.REGRESSED: "red",
    Phase.STUCK: "red bold",
}


@click.command(epilog="Example: edgegitops status --json")
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON (schemas/output/status.schema.json).")
def status(file: str, *, as_json: bool) -> None:
    """What runs on this node, at which release, and what is held."""
    from edgegitops import bootstrap

    config = bootstrap.read_config(file)
    ledger = bootstrap.read_ledger(config)
    is_running = bootstrap.is_daemon_running(config)
    shown = describe(ledger, site=config.site, node=config.node, is_running=is_running)
    if as_json:
        click.echo(json.dumps(shown, indent=2))
    else:
        _print(shown, Console())


def describe(ledger: Ledger, *, site: str, node: str, is_running: bool) -> dict[str, Tree]:
    """The answer as a JSON tree."""
    return {
        "site": site,
        "node": node,
        "daemon": "running" if is_running else "not running",
        "floor": ledger.floor.commit if ledger.floor else None,
        "revision": ledger.snapshot or None,
        "refusedTip": {"commit": ledger.refused_tip, "reason": ledger.refused_reason} if ledger.refused_tip else None,
        "deployments": [_deployment(record) for _, record in sorted(ledger.deployments.items()) if _is_shown(record)],
        "alarms": [to_tree(alarm) for _, alarm in sorted(ledger.alarms.items())],
        "holds": [to_tree(hold) for _, hold in sorted(ledger.holds.items())],
    }


def _is_shown(record: DeploymentRecord) -> bool:
    return record.phase is not Phase.ABSENT or bool(record.hold_reason) or bool(record.latches)


def _deployment(record: DeploymentRecord) -> dict[str, Tree]:
    serving, transition = record.serving, record.transition
    coming = transition.new if transition else None
    ready = sum(1 for one in record.containers.values() if one.health is Health.READY)
    return {
        "name": record.name,
        "phase": record.phase,
        "since": to_tree(record.phase_at),
        "release": serving.short if serving else None,
        "version": serving.version if serving else None,
        "revision": serving.revision if serving else None,
        "next": coming.short if coming else None,
        "nextVersion": coming.version if coming else None,
        "ready": ready,
        "soakedSeconds": to_tree(record.soaked_for),
        "hold": {"reason": record.hold_reason, "detail": record.hold_detail} if record.hold_reason else None,
        "latches": [to_tree(latch) for _, latch in sorted(record.latches.items())],
    }


def _print(shown: dict[str, Tree], console: Console) -> None:
    revision = (shown["revision"] or "none yet")[:12]
    console.print(f"[bold]{shown['site']}/{shown['node']}[/]  daemon {shown['daemon']}  revision {revision}")
    if shown["refusedTip"]:
        refused = shown["refusedTip"]
        console.print(f"[yellow]newest commit {refused['commit'][:12]} is not believed: {refused['reason']}[/]")
    table = Table(box=None, pad_edge=False)
    for title in ("deployment", "phase", "since", "release", "next", "hold"):
        table.add_column(title)
    for one in shown["deployments"]:
        colour = COLOURS.get(one["phase"], "default")
        hold = f"{one['hold']['reason']}: {one['hold']['detail']}" if one["hold"] else ""
        table.add_row(
            one["name"],
            f"[{colour}]{one['phase']}[/]",
            _clock(one["since"]),
            _release(one["release"], one["version"]),
            _release(one["next"], one["nextVersion"]),
            hold,
        )
    console.print(table if shown["deployments"] else "nothing is deployed here")
    for alarm in shown["alarms"]:
        console.print(f"[red]alarm[/] {alarm['code']}: {alarm['detail']} (since {_clock(alarm['since'])})")


def _clock(at: str | None) -> str:
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else ""


def _release(short: str | None, version: str | None) -> str:
    return f"{short} ({version})" if short and version else short or ""
