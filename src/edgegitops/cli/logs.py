"""`edgegitops logs CONTAINER`: what a container wrote last, as Podman kept it.

A container is named as in the manifests, `deployment/container` (or `container` where only one has that name), or by
its name on the engine. Control characters are shown escaped unless `--raw` asks for them.
"""

from difflib import get_close_matches

import click

from edgegitops.cli.options import CONFIG
from edgegitops.cli.plain_words import visible
from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.errors import UnavailableError


@click.command(epilog="Example: edgegitops logs vision-qa/web --lines 50")
@click.argument("container")
@CONFIG
@click.option("--lines", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Newest lines.")
@click.option("--raw", is_flag=True, help="As written, control characters and all.")
@click.pass_context
def logs(ctx: click.Context, container: str, file: str, *, lines: int, raw: bool) -> None:
    """Show what CONTAINER wrote last; exit 1 where there is no such container of this fleet."""
    from edgegitops import bootstrap, bootstrap_node

    config = bootstrap.read_config(file)
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
