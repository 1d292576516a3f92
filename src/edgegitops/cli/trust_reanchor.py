"""`edgegitops trust reanchor`: at a node, begin anew after the branch was rewritten. The journal keeps who said why.

It asks nothing of the network and works with the agent dead: the order is an entry of the journal. Where the commit is
in the local mirror it is judged at once; else it is refused, as it may be a slip, unless `--force` says to begin there
when a fetch brings it.
"""

import re
from contextlib import suppress

import click

from edgegitops.cli.options import CONFIG
from edgegitops.cli.plain_words import visible
from edgegitops.core.model.events import Reanchored
from edgegitops.core.model.reasons import Doubt
from edgegitops.errors import OutsideError

_COMMIT = re.compile(r"[0-9a-f]{40}")


@click.command(
    epilog="Example: edgegitops trust reanchor 1a2b3c4d5e6f708192a3b4c5d6e7f80912345678 --reason 'restored from backup'"
)
@click.argument("commit")
@CONFIG
@click.option("--reason", required=True, help="Why; it is kept in the journal.")
@click.option("--force", "is_forced", is_flag=True, help="Also at a commit that this node does not have (yet).")
@click.pass_context
def reanchor(ctx: click.Context, commit: str, file: str, *, reason: str, is_forced: bool) -> None:
    """Let this node begin anew at COMMIT, after somebody rewrote the branch on purpose.

    From there on every commit is judged as ever; COMMIT itself and what lies before it are not. The trust root stays
    the pinned one, and no older root than the one in force is taken. What runs goes on meanwhile.
    """
    from edgegitops import bootstrap, bootstrap_node

    if not _COMMIT.fullmatch(commit):
        raise click.BadParameter("give the whole id of the commit, 40 digits", param_hint="COMMIT")
    if not reason.strip():
        raise click.BadParameter("say why", param_hint="--reason")
    config = bootstrap.read_config(file)
    ledger = bootstrap_node.remember(config)
    before = ledger.floor.commit if ledger.floor else ""
    if commit == (ledger.anchor or before):
        click.echo(f"This node stands at {commit} already; nothing was changed.")
        ctx.exit(1)
    refused = bootstrap_node.doubt_anchor(config, ledger, commit)
    if refused and refused.doubt is not Doubt.CHECKPOINT_MISSING:
        click.echo(f"{refused.doubt}: this node cannot begin at {commit[:12]}: {visible(refused.detail)}")
        ctx.exit(1)
    if refused and not is_forced:
        click.echo(
            f"commit-unknown: this node does not have commit {commit[:12]}, and would believe nothing until it has; is "
            "it a slip? Fetch first (edgegitops reconcile) and say it again; --force takes it as it is"
        )
        ctx.exit(1)
    bootstrap_node.note(config, [Reanchored(commit, reason.strip(), before)])
    click.echo(f"This node begins anew at {commit[:12]}; it stood at {before[:12] or 'nothing'}.")
    if refused:
        click.echo("That commit is not in the local mirror: it is looked for when the repository is fetched.")
    with suppress(OutsideError):
        bootstrap_node.wake(config, "look")
        return
    click.echo("The agent does not run; this stands and is obeyed when it does.")
