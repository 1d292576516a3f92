"""`edgegitops logs CONTAINER`: what a container wrote last, as Podman kept it.

A container is named as in the manifests, `deployment/container` (or `container` where only one has that name), or by
its name on the engine. Of each the last words of one that is gone are kept. Control characters are shown escaped unless
`--raw` asks for them.
"""

from collections.abc import Mapping
from difflib import get_close_matches

import click

from edgegitops.cli.options import CONFIG
from edgegitops.cli.plain_words import clock, visible
from edgegitops.core.model.observed import ContainerSeen, ContainerState, LastWords
from edgegitops.errors import UnavailableError


@click.command(epilog="Example: edgegitops logs vision-qa/web --lines 50")
@click.argument("container")
@CONFIG
@click.option("--lines", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Newest lines.")
@click.option("--previous", "is_gone", is_flag=True, help="Of the one that is gone: after a failed update, that one.")
@click.option("--raw", is_flag=True, help="As written, control characters and all.")
@click.pass_context
def logs(  # noqa: PLR0913 - one parameter an option
    ctx: click.Context, container: str, file: str, *, lines: int, is_gone: bool, raw: bool
) -> None:
    """Show what CONTAINER wrote last; exit 1 where there is no such container of this fleet.

    A release that failed and was undone has left no container; what it wrote last is shown with --previous.
    """
    from edgegitops import bootstrap, bootstrap_node

    config = bootstrap.read_config(file)
    if is_gone:
        ctx.exit(_show_previous(container, bootstrap_node.last_words(config), lines=lines, raw=raw))
    observed = bootstrap_node.observe(config)
    if observed is None:
        words = f"Podman does not answer at {config.socket}; edgegitops node check says more"
        raise UnavailableError("engine", "logs", words, reason="engine-unavailable")
    owned = observed.owned(config.identity().fleet)
    found = matching(container, owned)
    if not found or len({one.deployment for one in found}) > 1:
        names = sorted({f"{one.deployment}/{one.container}" for one in (found or owned)})
        click.echo(_which(container, names, is_ambiguous=bool(found)))
        ctx.exit(1)
    chosen = newest(found)
    text = bootstrap_node.container_logs(config, chosen.name, lines)
    click.echo(text if raw else visible(text, keep="\n\t"), nl=bool(text) and not text.endswith("\n"))


def _show_previous(name: str, kept: Mapping[str, LastWords], *, lines: int, raw: bool) -> int:
    """What a container that is gone wrote last; its name and end on stderr. The exit code."""
    found = [one for one in kept if name in {one, one.partition("/")[2], kept[one].name}]
    if len(found) != 1:
        there = ", ".join(found or kept) or "none"
        click.echo(f"Nothing of {'one' if found else 'a'} container {name} that is gone is kept; there are: {there}.")
        return 1
    one = kept[found[0]]
    click.echo(f"{visible(one.name)}, removed {clock(one.at)}:", err=True)
    newest = "".join(one.text.splitlines(keepends=True)[-lines:])
    click.echo(newest if raw else visible(newest, keep="\n\t"), nl=bool(newest) and not newest.endswith("\n"))
    return 0


def matching(name: str, owned: tuple[ContainerSeen, ...]) -> list[ContainerSeen]:
    """The containers that a person may mean: by engine name or id, by `deployment/container`, else by `container`."""
    exact = [one for one in owned if name in {one.name, one.id, f"{one.deployment}/{one.container}"}]
    return exact or [one for one in owned if one.container == name]


def newest(found: list[ContainerSeen]) -> ContainerSeen:
    """Of several releases of one container: the one that runs, else the one that started last."""

    def rank(one: ContainerSeen) -> tuple[bool, float]:
        return one.state is ContainerState.RUNNING, one.started_at.timestamp() if one.started_at else 0.0

    return max(found, key=rank)


def _which(name: str, names: list[str], *, is_ambiguous: bool) -> str:
    if is_ambiguous:
        return f"Several deployments have a container {name}: {', '.join(names)}."
    near = get_close_matches(name, names, n=1)
    if near:
        return f"No container {name} is here; did you mean {near[0]}?"
    return (
        f"No container {name} is here; there are: {', '.join(names)}." if names else "This fleet has no container here."
    )
