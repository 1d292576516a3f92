"""`edgegitops journal`: what this node did and why, from its own record, without a network and without the daemon.

`show` is for people: one line an entry, in plain words. `verify` proves the chain: 0 where it holds, 1 where not.
`export` writes JSON lines: each holds what its hash was made of (RFC 8785 of the line without `hash`, SHA-256), so that
anybody can prove it elsewhere. Both say which old entries were dropped to bound the journal. Text from outside is
shown with its control characters escaped.
"""

import json
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgegitops.cli.group import Group
from edgegitops.cli.plain_words import span
from edgegitops.core.model import events as e
from edgegitops.core.model.codec import Tree, to_tree
from edgegitops.core.model.reasons import Refusal
from edgegitops.core.model.release import Release
from edgegitops.errors import EdgegitopsError

if TYPE_CHECKING:
    from edgegitops.ports import Journal

DEFAULT_STATE = "/var/lib/edgegitops"
DEFAULT_CONFIG = "/etc/edgegitops/node.yaml"
SHORT = 12
_QUIET = (e.WorkerStarted, e.WorkerStopped)
"""What happens many times an hour and tells a person nothing."""


def _of_this_node() -> str:
    """The state directory that this node's configuration names; the usual one where that cannot be read."""
    from edgegitops import bootstrap

    with suppress(EdgegitopsError):
        return bootstrap.read_config(os.environ.get("EDGEGITOPS_CONFIG", DEFAULT_CONFIG)).state
    return DEFAULT_STATE


state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=_of_this_node,
    envvar="EDGEGITOPS_STATE",
    show_default=f"that of node.yaml, else {DEFAULT_STATE}",
    show_envvar=True,
    help="The node's state directory.",
)


@click.group(cls=Group, epilog="Example: edgegitops journal show --lines 20")
def journal() -> None:
    """Show, verify and export what this node did and why."""


@journal.command(epilog="Example: edgegitops journal show --lines 20")
@state_option
@click.option("--lines", type=click.IntRange(min=0), default=30, show_default=True, help="Newest entries; 0: all.")
@click.option("--deployment", default="", metavar="NAME", help="Only what concerns this one.")
@click.option("--all", "is_all", is_flag=True, help="Also that workers started and ended.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list of all entries, as export writes them.")
def show(state: Path, lines: int, deployment: str, *, is_all: bool, as_json: bool) -> None:
    """Show the newest entries, oldest first."""
    with _open(state) as opened:
        told = (one for one in opened.entries() if is_all or as_json or not isinstance(one.event, _QUIET))
        ours = (one for one in told if deployment in {"", getattr(one.event, "deployment", "")})
        entries = deque(ours, maxlen=lines or None)
    if as_json:
        click.echo(json.dumps([export_tree(entry) for entry in entries]))
    elif entries:
        _print_table(entries)
    elif deployment:
        click.echo(f"The journal says nothing of {deployment}.")
    else:
        click.echo("The journal is empty: this node has done nothing yet.")


@journal.command(epilog="Example: edgegitops journal verify")
@state_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def verify(ctx: click.Context, state: Path, as_json: bool) -> None:  # noqa: FBT001 - click passes by name
    """Prove that no entry was changed, put in or taken out; exit 1 where one was."""
    with _open(state) as opened:
        bad = opened.verify()
        pruned = _pruned(opened)
        newest = None if bad else next(iter(deque(opened.entries(), maxlen=1)), None)
    if as_json:
        seq, digest = (newest.seq, newest.hash) if newest else (0, "")
        click.echo(json.dumps({"holds": bad is None, "firstBad": bad, "seq": seq, "hash": digest, "pruned": pruned}))
    elif bad is not None:
        click.echo(
            f"The chain does not hold from entry {bad} on: it was changed after it was written. Keep a copy of"
            f" {state} for whoever looks into it; containers keep running."
        )
    else:
        click.echo(f"The chain holds up to entry {newest.seq}, {newest.hash}." if newest else "The journal is empty.")
        if pruned:
            click.echo(f"{_dropped(pruned)} What they came to is kept, and the chain proves it.")
    ctx.exit(0 if bad is None else 1)


@journal.command(epilog="Example: edgegitops journal export > journal.jsonl")
@state_option
@click.option("--since", type=click.IntRange(min=0), default=0, show_default=True, help="Only entries after this one.")
def export(state: Path, since: int) -> None:
    """Write all entries as JSON lines, oldest first."""
    with _open(state) as opened:
        pruned = _pruned(opened)
        if since < pruned:
            click.echo(_dropped(pruned), err=True)
        for entry in opened.entries(since):
            click.echo(json.dumps(export_tree(entry)))


def _pruned(opened: "Journal") -> int:
    """The seq of the newest entry that was dropped to bound the journal's size; 0 where none was."""
    first = next(iter(opened.entries()), None)
    return first.seq - 1 if first else 0


def _dropped(pruned: int) -> str:
    return f"Entries 1 to {pruned} were dropped, to bound the size of the journal."


def export_tree(entry: e.Entry) -> Tree:
    """An entry as JSON: `at`, `body`, `kind`, `previous` and `seq` are what its `hash` is made of."""
    kind, body = e.write_event(entry.event)
    return {
        "seq": entry.seq,
        "at": to_tree(entry.at),
        "kind": kind,
        "body": body,
        "previous": entry.previous,
        "hash": entry.hash,
    }


@contextmanager
def _open(state: Path) -> Iterator["Journal"]:
    from edgegitops import bootstrap

    with closing(bootstrap.read_journal(state)) as opened:
        yield opened


def _print_table(entries: Iterable[e.Entry]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("seq", "time (UTC)", "deployment"):
        table.add_column(name, no_wrap=True)
    table.add_column("what", overflow="fold")
    for entry in entries:
        at = entry.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        deployment = getattr(entry.event, "deployment", "")
        style = _style(entry.event)
        table.add_row(str(entry.seq), at, Text(_visible(deployment)), Text(_visible(words(entry.event)), style=style))
    console = Console()
    Console(width=console.width if console.is_terminal else 1_000).print(table)


def _style(event: e.Event) -> str:
    match event:
        case e.TipRefused() | e.SnapshotRefused() | e.AlarmRaised() | e.Latched():
            return "red"
        case e.OutcomeRecorded():
            return "" if event.result is e.Result.DONE else "yellow"
        case e.ContainerEnded() | e.HoldChanged() | e.OperatorHeld():
            return "yellow"
        case _:
            return ""


def words(event: e.Event) -> str:  # noqa: PLR0911, PLR0912 - one sentence an event is the table
    """What happened, in one plain sentence."""
    match event:
        case e.DaemonStarted():
            return f"the agent{_of(event.version)} started in boot {event.boot_id}"
        case e.DaemonStopped():
            return "the agent stopped cleanly"
        case e.WorkerStarted():
            return f"a worker started{', to revert only' if event.is_revert_only else ''}"
        case e.WorkerStopped():
            return "the worker ended cleanly"
        case e.FloorMoved(is_put_back=True):
            return f"the floor is put back to {event.floor.commit[:SHORT]} from its copy; this journal knew less"
        case e.FloorMoved():
            who = f", signed by {event.owner or event.signer}" if event.owner or event.signer else ""
            return f"believed {_count(event.commits, 'commit')} up to {event.floor.commit[:SHORT]}{who}"
        case e.TipRefused():
            return f"refused {event.tip[:SHORT]} at commit {event.commit[:SHORT]}: {_why(event.reason, event.detail)}"
        case e.SnapshotAccepted():
            return f"manifests of {event.revision[:SHORT]} are valid and in force"
        case e.SnapshotRefused():
            first = f", first: {event.faults[0].file}: {event.faults[0].message}" if event.faults else ""
            return f"manifests of {event.revision[:SHORT]} have {_count(event.count, 'fault')}{first}"
        case e.TransitionBegan():
            old, new = _release(event.transition.old), _release(event.transition.new)
            return f"sets out from {old} to {new}"
        case e.PhaseMoved():
            return f"{event.old} → {event.new}{_because(event.reason, event.detail)}"
        case e.ReleaseAdopted():
            return f"{_release(event.release)} was found as it should be after a lost journal; it serves"
        case e.ReleaseRestated():
            return f"the same release is now called {_release(event.release)}; nothing moves"
        case e.IntentRecorded():
            return f"about to {event.step}: {event.subject}"
        case e.OutcomeRecorded():
            return f"{event.step} {event.result}: {event.subject}{_because(event.reason, event.detail)}"
        case e.ContainerEnded():
            code = "" if event.exit_code is None else f" with exit code {event.exit_code}"
            return f"{event.container} ended{code}"
        case e.JobStarted():
            due = f" that was due at {event.due_at:%Y-%m-%d %H:%M} UTC" if event.due_at else ""
            return f"try {event.tries} of job {event.job}{due} begins in {event.container}"
        case e.JobEnded():
            return f"job {event.job} {event.result}{_because('', event.detail)}"
        case e.ScheduleMarked():
            left_out = f"the run of {event.due_at:%Y-%m-%d %H:%M} UTC is left out: {event.detail}"
            return f"job {event.job}: {left_out if event.detail else 'its schedule counts from now on'}"
        case e.HealthChanged():
            return f"{event.container} is {event.health}{_because('', event.detail)}"
        case e.SoakMarked():
            return f"healthy for {span(event.soaked_for)} ({event.digest[:SHORT]})"
        case e.Latched():
            if event.reason == Refusal.REGRESSED:
                return f"{event.digest[:SHORT]} failed later, and runs on: {_why(event.reason, event.detail)}"
            verdict = "refused" if event.is_refusal else "failed"
            return f"{event.digest[:SHORT]} {verdict} here and stays off: {_why(event.reason, event.detail)}"
        case e.Unlatched():
            return f"{event.digest[:SHORT]} may be tried again{_because(event.reason, '')}"
        case e.HoldChanged():
            until = f", until {event.until:%Y-%m-%d %H:%M:%S}" if event.until else ""
            return f"held: {_why(event.reason, event.detail)}{until}" if event.reason else "nothing holds it any more"
        case e.AlarmRaised():
            return f"alarm {event.code} for {event.subject}{_because('', event.detail)}"
        case e.AlarmCleared():
            return f"alarm {event.code} for {event.subject} is over"
        case e.OperatorHeld():
            what = f"{event.deployment or 'everything'}{', healing too' if event.stops_healing else ''}"
            until = f" until {event.until:%Y-%m-%d %H:%M:%S}" if event.until else ""
            return f"an operator holds {what}{until}{_because('', event.reason)}"
        case e.Reanchored():
            return f"an operator told this node to begin anew at {event.commit[:12]}{_because('', event.reason)}"
        case e.OperatorReleased():
            return f"an operator released {event.deployment or 'everything'}"
        case e.RetryAsked():
            return "an operator asked for a look now"
        case e.ReportMade():
            return f"report {event.sequence} was made"
        case e.WordTakenOver():
            failed = _count(sum(map(len, event.failures.values())), "failure")
            return f"goes on after report {event.sequence} of this node, with {failed} that it told"
        case e.ControlTagKept():
            return f"the control tag {event.ref.removeprefix('refs/tags/')} was believed and is kept for ever"
        case e.JournalPruned():
            return f"entries up to {event.upto} were dropped; what they mean is kept"


def _release(release: Release | None) -> str:
    return f"{release.short}{_of(release.version)}" if release else "nothing"


def _of(version: str) -> str:
    return f" {version}" if version else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _why(reason: str, detail: str) -> str:
    return f"{reason} ({detail})" if reason and detail else reason or detail


def _because(reason: str, detail: str) -> str:
    why = _why(reason, detail)
    return f": {why}" if why else ""


def _visible(text: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
