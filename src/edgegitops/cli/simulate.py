"""`edgegitops simulate`: how a change would go over the whole fleet, before anybody makes it.

Law: every node is decided for by what decides on real nodes; here is only asked and shown. What goes wrong comes from
the options and is drawn from the seed alone: the same call tells the same story.
Exit 0 where the change comes through at every node of every run (but for those where it failed, or that are away);
1 where something holds it back.
"""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgegitops.core.model.quantities import parse_duration
from edgegitops.errors import DeniedError

if TYPE_CHECKING:
    from edgegitops.core.model.faults import Fault
    from edgegitops.core.model.selector import Selector
    from edgegitops.twin.fleet import Progress
    from edgegitops.twin.weather import Aim
    from edgegitops.workbench_simulate import Trial

NEVER = "never"
_HUNDRED = 100
_MOST_SEEDS = 1000
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%")
_ALLOWED = "a share from 0% to 100%, such as 5% or 0.5%"
_SELECTOR = "a selector that selects nodes, such as ring=canary or *"


class Share(click.ParamType[Fraction]):
    """`5%`, exactly."""

    name = "share"

    def convert(self, value: str | Fraction, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        """The share; a usage error where it is none."""
        if isinstance(value, Fraction):
            return value
        found = share_of(value)
        if found is None:
            self.fail(f"{value!r} is no share; expected {_ALLOWED}", param, ctx)
        return found


class Span(click.ParamType[timedelta | None]):
    """`30m`, or a word that stands for no time at all."""

    name = "span"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta | None:
        """The span; None where it is `never`."""
        if isinstance(value, timedelta) or value == NEVER:
            return value if isinstance(value, timedelta) else None
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def share_of(text: str) -> Fraction | None:
    """The share that a text says; None where it says none."""
    found = _SHARE.fullmatch(text)
    share = Fraction(found[1]) / _HUNDRED if found else None
    return share if share is not None and share <= 1 else None


@click.command(epilog="Example: edgegitops simulate origin/main..HEAD --fail 5% --seeds 20 --plot rollout.svg")
@click.argument("revisions", required=False, default="")
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@click.option("--fail", "failing", multiple=True, metavar="5%|SELECTOR", help="Nodes on which the new release fails.")
@click.option("--offline", multiple=True, metavar="5%|SELECTOR", help="Nodes that are away while it is released.")
@click.option("--back-after", type=Span(), default=NEVER, show_default=True, help="When those that are away come back.")
@click.option("--lose-reports", "lost", type=Share(), default="0%", show_default=True, help="Reports that get lost.")
@click.option(
    "--approve-after",
    "approved",
    type=Span(),
    default="10m",
    show_default=True,
    metavar="SPAN|never",
    help="When an approval is given that a gate asks for.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="What chance is drawn from.")
@click.option(
    "--seeds",
    type=click.IntRange(1, _MOST_SEEDS),
    default=1,
    show_default=True,
    help="How many runs, with this seed and those that follow.",
)
@click.option(
    "--at",
    "began_at",
    type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="When it is pushed, in UTC; windows are read by it.  [default: now]",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the run to this SVG file; of several, the worst.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON (schemas/output/simulate.schema.json).")
def simulate(  # noqa: PLR0913 - one parameter an option
    revisions: str,
    path: Path,
    *,
    failing: Sequence[str],
    offline: Sequence[str],
    back_after: timedelta | None,
    lost: Fraction,
    approved: timedelta | None,
    seed: int,
    seeds: int,
    began_at: datetime | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """How the change between REVISIONS of the clone at PATH would go over the whole fleet.

    REVISIONS are as for `plan`. Every node decides as it would decide, over an engine in memory and with time that
    flies. All nodes begin well, with what the older revision says. Interlocks agree, every node can reach the registry
    unless it is away, and what its own policy file forbids is not known here.

    --fail and --offline take a share of all nodes, drawn by the seed, or a selector as `match` takes it; both may be
    given more than once.
    """
    from edgegitops.cli import simulate_words as words
    from edgegitops.twin.weather import Weather
    from edgegitops.workbench_simulate import open_trial, run

    if revisions and path == Path() and Path(revisions).is_dir():
        revisions, path = "", Path(revisions)
    if plot is not None and not plot.absolute().parent.is_dir():
        raise click.UsageError(f"--plot: there is no folder {plot.parent}; make it first")
    trial = open_trial(path, revisions, began_at.replace(tzinfo=UTC) if began_at is not None else None)
    weather = Weather(
        failing=_aim(trial, "--fail", failing),
        offline=_aim(trial, "--offline", offline),
        lost=lost,
        back_after=back_after,
        approved_after=approved,
    )
    progress = _Line(seeds) if sys.stderr.isatty() else None
    stories = [run(trial, weather, at, progress) for at in range(seed, seed + seeds)]
    if progress is not None:
        progress.end()
    if plot is not None:
        _draw(plot, words.drawn(trial, stories))
    if as_json:
        click.echo(json.dumps(words.tree(trial, stories), indent=2))
    else:
        click.echo("\n".join(words.text(trial, stories)))
    if not all(story.is_through for story in stories):
        sys.exit(1)


def _draw(plot: Path, picture: str) -> None:
    try:
        plot.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise DeniedError("plot", f"write {plot}", error.strerror or str(error)) from error


def _aim(trial: "Trial", option: str, said: Iterable[str]) -> "Aim":
    """Whom some options name."""
    from edgegitops.core.desired.selectors import parse_selector
    from edgegitops.core.model.faults import Fault
    from edgegitops.twin.weather import Aim

    missed, nodes = Fraction(1), set[str]()
    for text in said:
        share = share_of(text)
        if share is not None:
            missed *= 1 - share
            continue
        parsed = parse_selector(text)
        found = frozenset[str]() if isinstance(parsed, Fault) else trial.nodes(parsed)
        if not found:
            raise click.UsageError(f"{option}: {_wrong(text, parsed)}")
        nodes |= found
    return Aim(1 - missed, frozenset(nodes))


def _wrong(text: str, parsed: "Selector | Fault") -> str:
    """Why what stands for nodes stands for none, and what would stand for some."""
    from edgegitops.core.model.faults import Fault

    if text.strip().endswith("%"):
        return f"{text!r} is no share; expected {_ALLOWED}"
    if isinstance(parsed, Fault) and text.strip():
        return f"{parsed.code}: {parsed.message}; expected {_ALLOWED}, or {parsed.expected}"
    what = f"no node matches {text!r}" if text.strip() else "it says nothing"
    return f"{what}; expected {_ALLOWED}, or {_SELECTOR}"


class _Line:
    """One line on a terminal that says how far it is."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._width = 0

    def __call__(self, seed: int, progress: "Progress") -> None:
        from edgegitops.cli.simulate_words import after

        of = f"seed {seed}, " if self._runs > 1 else ""
        text = f"{of}{progress.looks} looks of {progress.nodes} nodes, at {after(progress.after)}"
        sys.stderr.write(f"\r{text:{self._width}}")
        sys.stderr.flush()
        self._width = max(self._width, len(text))

    def end(self) -> None:
        """Leave nothing behind."""
        sys.stderr.write(f"\r{'':{self._width}}\r")
