"""`edgegitops lab`: a fleet of virtual nodes on this machine. What a lab is, and what it leaves behind (nothing), is
the law of edgegitops.lab; here are words, tables and exit codes only.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from edgegitops.cli.group import Group
from edgegitops.errors import InvalidConfigError
from edgegitops.lab import lab as labs
from edgegitops.lab.lab import Lab
from edgegitops.lab.node import VirtualNode

_WIDE = 200

_DIRECTORY = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    default=labs.DIRECTORY,
    envvar="EDGEGITOPS_LAB",
    show_default=True,
    show_envvar=True,
    help="The lab's directory; several labs may run at once.",
)


@click.group(cls=Group, epilog="Example: edgegitops lab up --nodes 2 && edgegitops lab status && edgegitops lab down")
def lab() -> None:
    """A fleet of virtual nodes on this machine: real Podman, a registry, a Git server. Needs root."""


@lab.command(epilog="Example: edgegitops lab up --fleet fleet-repo-example --node goteborg-1/gw-line")
@click.option("--nodes", type=click.IntRange(min=1), default=1, show_default=True, help="How many nodes.")
@click.option("--node", "seats", multiple=True, metavar="SITE/NODE", help="A node of the fleet, instead of --nodes.")
@click.option(
    "--fleet",
    "source",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder to make the signed fleet repository of. Default: a site `lab` with the nodes and nothing to run.",
)
@click.option("--agent/--no-agent", default=True, show_default=True, help="Run the agent on each node.")
@_DIRECTORY
def up(nodes: int, seats: tuple[str, ...], source: Path | None, *, agent: bool, directory: Path) -> None:
    """Start a lab. It runs on until `lab down`; interrupted, it leaves nothing behind."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    places = _places(nodes, seats)
    if source is not None:
        _require_known(source, [f"{site}/{node}" for _, site, node in places])
    _say(f"starting {len(places)} node{'s'[: len(places) > 1]} in {directory}")

    def equip(fresh: Lab) -> None:
        fresh.found_fleet(source, speakers={(site, node): name for name, site, node in places})
        for name, site, node in places:
            fresh.enrol(name, site=site, node=node, reports=True)
            if agent:
                fresh.nodes[name].start_agent()

    started = Lab.start([name for name, _, _ in places], directory=directory, equip=equip)
    _say(f"fleet     {started.git_url}")
    _say(f"clone     {started.fleet.work}, with the keys of every role in {started.fleet.home / 'keys'}")
    _say(f"registry  {started.registry.address}, to the nodes also {started.registry.name}")
    for name, site, node in places:
        _say(f"node      {name}  {started.nodes[name].address}  is {site}/{node}")
    _say("next      edgegitops lab status; edgegitops lab down")


@lab.command(epilog="Example: edgegitops lab status --json")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@_DIRECTORY
def status(*, as_json: bool, directory: Path) -> None:
    """Show the lab: power, wire, Podman, agent and containers of each node."""
    running = Lab.open(directory)
    rows = [_row(node) for node in running.nodes.values()]
    if as_json:
        servers = {"fleet": running.git_url, "registry": running.registry.address}
        click.echo(json.dumps({"directory": str(running.directory), **servers, "nodes": rows}))
        return
    table = Table("node", "address", "power", "wire", "podman", "agent", "containers", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*[_cell(value) for value in row.values()])
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)
    _say(f"fleet {running.git_url}  registry {running.registry.address}")


@lab.command("power-cut", epilog="Example: edgegitops lab power-cut node-1")
@click.argument("node")
@_DIRECTORY
def power_cut(node: str, directory: Path) -> None:
    """Cut a node's power: all of its processes are gone at once; disks stay."""
    _node(directory, node).power_cut()
    _say(f"{node} is off; edgegitops lab boot {node} switches it on again")


@lab.command(epilog="Example: edgegitops lab boot node-1")
@click.argument("node")
@click.option("--agent/--no-agent", default=True, show_default=True, help="Run the agent.")
@_DIRECTORY
def boot(node: str, *, agent: bool, directory: Path) -> None:
    """Give a node power: Podman starts, then the agent."""
    _node(directory, node).boot(agent=agent)
    _say(f"{node} is on")


@lab.command(epilog="Example: edgegitops lab unplug node-1")
@click.argument("node")
@_DIRECTORY
def unplug(node: str, directory: Path) -> None:
    """Pull a node's network cable: Git and the registry are out of reach, containers go on."""
    _node(directory, node).unplug()
    _say(f"{node} is unplugged; edgegitops lab plug {node} puts the cable back")


@lab.command(epilog="Example: edgegitops lab plug node-1")
@click.argument("node")
@_DIRECTORY
def plug(node: str, directory: Path) -> None:
    """Put a node's network cable back."""
    _node(directory, node).plug()
    _say(f"{node} is plugged")


@lab.command(
    "exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="Example: edgegitops lab exec node-1 podman ps",
)
@_DIRECTORY
@click.argument("node")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(node: str, argv: tuple[str, ...], directory: Path) -> None:
    """Run a command inside a node and end with its exit code."""
    inside = _node(directory, node)
    done = subprocess.run(  # noqa: S603 - the operator's own command, without a shell
        inside.inside(argv), env={**inside.environment(), "TERM": os.environ.get("TERM", "dumb")}, check=False
    )
    sys.exit(done.returncode if done.returncode >= 0 else 128 - done.returncode)


@lab.command(epilog="Example: edgegitops lab down")
@_DIRECTORY
def down(directory: Path) -> None:
    """End the lab, whole or broken, and remove everything of it."""
    _say(f"{directory} is removed" if labs.end(directory) else f"no lab in {directory}")


def _places(nodes: int, seats: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """(name in the lab, site, node) of each node; two nodes of one name are told apart by their site."""
    if not seats:
        return [(f"node-{at}", labs.SITE, f"node-{at}") for at in range(1, nodes + 1)]
    pairs = [seat.partition("/")[::2] for seat in seats]
    for site, node in pairs:
        if not site or not node:
            raise click.UsageError("--node wants SITE/NODE, for example goteborg-1/gw-line")
    names = [node for _, node in pairs]
    return [(node if names.count(node) == 1 else f"{site}.{node}", site, node) for site, node in pairs]


def _require_known(source: Path, seats: list[str]) -> None:
    """Refuse nodes that the fleet does not have: nothing would ever run there."""
    from edgegitops.workbench import view_directory

    known = [seat.name for seat in view_directory(source).seats()]
    unknown = [seat for seat in seats if seat not in known]
    if unknown:
        said = "; name some with --node" if unknown[0].startswith(f"{labs.SITE}/") else ""
        raise InvalidConfigError(f"{source} has no node {', '.join(unknown)}{said}; it has {', '.join(known)}")


def _node(directory: Path, name: str) -> VirtualNode:
    """A node by its name in the lab, or as SITE/NODE."""
    running = Lab.open(directory)
    site, slash, node = name.partition("/")
    known = next((one for one in (name, f"{site}.{node}", node) if one in running.nodes and (slash or one == name)), "")
    if not known:
        raise InvalidConfigError(f"no node {name!r} in this lab; it has {', '.join(running.nodes)}")
    return running.nodes[known]


def _row(node: VirtualNode) -> dict[str, Any]:
    answers = node.is_on() and node.engine.is_answering()
    return {
        "node": node.name,
        "address": node.address,
        "power": node.is_on(),
        "wire": node.is_plugged(),
        "podman": answers,
        "agent": node.is_agent_running(),
        "containers": node.engine.containers() if answers else {},
    }


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        return "\n".join(f"{name} {state}" for name, state in sorted(value.items())) or "-"
    return str(value)


def _say(line: str) -> None:
    click.echo(line)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
