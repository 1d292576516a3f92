"""`edgegitops hold` and `unhold`: the plant has the last word, over Git, with the agent dead, through reboots.

The order is an entry of the journal; a running agent is woken, so that status shows it at once. A hold names who must
be asked (the reason) and when it ends, always: a forgotten hold must not keep a node behind for ever.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches

import click

from edgegitops.cli.options import CONFIG
from edgegitops.cli.plain_words import until as until_words
from edgegitops.core.model.events import OperatorHeld, OperatorReleased
from edgegitops.core.model.ledger import Ledger, OperatorHold
from edgegitops.core.model.node_config import NodeConfig
from edgegitops.core.model.quantities import parse_duration
from edgegitops.errors import OutsideError

LONGEST = timedelta(days=366)


@click.command(epilog='Example: edgegitops hold vision-qa --reason "audit, ask Ada" --until 2h')
@click.argument("deployment", default="")
@CONFIG
@click.option("--reason", default="", help="Required: why, and who to ask; shown in status and explain.")
@click.option(
    "--until", "end", default="", metavar="WHEN", help="Required: a span (2h, 3d) or an instant (2026-12-24T18:00Z)."
)
@click.option("--all", "stops_healing", is_flag=True, help="Stop healing too: what ends stays ended.")
@click.option("--ahead", is_flag=True, help="Also where no such deployment is known here yet.")
@click.pass_context
def hold(  # noqa: PLR0913 - click passes by name
    ctx: click.Context, deployment: str, file: str, *, reason: str, end: str, stops_healing: bool, ahead: bool
) -> None:
    """Start nothing new of DEPLOYMENT (without it: of everything) on this node until then.

    What runs goes on and is kept running; a change that has begun ends first. It works with the agent dead.
    """
    from edgegitops import bootstrap, bootstrap_node

    lacking = [name for name, said in (("--reason", reason.strip()), ("--until", end)) if not said]
    if lacking:
        example = 'edgegitops hold --reason "audit, ask Ada" --until 2h'
        raise click.UsageError(f"{' and '.join(lacking)}: say why (and who to ask) and when it ends; {example}")
    config = bootstrap.read_config(file)
    ledger, now = bootstrap_node.remember(config), bootstrap_node.now()
    ends_at = _instant(end, now)
    if deployment and not ahead and deployment not in ledger.deployments:
        click.echo(f"There is no deployment {deployment} here{_near(deployment, ledger)} Nothing is held.")
        click.echo("To hold it before it comes, say --ahead.")
        ctx.exit(1)
    bootstrap_node.note(config, [OperatorHeld(deployment, reason.strip(), ends_at, stops_healing)])
    what = deployment or "Everything on this node"
    click.echo(
        f"{what} is held{', healing too,' if stops_healing else ''} {until_words(ends_at, now)}: {reason.strip()}"
    )
    record = ledger.deployments.get(deployment)
    if record and record.transition and record.transition.phase in {"switching", "proving", "reverting", "removing"}:
        click.echo(f"It is {record.transition.phase} now; that ends first.")
    _wake(config)
    click.echo(f"To end it sooner: edgegitops unhold{f' {deployment}' if deployment else ''}")


@click.command(epilog="Example: edgegitops unhold vision-qa")
@click.argument("deployment", default="")
@CONFIG
@click.pass_context
def unhold(ctx: click.Context, deployment: str, file: str) -> None:
    """End the hold of DEPLOYMENT (without it: the hold of everything); exit 1 where there is none."""
    from edgegitops import bootstrap, bootstrap_node

    config = bootstrap.read_config(file)
    holds = bootstrap_node.remember(config).holds
    now = bootstrap_node.now()
    placed = holds.get(deployment)
    if placed is None or not _is_standing(placed, now):
        click.echo(f"No operator holds {deployment or 'everything'} here.")
        for other in holds.values():
            if _is_standing(other, now):
                name = other.deployment
                click.echo(f"Still held: {name or 'everything'} (edgegitops unhold{f' {name}' if name else ''})")
        ctx.exit(1)
    bootstrap_node.note(config, [OperatorReleased(deployment)])
    click.echo(f"{deployment or 'Everything'} is no longer held ({placed.reason}).")
    _wake(config)


def _is_standing(placed: OperatorHold, now: datetime) -> bool:
    return placed.until is None or now < placed.until


def _wake(config: NodeConfig) -> None:
    """The journal has it; a word to the agent only makes it seen sooner."""
    from edgegitops import bootstrap_node

    with suppress(OutsideError):
        bootstrap_node.wake(config, "look")
        return
    click.echo("The agent does not run; this stands and is obeyed when it does.")


def _near(name: str, ledger: Ledger) -> str:
    near = get_close_matches(name, ledger.deployments, n=1)
    return f"; did you mean {near[0]}?" if near else "."


def _instant(text: str, now: datetime) -> datetime:
    """A span from now, or an ISO 8601 instant; without a zone it is UTC."""
    try:
        at = now + parse_duration(text)
    except ValueError:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            words = f"{text!r} is neither a span (30m, 2h, 3d) nor an instant (2026-12-24T18:00Z)"
            raise click.BadParameter(words, param_hint="--until") from None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if not now < at <= now + LONGEST:
        raise click.BadParameter(f"{text} is not within the next {LONGEST.days} days", param_hint="--until")
    return at.replace(microsecond=0)
